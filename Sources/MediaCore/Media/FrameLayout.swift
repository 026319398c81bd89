// SPDX-License-Identifier: Apache-2.0

/// One plane of a frame inside its memory.
public struct Plane: Sendable, Hashable {
  /// Which memory of the buffer: 0 is the buffer itself, 1... its ``Buffer/linked`` memories (V4L2 multi-planar).
  public var memory: Int32
  /// Bytes from the start of that memory.
  public var offset: Int32
  /// Bytes from one line to the next.
  public var stride: Int32
  /// Lines in this plane.
  public var lines: Int32

  public init(memory: Int32 = 0, offset: Int32, stride: Int32, lines: Int32) {
    self.memory = memory
    self.offset = offset
    self.stride = stride
    self.lines = lines
  }

  public static let none = Plane(offset: 0, stride: 0, lines: 0)
  public var byteCount: Int { Int(stride) * Int(lines) }
}

/// Size, format, planes and meaning of the pixels in a frame. Two are equal only where what is made for pictures of the one serves
/// those of the other: whoever works on frames begins anew when any part changes, colour too. A value of fixed size: frames are made without allocating.
public struct FrameLayout: Sendable, Hashable {
  public var format: PixelFormat
  /// Visible size in pixels.
  public var width: Int32
  public var height: Int32
  public var plane0: Plane
  public var plane1: Plane
  public var plane2: Plane
  /// What the samples mean.
  public var color: ColorDescription
  /// Shape of a sample on a screen.
  public var aspect: SampleAspect

  public init(
    format: PixelFormat, width: Int, height: Int, plane0: Plane, plane1: Plane = .none, plane2: Plane = .none,
    color: ColorDescription = .unspecified, aspect: SampleAspect = .unknown
  ) {
    self.format = format
    self.width = Int32(truncatingIfNeeded: width)
    self.height = Int32(truncatingIfNeeded: height)
    self.plane0 = plane0
    self.plane1 = plane1
    self.plane2 = plane2
    self.color = color
    self.aspect = aspect
  }

  /// The tightest usual layout in one memory: strides rounded up to `alignment` bytes, planes one after the other.
  ///
  /// - Returns: `nil` for sizes below 2x2 or above 16384x16384, and for compressed or unknown formats.
  public init?(_ format: PixelFormat, width: Int, height: Int, alignment: Int = 16) {
    guard (2...16384).contains(width), (2...16384).contains(height), alignment > 0 else { return nil }
    func aligned(_ value: Int) -> Int32 { Int32((value + alignment - 1) / alignment * alignment) }
    func plane(_ previous: Plane, _ stride: Int32, _ lines: Int) -> Plane {
      Plane(offset: previous.offset + Int32(previous.byteCount), stride: stride, lines: Int32(lines))
    }
    let start = Plane.none
    switch format {
    case .nv12, .nv21:
      let luma = plane(start, aligned(width), height)
      let chroma = plane(luma, aligned((width + 1) / 2 * 2), (height + 1) / 2)
      self.init(format: format, width: width, height: height, plane0: luma, plane1: chroma)
    case .nv16:
      let luma = plane(start, aligned(width), height)
      let chroma = plane(luma, aligned((width + 1) / 2 * 2), height)
      self.init(format: format, width: width, height: height, plane0: luma, plane1: chroma)
    case .p010:
      let luma = plane(start, aligned(width * 2), height)
      let chroma = plane(luma, aligned((width + 1) / 2 * 4), (height + 1) / 2)
      self.init(format: format, width: width, height: height, plane0: luma, plane1: chroma)
    case .i420:
      let luma = plane(start, aligned(width), height)
      let cb = plane(luma, aligned((width + 1) / 2), (height + 1) / 2)
      let cr = plane(cb, cb.stride, (height + 1) / 2)
      self.init(format: format, width: width, height: height, plane0: luma, plane1: cb, plane2: cr)
    case .yuyv, .uyvy:
      self.init(
        format: format, width: width, height: height, plane0: plane(start, aligned((width + 1) / 2 * 4), height))
    case .xrgb8888, .argb8888, .xbgr8888:
      self.init(format: format, width: width, height: height, plane0: plane(start, aligned(width * 4), height))
    case .rgb24, .bgr24:
      self.init(format: format, width: width, height: height, plane0: plane(start, aligned(width * 3), height))
    case .grey:
      self.init(format: format, width: width, height: height, plane0: plane(start, aligned(width), height))
    default:
      return nil
    }
  }

  /// The same with the meaning a picture of another format has that is made of `source` without a change of colours: of RGB
  /// BT.601 is made.
  public func meaning(of source: FrameLayout) -> FrameLayout {
    var made = self
    made.aspect = source.aspect
    let (color, isRGB) = (source.color, source.format.isRGB)
    if format.isRGB {
      made.color = ColorDescription(.rgb, primaries: color.primaries, transfer: color.transfer, isFullRange: true)
    } else {
      made.color = isRGB ? color.sampled(as: .bt601) : color
    }
    return made
  }

  /// Bytes the first memory must hold.
  public var byteCount: Int {
    // Plane by plane: an array of them would be memory taken on the frame's path.
    func end(_ plane: Plane) -> Int { plane.memory == 0 ? Int(plane.offset) + plane.byteCount : 0 }
    return max(end(plane0), max(end(plane1), end(plane2)))
  }

  public var planeCount: Int { plane2.lines > 0 ? 3 : plane1.lines > 0 ? 2 : 1 }
}
