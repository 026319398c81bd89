// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// A format a queue offers (VIDIOC_ENUM_FMT).
public struct FormatDescription: Sendable, Equatable {
  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let compressed = Flags(rawValue: 0x0001)
    /// Made by libv4l, not by the device.
    public static let emulated = Flags(rawValue: 0x0002)
    /// A decoder that takes a change of size in mid-stream.
    public static let dynamicResolution = Flags(rawValue: 0x0008)
    /// An encoder whose coded frame rate is set apart from the raw one.
    public static let codedFrameInterval = Flags(rawValue: 0x0010)
  }
  public var fourcc: FourCC
  public var flags: Flags
  public var description: String
}

/// Frame sizes of a format: one (minimum = maximum), or a range in steps.
public struct SizeRange: Sendable, Equatable {
  public var widths: ClosedRange<Int>
  public var heights: ClosedRange<Int>
  public var stepWidth: Int
  public var stepHeight: Int

  public func contains(width: Int, height: Int) -> Bool {
    widths.contains(width) && heights.contains(height) && (width - widths.lowerBound) % max(1, stepWidth) == 0
      && (height - heights.lowerBound) % max(1, stepHeight) == 0
  }

  init?(_ range: mpifs_size_range) {
    guard range.min_width <= range.max_width, range.min_height <= range.max_height else { return nil }
    widths = Int(range.min_width)...Int(range.max_width)
    heights = Int(range.min_height)...Int(range.max_height)
    stepWidth = Int(range.step_width)
    stepHeight = Int(range.step_height)
  }
}

/// A time between frames, in seconds.
public struct FrameInterval: Sendable, Equatable {
  public var numerator: UInt32
  public var denominator: UInt32
  public init(_ numerator: UInt32, _ denominator: UInt32) {
    self.numerator = numerator
    self.denominator = denominator
  }
  public var seconds: Double { denominator == 0 ? 0 : Double(numerator) / Double(denominator) }
}

/// Frame intervals of a format and size: one (shortest = longest), or a range.
public struct IntervalRange: Sendable, Equatable {
  public var shortest: FrameInterval
  public var longest: FrameInterval
}

extension V4L2Device {
  /// Asks for item 0, 1, ... until the driver says EINVAL. A driver that never does is stopped at 512.
  private func enumerate<Argument>(
    _ name: StaticString, _ request: UInt, _ make: (UInt32) -> Argument, _ take: (Argument) -> Void
  ) throws(KernelError) {
    for index: UInt32 in 0..<512 {
      var argument = make(index)
      let result = attempt(request, &argument)
      if result == -EINVAL || result == -ENOTTY { return }
      if result < 0 { throw error(result, name) }
      take(argument)
    }
  }

  public func formats(of type: BufferType) throws(KernelError) -> [FormatDescription] {
    var found: [FormatDescription] = []
    try enumerate("VIDIOC_ENUM_FMT", mpifs_VIDIOC_ENUM_FMT) { index in
      var argument = v4l2_fmtdesc()
      argument.index = index
      argument.type = type.rawValue
      return argument
    } _: { answer in
      found.append(
        FormatDescription(
          fourcc: FourCC(rawValue: answer.pixelformat), flags: .init(rawValue: answer.flags),
          description: text(answer.description)))
    }
    return found
  }

  /// Empty when the driver does not tell.
  public func sizes(of fourcc: FourCC) throws(KernelError) -> [SizeRange] {
    var found: [SizeRange] = []
    try enumerate("VIDIOC_ENUM_FRAMESIZES", mpifs_VIDIOC_ENUM_FRAMESIZES) { index in
      var argument = v4l2_frmsizeenum()
      argument.index = index
      argument.pixel_format = fourcc.rawValue
      return argument
    } _: { answer in
      if let range = SizeRange(withUnsafePointer(to: answer) { mpifs_size_from_kernel($0) }),
        // A stepwise answer is the only one, and some drivers repeat it for every index.
        found.last != range
      {
        found.append(range)
      }
    }
    return found
  }

  /// Empty when the driver does not tell.
  public func intervals(of fourcc: FourCC, width: Int, height: Int) throws(KernelError) -> [IntervalRange] {
    var found: [IntervalRange] = []
    try enumerate("VIDIOC_ENUM_FRAMEINTERVALS", mpifs_VIDIOC_ENUM_FRAMEINTERVALS) { index in
      var argument = v4l2_frmivalenum()
      argument.index = index
      argument.pixel_format = fourcc.rawValue
      argument.width = UInt32(clamping: width)
      argument.height = UInt32(clamping: height)
      return argument
    } _: { answer in
      let range = withUnsafePointer(to: answer) { mpifs_intervals_from_kernel($0) }
      let item = IntervalRange(
        shortest: FrameInterval(range.min.numerator, range.min.denominator),
        longest: FrameInterval(range.max.numerator, range.max.denominator))
      if found.last != item { found.append(item) }
    }
    return found
  }
}
