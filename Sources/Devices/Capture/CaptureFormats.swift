// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// A format a capture device offers, and whether it can do the size and rate that are wanted with it.
struct OfferedFormat {
  var fourcc: FourCC
  var pixelFormat: PixelFormat
  /// The wanted size is one of this format's, or the driver does not tell sizes.
  var hasSize: Bool
  /// The wanted rate can be reached at that size, or the driver does not tell rates.
  var hasRate: Bool
}

enum CaptureFormats {
  /// The runtime's name for a V4L2 format, whether its planes lie in one memory or apart.
  static func pixelFormat(of fourcc: FourCC) -> PixelFormat? {
    switch fourcc {
    case .nv12, .nv12M: .nv12
    case .nv16, .nv16M: .nv16
    case .nv21: .nv21
    case .yuv420, .yuv420M: .i420
    case .yuyv: .yuyv
    case .uyvy: .uyvy
    case .xbgr32: .xrgb8888
    case .abgr32: .argb8888
    case .rgb24: .rgb24
    case .mjpeg, .jpeg: .mjpeg
    default: nil
    }
  }

  /// What costs least to work on, best first: 4:2:0 as the codecs take it, 4:2:2, RGB, and last what must be decoded.
  static let preference: [PixelFormat] = [
    .nv12, .i420, .nv21, .nv16, .yuyv, .uyvy, .xrgb8888, .argb8888, .rgb24, .mjpeg,
  ]

  /// The format to set: the wanted one if it can do size and rate, else the best one that can, else the best that has
  /// the size, else the best at all. So a camera that gives 1080p30 as MJPEG only gives that, and one that does not
  /// reach the rate in any format gives the wanted one.
  static func choose(_ offered: [OfferedFormat], wanted: PixelFormat) -> OfferedFormat? {
    func rank(_ format: OfferedFormat) -> Int {
      let quality = format.hasSize ? (format.hasRate ? 0 : 1) : 2
      let taste = format.pixelFormat == wanted ? 0 : 1 + (preference.firstIndex(of: format.pixelFormat) ?? 99)
      return quality * 1000 + taste
    }
    return offered.min { rank($0) < rank($1) }
  }

  /// Asks the device for its formats that the runtime can take.
  static func offered(
    by device: V4L2Device, _ type: BufferType, request: SourceRequest, accepted: [PixelFormat]
  ) throws(KernelError) -> [OfferedFormat] {
    var result: [OfferedFormat] = []
    for format in try device.formats(of: type) {
      guard !format.flags.contains(.emulated), let pixelFormat = pixelFormat(of: format.fourcc),
        accepted.contains(pixelFormat)
      else { continue }
      let sizes = try device.sizes(of: format.fourcc)
      let hasSize =
        sizes.isEmpty || sizes.contains { $0.contains(width: request.width, height: request.height) }
      var hasRate = true
      if hasSize {
        let intervals = try device.intervals(of: format.fourcc, width: request.width, height: request.height)
        let wanted = 1 / request.frameRate.framesPerSecond
        // A hundredth of slack: 29.97 does for 30.
        hasRate = intervals.isEmpty || intervals.contains { $0.shortest.seconds <= wanted * 1.01 }
      }
      result.append(
        OfferedFormat(fourcc: format.fourcc, pixelFormat: pixelFormat, hasSize: hasSize, hasRate: hasRate))
    }
    return result
  }

  /// Where the planes of the format lie.
  ///
  /// In one memory they follow each other without a gap, chroma strides as the V4L2 documentation of each format says.
  /// - Returns: `nil` for a format the runtime does not know, or numbers that cannot be.
  static func layout(of format: VideoFormat) -> FrameLayout? {
    guard let pixelFormat = pixelFormat(of: format.fourcc), let first = format.planes.first,
      (1...FrameSize.largest).contains(format.width), (1...FrameSize.largest).contains(format.height),
      first.bytesPerLine <= FrameSize.largest * 8, first.size <= Int32.max
    else { return nil }
    let (width, height) = (format.width, format.height)
    let stride = first.bytesPerLine
    let halfHeight = (height + 1) / 2
    func plane(_ memory: Int, after previous: Plane?, _ stride: Int, _ lines: Int) -> Plane? {
      let apart = format.planes.count > 1
      let bytes = apart ? format.planes.indices.contains(memory) ? format.planes[memory].bytesPerLine : 0 : stride
      guard bytes > 0 else { return nil }
      let offset = apart ? 0 : Int(previous?.offset ?? 0) + (previous?.byteCount ?? 0)
      return Plane(
        memory: apart ? Int32(memory) : 0, offset: Int32(clamping: offset), stride: Int32(clamping: bytes),
        lines: Int32(clamping: lines))
    }
    func layout(_ planes: (stride: Int, lines: Int)...) -> FrameLayout? {
      var made: [Plane] = []
      for (index, entry) in planes.enumerated() {
        guard let next = plane(index, after: made.last, entry.stride, entry.lines) else { return nil }
        made.append(next)
      }
      return FrameLayout(
        format: pixelFormat, width: width, height: height, plane0: made[0],
        plane1: made.count > 1 ? made[1] : .none, plane2: made.count > 2 ? made[2] : .none)
    }
    switch pixelFormat {
    case .nv12, .nv21: return stride >= width ? layout((stride, height), (stride, halfHeight)) : nil
    case .nv16: return stride >= width ? layout((stride, height), (stride, height)) : nil
    case .i420:
      return stride >= width ? layout((stride, height), (stride / 2, halfHeight), (stride / 2, halfHeight)) : nil
    case .yuyv, .uyvy: return stride >= width * 2 ? layout((stride, height)) : nil
    case .xrgb8888, .argb8888: return stride >= width * 4 ? layout((stride, height)) : nil
    case .rgb24: return stride >= width * 3 ? layout((stride, height)) : nil
    case .mjpeg:
      // Compressed: one "line" as long as the picture; set anew for each frame.
      return FrameLayout(
        format: .mjpeg, width: width, height: height,
        plane0: Plane(offset: 0, stride: Int32(clamping: first.size), lines: 1))
    default: return nil
    }
  }

  /// Whether every plane lies inside its memory; a driver that promises less than its own format is not used.
  static func fits(_ layout: FrameLayout, _ sizes: [Int]) -> Bool {
    for plane in [layout.plane0, layout.plane1, layout.plane2] where plane.lines > 0 {
      guard sizes.indices.contains(Int(plane.memory)),
        Int(plane.offset) + plane.byteCount <= sizes[Int(plane.memory)]
      else { return false }
    }
    return true
  }
}

enum FrameSize {
  static let largest = 16384
}
