// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// Something that happened at the device.
public enum VideoEvent: Sendable, Equatable {
  /// The picture coming in, or coded in the stream, has another size or format.
  case sourceChange
  /// A drain is complete (deprecated; most drivers still send it).
  case endOfStream
  case control(id: UInt32, value: Int64)
  case other(UInt32)
}

/// What to be told of.
public enum VideoEventKind: UInt32, Sendable {
  case endOfStream = 2
  case control = 3
  case sourceChange = 5
}

extension V4L2Device {
  /// - Parameter id: the control, for `.control`; the number of the input, for `.sourceChange` of a capture device; 0
  ///   otherwise.
  /// - Returns: false when the driver has no such event.
  @discardableResult
  public func subscribe(_ kind: VideoEventKind, id: UInt32 = 0) throws(KernelError) -> Bool {
    var argument = v4l2_event_subscription()
    argument.type = kind.rawValue
    argument.id = id
    let result = attempt(mpifs_VIDIOC_SUBSCRIBE_EVENT, &argument)
    if result == -EINVAL || result == -ENOTTY { return false }
    if result < 0 { throw error(result, "VIDIOC_SUBSCRIBE_EVENT") }
    return true
  }

  /// The next event, `nil` when there is none.
  public func nextEvent() throws(KernelError) -> VideoEvent? {
    var argument = v4l2_event()
    let result = attempt(mpifs_VIDIOC_DQEVENT, &argument)
    // ENOENT is the driver's word for "none", EAGAIN the one of some older ones.
    if result == -ENOENT || result == -EAGAIN { return nil }
    if result < 0 { throw error(result, "VIDIOC_DQEVENT") }
    let flat = withUnsafePointer(to: argument) { mpifs_event_from_kernel($0) }
    return switch flat.type {
    case VideoEventKind.sourceChange.rawValue: .sourceChange
    case VideoEventKind.endOfStream.rawValue: .endOfStream
    case VideoEventKind.control.rawValue: .control(id: flat.id, value: flat.value)
    default: .other(flat.type)
    }
  }
}
