// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// What a device says it is (VIDIOC_QUERYCAP).
public struct V4L2Capability: Sendable, Equatable {
  /// What the node can do; the kernel's V4L2_CAP_ bits of this node (not of its siblings).
  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let capture = Flags(rawValue: 0x0000_0001)
    public static let output = Flags(rawValue: 0x0000_0002)
    public static let captureMultiplanar = Flags(rawValue: 0x0000_1000)
    public static let outputMultiplanar = Flags(rawValue: 0x0000_2000)
    public static let memoryToMemoryMultiplanar = Flags(rawValue: 0x0000_4000)
    public static let memoryToMemory = Flags(rawValue: 0x0000_8000)
    public static let streaming = Flags(rawValue: 0x0400_0000)
    /// What the node gives is set up through the media controller: no picture comes before somebody has done that.
    public static let mediaController = Flags(rawValue: 0x2000_0000)
    public static let metadataCapture = Flags(rawValue: 0x0080_0000)
  }

  /// `vivid`, `uvcvideo`.
  public var driver: String
  /// The product's name.
  public var card: String
  /// Where it sits: `platform:vivid-000`, `usb-0000:00:14.0-1`.
  public var bus: String
  /// The kernel's version as the driver reports it: `6.12.117`.
  public var version: String
  public var flags: Flags
}

/// An open V4L2 device. Every open of a memory-to-memory device is an instance of its own, with its own controls.
///
/// Owns the descriptor: the device is closed when the last reference goes. The kernel serialises calls, so the object
/// may be used from several threads.
public final class V4L2Device: Sendable {
  public let path: String
  public let capability: V4L2Capability
  private let descriptor: Descriptor
  public let kernel: any Kernel

  /// Opens the node, non-blocking, and asks what it is.
  ///
  /// - Throws: ENOENT, EACCES, EBUSY, ENODEV as the kernel says; ENOTTY when it is no V4L2 device.
  public init(_ path: String, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    let descriptor = try Descriptor(opening: path, O_RDWR | O_NONBLOCK, kernel: kernel)
    var answer = v4l2_capability()
    _ = try checked("VIDIOC_QUERYCAP", on: path) {
      kernel.ioctl(descriptor.raw, mpifs_VIDIOC_QUERYCAP, &answer)
    }
    let version = answer.version
    self.capability = V4L2Capability(
      driver: text(answer.driver), card: text(answer.card), bus: text(answer.bus_info),
      version: "\(version >> 16).\(version >> 8 & 255).\(version & 255)",
      // Without DEVICE_CAPS (bit 31) the flags are those of the whole device, the best an old driver has.
      flags: .init(rawValue: answer.capabilities & 0x8000_0000 != 0 ? answer.device_caps : answer.capabilities))
    self.path = path
    self.descriptor = descriptor
    self.kernel = kernel
  }

  /// Borrowed, for whoever polls or maps.
  public var raw: CInt { descriptor.raw }

  /// The queue data comes out of, `nil` when there is none.
  public var captureType: BufferType? {
    let flags = capability.flags
    if !flags.isDisjoint(with: [.captureMultiplanar, .memoryToMemoryMultiplanar]) { return .captureMultiplanar }
    if !flags.isDisjoint(with: [.capture, .memoryToMemory]) { return .capture }
    return nil
  }

  /// The queue data goes into, `nil` when there is none.
  public var outputType: BufferType? {
    let flags = capability.flags
    if !flags.isDisjoint(with: [.outputMultiplanar, .memoryToMemoryMultiplanar]) { return .outputMultiplanar }
    if !flags.isDisjoint(with: [.output, .memoryToMemory]) { return .output }
    return nil
  }

  public var isMemoryToMemory: Bool {
    !capability.flags.isDisjoint(with: [.memoryToMemory, .memoryToMemoryMultiplanar])
      || (capability.flags.contains([.captureMultiplanar, .outputMultiplanar]))
  }

  /// One ioctl, repeated after a signal.
  @inline(__always)
  func control<Argument>(_ name: StaticString, _ request: UInt, _ argument: inout Argument) throws(KernelError) {
    let result = attempt(request, &argument)
    if result < 0 { throw error(result, name) }
  }

  /// One ioctl whose refusal is an ordinary answer: 0 or above, or a negative errno.
  @inline(__always)
  func attempt<Argument>(_ request: UInt, _ argument: inout Argument) -> CInt {
    withUnsafeMutablePointer(to: &argument) { pointer in
      uninterrupted { kernel.ioctl(descriptor.raw, request, UnsafeMutableRawPointer(pointer)) }
    }
  }

  func error(_ result: CInt, _ name: StaticString) -> KernelError {
    KernelError(.init(rawValue: -result), "\(name)", on: path)
  }

  /// Waits until the device has something or `wake` is signalled.
  /// - Parameter timeoutMilliseconds: -1 for ever.
  public func wait(
    for interest: PollInterest, orWake wake: borrowing WakeUp, timeoutMilliseconds: Int32 = -1
  ) throws(KernelError) -> PollResult {
    let wakeDescriptor = wake.raw
    return try LinuxMedia.wait(
      for: interest, on: descriptor.raw, orWake: wakeDescriptor, timeoutMilliseconds: timeoutMilliseconds,
      kernel: kernel, subject: path)
  }
}

extension V4L2Device {
  /// Waits until the device has something; for the worker of a codec, which nobody needs to interrupt since it never
  /// waits longer than a task may take.
  public func wait(for interest: PollInterest, timeoutMilliseconds: Int32) throws(KernelError) -> PollResult {
    var entry = pollfd(fd: raw, events: interest.rawValue, revents: 0)
    _ = try checked("poll", on: path) {
      withUnsafeMutableBytes(of: &entry) { bytes in
        kernel.poll(bytes.bindMemory(to: pollfd.self), timeoutMilliseconds)
      }
    }
    return PollResult(events: Int32(UInt16(bitPattern: entry.revents)), woken: false)
  }
}

/// A C string in an array the importer made a tuple of.
func text<Tuple>(_ tuple: Tuple) -> String {
  withUnsafeBytes(of: tuple) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
