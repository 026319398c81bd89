// SPDX-License-Identifier: Apache-2.0
internal import CLinux

extension V4L2Device {
  /// Time between frames on the queue, or `nil` when the driver has none to set.
  public func frameInterval(of type: BufferType) throws(KernelError) -> FrameInterval? {
    var argument = v4l2_streamparm()
    argument.type = type.rawValue
    let result = attempt(mpifs_VIDIOC_G_PARM, &argument)
    if result == -ENOTTY || result == -EINVAL { return nil }
    if result < 0 { throw error(result, "VIDIOC_G_PARM") }
    return interval(in: argument)
  }

  /// Sets it. - Returns: what the driver made of it, or `nil` when it has none to set.
  public func setFrameInterval(_ interval: FrameInterval, of type: BufferType) throws(KernelError) -> FrameInterval? {
    var argument = v4l2_streamparm()
    let flat = mpifs_interval(
      capability: 0, numerator: interval.numerator, denominator: interval.denominator)
    mpifs_interval_to_kernel(type.rawValue, flat, &argument)
    let result = attempt(mpifs_VIDIOC_S_PARM, &argument)
    if result == -ENOTTY || result == -EINVAL { return nil }
    if result < 0 { throw error(result, "VIDIOC_S_PARM") }
    return self.interval(in: argument)
  }

  private func interval(in argument: v4l2_streamparm) -> FrameInterval? {
    let flat = withUnsafePointer(to: argument) { mpifs_interval_from_kernel($0) }
    // V4L2_CAP_TIMEPERFRAME
    guard flat.capability & 0x1000 != 0, flat.numerator > 0, flat.denominator > 0 else { return nil }
    return FrameInterval(flat.numerator, flat.denominator)
  }
}

/// A part of the picture, in pixels.
public struct SelectionRectangle: Sendable, Equatable {
  public var left: Int
  public var top: Int
  public var width: Int
  public var height: Int
  public init(left: Int = 0, top: Int = 0, width: Int, height: Int) {
    self.left = left
    self.top = top
    self.width = width
    self.height = height
  }
}

/// What a selection rectangle means (kernel: `v4l2-common.h`).
public enum SelectionTarget: UInt32, Sendable {
  case crop = 0x0000
  case cropDefault = 0x0001
  case cropBounds = 0x0002
  case compose = 0x0100
  case composeDefault = 0x0101
  case composeBounds = 0x0102
}

extension V4L2Device {
  public func selection(_ target: SelectionTarget, of type: BufferType) throws(KernelError) -> SelectionRectangle {
    var argument = selectionArgument(target, type)
    try control("VIDIOC_G_SELECTION", mpifs_VIDIOC_G_SELECTION, &argument)
    return rectangle(argument.r)
  }

  /// - Returns: what the driver made of it.
  public func setSelection(
    _ rectangle: SelectionRectangle, _ target: SelectionTarget, of type: BufferType
  ) throws(KernelError) -> SelectionRectangle {
    var argument = selectionArgument(target, type)
    argument.r = v4l2_rect(
      left: Int32(clamping: rectangle.left), top: Int32(clamping: rectangle.top),
      width: UInt32(clamping: rectangle.width), height: UInt32(clamping: rectangle.height))
    try control("VIDIOC_S_SELECTION", mpifs_VIDIOC_S_SELECTION, &argument)
    return self.rectangle(argument.r)
  }

  private func selectionArgument(_ target: SelectionTarget, _ type: BufferType) -> v4l2_selection {
    var argument = v4l2_selection()
    // The kernel takes the single-planar type here for both layouts (v4l2-ioctl.c translates since 4.13).
    argument.type = type.isOutput ? BufferType.output.rawValue : BufferType.capture.rawValue
    argument.target = target.rawValue
    return argument
  }

  private func rectangle(_ r: v4l2_rect) -> SelectionRectangle {
    SelectionRectangle(left: Int(r.left), top: Int(r.top), width: Int(r.width), height: Int(r.height))
  }
}
