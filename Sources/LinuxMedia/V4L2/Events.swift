// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// Something that happened at the device.
public enum VideoEvent: Sendable, Equatable {
  /// The picture coming in, or coded in the stream, has another size or format.
  case sourceChange
  /// A drain is complete (deprecated; most drivers still send it).
  case endOfStream
  case control(ControlEvent)
  case other(UInt32)
}

/// What has become of a control.
public struct ControlEvent: Sendable, Equatable {
  /// `V4L2_EVENT_CTRL_CH_`.
  public struct Changes: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let value = Changes(rawValue: 1)
    public static let flags = Changes(rawValue: 2)
    public static let range = Changes(rawValue: 4)
    public static let dimensions = Changes(rawValue: 8)
  }

  public var id: UInt32
  public var changes: Changes
  public var kind: ControlDescription.Kind
  /// Of controls that are a number; texts have to be read.
  public var value: Int64
  public var flags: ControlDescription.Flags
}

/// What to be told of.
public enum VideoEventKind: UInt32, Sendable {
  case endOfStream = 2
  case control = 3
  case sourceChange = 5
}

extension V4L2Device {
  /// - Parameters:
  ///   - id: the control, for `.control`; the number of the input, for `.sourceChange` of a capture device; 0 otherwise.
  ///   - ownChanges: be told of controls that were changed through this open device too.
  /// - Returns: false when the driver has no such event.
  @discardableResult
  public func subscribe(_ kind: VideoEventKind, id: UInt32 = 0, ownChanges: Bool = false) throws(KernelError) -> Bool {
    var argument = v4l2_event_subscription()
    argument.type = kind.rawValue
    argument.id = id
    // V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK
    argument.flags = ownChanges ? 2 : 0
    let result = attempt(mpifs_VIDIOC_SUBSCRIBE_EVENT, &argument)
    if result == -EINVAL || result == -ENOTTY { return false }
    if result < 0 { throw error(result, "VIDIOC_SUBSCRIBE_EVENT") }
    return true
  }

  /// The next event, `nil` when there is none.
  public func nextEvent() throws(KernelError) -> VideoEvent? {
    var isLast = false
    return try nextEvent(isLast: &isLast)
  }

  /// The next event, `nil` when there is none.
  /// - Parameter isLast: whether it left none behind, which saves asking.
  public func nextEvent(isLast: inout Bool) throws(KernelError) -> VideoEvent? {
    isLast = true
    var argument = v4l2_event()
    let result = attempt(mpifs_VIDIOC_DQEVENT, &argument)
    // ENOENT is the driver's word for "none", EAGAIN the one of some older ones.
    if result == -ENOENT || result == -EAGAIN { return nil }
    if result < 0 { throw error(result, "VIDIOC_DQEVENT") }
    let flat = withUnsafePointer(to: argument) { mpifs_event_from_kernel($0) }
    isLast = flat.pending == 0
    return switch flat.type {
    case VideoEventKind.sourceChange.rawValue: .sourceChange
    case VideoEventKind.endOfStream.rawValue: .endOfStream
    case VideoEventKind.control.rawValue:
      .control(
        ControlEvent(
          id: flat.id, changes: .init(rawValue: flat.changes), kind: .init(flat.control_type), value: flat.value,
          flags: .init(rawValue: flat.flags)))
    default: .other(flat.type)
    }
  }
}
