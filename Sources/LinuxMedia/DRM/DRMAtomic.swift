// SPDX-License-Identifier: Apache-2.0
internal import CDRM
internal import Glibc

/// Properties to set in one step (kernel: `drm_mode_atomic_ioctl`). Keeps its memory when emptied: a request that is used
/// again allocates nothing.
public struct AtomicRequest: Sendable {
  private(set) var objects: [UInt32] = []
  private(set) var counts: [UInt32] = []
  private(set) var properties: [UInt32] = []
  private(set) var values: [UInt64] = []

  public init() {
    objects.reserveCapacity(64)
    counts.reserveCapacity(64)
    properties.reserveCapacity(64)
    values.reserveCapacity(64)
  }

  public var count: Int { values.count }

  /// The kernel takes an object several times, so each property stands for itself.
  public mutating func set(_ object: UInt32, _ property: UInt32, _ value: UInt64) {
    objects.append(object)
    counts.append(1)
    properties.append(property)
    values.append(value)
  }

  public mutating func removeAll() {
    objects.removeAll(keepingCapacity: true)
    counts.removeAll(keepingCapacity: true)
    properties.removeAll(keepingCapacity: true)
    values.removeAll(keepingCapacity: true)
  }
}

/// How a request is carried out.
public struct AtomicFlags: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// An event when the change is on the screen.
  public static let pageFlipEvent = AtomicFlags(rawValue: 0x0001)
  /// Only says whether it would be possible.
  public static let testOnly = AtomicFlags(rawValue: 0x0100)
  /// Returns before the change is on the screen; EBUSY while another change is on its way.
  public static let nonBlocking = AtomicFlags(rawValue: 0x0200)
  /// The screen may go dark for it.
  public static let allowModeSet = AtomicFlags(rawValue: 0x0400)
}

extension DRMCard {
  /// Commits all or nothing.
  /// - Parameter userData: comes back in the event.
  /// - Returns: 0, or a negative errno: EINVAL the driver cannot, EBUSY a change is on its way, EACCES not the master,
  ///   ENODEV the card is gone.
  public func attemptCommit(_ request: inout AtomicRequest, _ flags: AtomicFlags, userData: UInt64 = 0) -> CInt {
    var argument = drm_mode_atomic()
    argument.flags = flags.rawValue
    argument.count_objs = UInt32(request.count)
    argument.user_data = userData
    return request.withPointers { objects, counts, properties, values in
      argument.objs_ptr = objects
      argument.count_props_ptr = counts
      argument.props_ptr = properties
      argument.prop_values_ptr = values
      return attempt(mpifs_DRM_IOCTL_MODE_ATOMIC, &argument)
    }
  }

  public func commit(_ request: inout AtomicRequest, _ flags: AtomicFlags) throws(KernelError) {
    let result = attemptCommit(&request, flags)
    if result < 0 { throw KernelError(.init(rawValue: -result), "DRM_IOCTL_MODE_ATOMIC", on: path) }
  }
}

extension AtomicRequest {
  fileprivate mutating func withPointers(_ body: (UInt64, UInt64, UInt64, UInt64) -> CInt) -> CInt {
    objects.withUnsafeMutableBytes { objects in
      counts.withUnsafeMutableBytes { counts in
        properties.withUnsafeMutableBytes { properties in
          values.withUnsafeMutableBytes { values in
            func address(_ bytes: UnsafeMutableRawBufferPointer) -> UInt64 {
              UInt64(UInt(bitPattern: bytes.baseAddress))
            }
            return body(address(objects), address(counts), address(properties), address(values))
          }
        }
      }
    }
  }
}

/// A committed change is on the screen.
public struct FlipEvent: Sendable, Equatable {
  /// What the commit carried.
  public var userData: UInt64
  /// The vblank it happened at; counts modulo 2^32.
  public var sequence: UInt32
  /// CLOCK_MONOTONIC nanoseconds of that vblank.
  public var time: Int64

  public init(userData: UInt64, sequence: UInt32, time: Int64) {
    self.userData = userData
    self.sequence = sequence
    self.time = time
  }

  /// The flip events in what was read from a card; other events are passed over, and so is what is cut off.
  static func parse(_ bytes: UnsafeRawBufferPointer, _ body: (FlipEvent) -> Void) {
    var offset = 0
    while offset + MemoryLayout<drm_event>.size <= bytes.count {
      let head = bytes.loadUnaligned(fromByteOffset: offset, as: drm_event.self)
      let length = Int(head.length)
      guard length >= MemoryLayout<drm_event>.size, offset + length <= bytes.count else { return }
      if head.type == UInt32(DRM_EVENT_FLIP_COMPLETE), length >= MemoryLayout<drm_event_vblank>.size {
        let event = bytes.loadUnaligned(fromByteOffset: offset, as: drm_event_vblank.self)
        body(
          FlipEvent(
            userData: event.user_data, sequence: event.sequence,
            time: Int64(event.tv_sec) * 1_000_000_000 + Int64(event.tv_usec) * 1000))
      }
      offset += length
    }
  }
}

extension DRMCard {
  /// Takes the events that have come; none is no error.
  /// - Parameter scratch: where the kernel puts them, at least 1024 bytes.
  /// - Throws: ENODEV when the card is gone.
  public func readEvents(
    _ scratch: UnsafeMutableRawBufferPointer, _ body: (FlipEvent) -> Void
  ) throws(KernelError) {
    let result = uninterrupted { kernel.read(raw, scratch) }
    if result == -Int64(EAGAIN) { return }
    if result < 0 { throw KernelError(.init(rawValue: CInt(-result)), "read", on: path) }
    FlipEvent.parse(UnsafeRawBufferPointer(rebasing: scratch[..<Int(result)]), body)
  }
}
