// SPDX-License-Identifier: Apache-2.0
internal import CDRM
internal import CLinux
internal import Glibc
import Synchronization

/// An open DRM device node, `/dev/dri/cardN`.
///
/// Owns the descriptor: the card is closed when the last reference goes, and the kernel then takes back every
/// framebuffer made through it. The kernel serialises calls, so the object may be used from several threads.
///
/// All calls are plain ioctls through the module's door, not libdrm's functions: those allocate for every commit and
/// could not be made to fail in a test. libdrm is asked for the names of connector types.
public final class DRMCard: Sendable {
  public static let directory = "/dev/dri"
  public let path: String
  public let kernel: any Kernel
  /// `vkms`, `rockchip`.
  public let driver: String
  private let descriptor: Descriptor
  /// A GEM handle is of the open file, the same for every import of one buffer, and closed once: nobody imports while
  /// somebody else still uses a handle.
  let handles = Mutex<Void>(())

  /// Opens the node, non-blocking. The first to open a card becomes its master unasked; see ``dropMaster()``.
  ///
  /// - Throws: ENOENT, EACCES, ENODEV as the kernel says; ENOTTY when it is no DRM device.
  public init(_ path: String, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    let descriptor = try Descriptor(opening: path, O_RDWR | O_NONBLOCK, kernel: kernel)
    var name = [UInt8](repeating: 0, count: 64)
    var version = drm_version()
    version.name_len = UInt(name.count)
    let result = name.withUnsafeMutableBytes { bytes in
      version.name = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
      return withUnsafeMutablePointer(to: &version) { kernel.ioctl(descriptor.raw, mpifs_DRM_IOCTL_VERSION, $0) }
    }
    if result < 0 { throw KernelError(.init(rawValue: -result), "DRM_IOCTL_VERSION", on: path) }
    driver = String(decoding: name.prefix(Int(clamping: version.name_len)).prefix { $0 != 0 }, as: UTF8.self)
    self.path = path
    self.kernel = kernel
    self.descriptor = descriptor
  }

  /// Borrowed, for whoever polls.
  public var raw: CInt { descriptor.raw }

  /// One ioctl; DRM asks for it again not only after a signal.
  func call<Argument>(_ name: StaticString, _ request: UInt, _ argument: inout Argument) throws(KernelError) {
    let result = attempt(request, &argument)
    if result < 0 { throw KernelError(.init(rawValue: -result), "\(name)", on: path) }
  }

  /// One ioctl whose refusal is an ordinary answer: 0 or above, or a negative errno.
  func attempt<Argument>(_ request: UInt, _ argument: inout Argument) -> CInt {
    withUnsafeMutablePointer(to: &argument) { pointer in
      while true {
        let result = uninterrupted { kernel.ioctl(descriptor.raw, request, UnsafeMutableRawPointer(pointer)) }
        if result != -EAGAIN { return result }
      }
    }
  }

  /// One ioctl that fills an array.
  func call<Argument, Element>(
    _ name: StaticString, _ request: UInt, _ argument: inout Argument,
    _ place: WritableKeyPath<Argument, UInt64>, _ array: inout [Element]
  ) throws(KernelError) {
    let result = array.withUnsafeMutableBytes { bytes in
      argument[keyPath: place] = UInt64(UInt(bitPattern: bytes.baseAddress))
      return attempt(request, &argument)
    }
    if result < 0 { throw KernelError(.init(rawValue: -result), "\(name)", on: path) }
  }

  /// One ioctl that fills two.
  func call<Argument, First, Second>(
    _ name: StaticString, _ request: UInt, _ argument: inout Argument,
    _ place: WritableKeyPath<Argument, UInt64>, _ array: inout [First],
    _ otherPlace: WritableKeyPath<Argument, UInt64>, _ other: inout [Second]
  ) throws(KernelError) {
    let result = array.withUnsafeMutableBytes { bytes in
      argument[keyPath: place] = UInt64(UInt(bitPattern: bytes.baseAddress))
      return other.withUnsafeMutableBytes { more in
        argument[keyPath: otherPlace] = UInt64(UInt(bitPattern: more.baseAddress))
        return attempt(request, &argument)
      }
    }
    if result < 0 { throw KernelError(.init(rawValue: -result), "\(name)", on: path) }
  }

  // MARK: what it can do

  /// A capability by its number, 0 where the driver does not know it.
  private func capability(_ number: Int32) -> UInt64 {
    var argument = drm_get_cap(capability: UInt64(number), value: 0)
    return attempt(mpifs_DRM_IOCTL_GET_CAP, &argument) < 0 ? 0 : argument.value
  }

  /// Whether buffers of other devices can be imported.
  public var importsBuffers: Bool { capability(DRM_CAP_PRIME) & 1 != 0 }

  /// Asks for atomic mode setting, with every plane visible.
  /// - Throws: EOPNOTSUPP or EINVAL when the driver has none.
  public func enableAtomic() throws(KernelError) {
    for number in [DRM_CLIENT_CAP_UNIVERSAL_PLANES, DRM_CLIENT_CAP_ATOMIC] {
      var argument = drm_set_client_cap(capability: UInt64(number), value: 1)
      try call("DRM_IOCTL_SET_CLIENT_CAP", mpifs_DRM_IOCTL_SET_CLIENT_CAP, &argument)
    }
  }

  /// Becomes the one who may set modes; nothing happens when it is already.
  /// - Throws: EBUSY another open file is; EACCES it never was and the process is not privileged.
  public func becomeMaster() throws(KernelError) {
    var none: UInt64 = 0
    try call("DRM_IOCTL_SET_MASTER", mpifs_DRM_IOCTL_SET_MASTER, &none)
  }

  /// Lets others set modes; nothing happens when it is not the master.
  public func dropMaster() {
    var none: UInt64 = 0
    _ = attempt(mpifs_DRM_IOCTL_DROP_MASTER, &none)
  }

  // MARK: waiting

  /// Waits for events of the card, a wake-up, or what `other` brings (-1: nothing).
  /// - Parameter timeoutMilliseconds: -1 for ever.
  public func wait(
    orWake wake: borrowing WakeUp, other: CInt, timeoutMilliseconds: Int32
  ) throws(KernelError) -> (card: PollResult, other: Bool) {
    var entries = (
      pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0)
    )
    _ = try checked("poll", on: path) {
      withUnsafeMutableBytes(of: &entries) { kernel.poll($0.bindMemory(to: pollfd.self), timeoutMilliseconds) }
    }
    return (
      PollResult(events: Int32(UInt16(bitPattern: entries.0.revents)), woken: entries.1.revents != 0),
      entries.2.revents != 0
    )
  }
}
