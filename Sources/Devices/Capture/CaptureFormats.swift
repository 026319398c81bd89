// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// A format a capture device offers, and what it can do of what is wanted with it.
struct OfferedFormat {
  var fourcc: FourCC
  var pixelFormat: PixelFormat
  /// It has to be converted before anything can be done with it.
  var isConverted: Bool
  /// The wanted size is one of this format's, or the driver does not tell sizes.
  var hasSize: Bool
  /// Most frames a second at that size; `nil` when the driver does not tell, or the size is not one.
  var fastest: Double?
}

enum CaptureFormats {
  /// The runtime's name for a V4L2 format, whether its planes lie in one memory or apart.
  static func pixelFormat(of fourcc: FourCC) -> PixelFormat? {
    switch fourcc {
    case .nv12, .nv12M: .nv12
    case .nv16, .nv16M: .nv16
    case .nv21: .nv21
    case .p010: .p010
    case .yuv420, .yuv420M: .i420
    case .yuyv: .yuyv
    case .uyvy: .uyvy
    case .xbgr32: .xrgb8888
    case .abgr32: .argb8888
    case .rgbx32: .xbgr8888
    case .rgb24: .rgb24
    case .bgr24: .bgr24
    case .grey: .grey
    case .mjpeg, .jpeg: .mjpeg
    default: nil
    }
  }

  /// What costs least to work on, best first: 4:2:0 as the codecs take it, 4:2:2, RGB, what must be decoded, and last what has no colours.
  static let preference: [PixelFormat] = [
    .nv12, .i420, .nv21, .nv16, .yuyv, .uyvy, .p010, .xrgb8888, .argb8888, .xbgr8888, .rgb24, .bgr24, .mjpeg, .grey,
  ]

  /// The format to set: one that has the wanted size, among those one that comes nearest to the wanted rate, among those
  /// the one that costs least: the wanted one, then what needs no conversion, then JPEG, then what is left. So a camera
  /// that gives 1080p30 as MJPEG only gives that.
  /// - Returns: the choice, and why it is not the one that costs least.
  static func choose(
    _ offered: [OfferedFormat], wanted: PixelFormat, request: SourceRequest
  ) -> (format: OfferedFormat, why: String?)? {
    let rate = request.frameRate.framesPerSecond
    func cost(_ format: OfferedFormat) -> Int {
      if format.pixelFormat == wanted, !format.isConverted { return 0 }
      let place = preference.firstIndex(of: format.pixelFormat) ?? preference.count
      let isLast = format.pixelFormat == .grey
      return 1 + place + (isLast ? 300 : format.isConverted ? format.pixelFormat == .mjpeg ? 100 : 200 : 0)
    }
    /// Frames a second it falls short by. A hundredth of slack: 29.97 does for 30.
    func lack(_ format: OfferedFormat) -> Double {
      guard let fastest = format.fastest, fastest * 1.01 < rate else { return 0 }
      return rate - fastest
    }
    func isBefore(_ a: OfferedFormat, _ b: OfferedFormat) -> Bool {
      if a.hasSize != b.hasSize { return a.hasSize }
      if lack(a) != lack(b) { return lack(a) < lack(b) }
      return cost(a) < cost(b)
    }
    guard let best = offered.min(by: isBefore), let cheapest = offered.min(by: { cost($0) < cost($1) }) else {
      return nil
    }
    guard cheapest.fourcc != best.fourcc else { return (best, nil) }
    let size = "\(request.width)x\(request.height)"
    let reason =
      !cheapest.hasSize
      ? "\(cheapest.pixelFormat) is not offered at \(size)"
      : "\(cheapest.pixelFormat) gives at most \(cheapest.fastest.map(shortRate) ?? "?") frames/s at \(size)"
    return (best, "\(reason), \(best.pixelFormat) \(best.fastest.map(shortRate) ?? "more")")
  }

  private static func shortRate(_ rate: Double) -> String {
    let hundredths = Int((rate * 100).rounded())
    let (whole, rest) = (hundredths / 100, hundredths % 100)
    return rest == 0 ? "\(whole)" : "\(whole).\(rest < 10 ? "0" : "")\(rest)"
  }

  private static func isMeant(_ fourcc: FourCC, _ format: PixelFormat, _ forced: PixelFormat?) -> Bool {
    forced.map { $0 == format || $0.rawValue == fourcc.rawValue } ?? true
  }

  /// The size to take where none was asked: full HD, or the largest below it that some usable format has.
  static func usualSize(
    of device: V4L2Device, _ type: BufferType, forced: PixelFormat?, accepted: [PixelFormat], convertible: [PixelFormat]
  ) throws(KernelError) -> (width: Int, height: Int) {
    let full = (width: 1920, height: 1080)
    var largest: (width: Int, height: Int)?
    for format in try device.formats(of: type) where !format.flags.contains(.emulated) {
      let pixelFormat = pixelFormat(of: format.fourcc) ?? PixelFormat(rawValue: format.fourcc.rawValue)
      guard accepted.contains(pixelFormat) || convertible.contains(pixelFormat),
        isMeant(format.fourcc, pixelFormat, forced)
      else { continue }
      for size in try device.sizes(of: format.fourcc) {
        if size.contains(width: full.width, height: full.height) { return full }
        let (width, height) = (size.widths.upperBound, size.heights.upperBound)
        guard width <= full.width, height <= full.height, width * height > (largest.map { $0.width * $0.height } ?? 0)
        else { continue }
        largest = (width, height)
      }
    }
    // What is larger only, or not told, the driver brings near.
    return largest ?? full
  }

  /// Asks the device for its formats that the runtime can take.
  /// - Parameters:
  ///   - accepted: formats the runtime works on.
  ///   - convertible: formats something makes those of.
  static func offered(
    by device: V4L2Device, _ type: BufferType, request: SourceRequest, accepted: [PixelFormat],
    convertible: [PixelFormat]
  ) throws(KernelError) -> [OfferedFormat] {
    var result: [OfferedFormat] = []
    for format in try device.formats(of: type) where !format.flags.contains(.emulated) {
      let pixelFormat = pixelFormat(of: format.fourcc) ?? PixelFormat(rawValue: format.fourcc.rawValue)
      let isConverted = !accepted.contains(pixelFormat)
      guard !isConverted || convertible.contains(pixelFormat) else {
        continue
      }
      guard isMeant(format.fourcc, pixelFormat, request.deviceFormat) else { continue }
      let sizes = try device.sizes(of: format.fourcc)
      let hasSize =
        sizes.isEmpty || sizes.contains { $0.contains(width: request.width, height: request.height) }
      var fastest: Double?
      if hasSize {
        fastest = try device.intervals(of: format.fourcc, width: request.width, height: request.height)
          .map(\.shortest.seconds).filter { $0 > 0 }.min().map { 1 / $0 }
      }
      result.append(
        OfferedFormat(
          fourcc: format.fourcc, pixelFormat: pixelFormat, isConverted: isConverted, hasSize: hasSize, fastest: fastest)
      )
    }
    return result
  }

  /// Where the planes of the format lie.
  ///
  /// In one memory they follow each other without a gap, chroma strides as the V4L2 documentation of each format says.
  /// - Returns: `nil` for numbers that cannot be.
  static func layout(of format: VideoFormat) -> FrameLayout? {
    guard var layout = planes(of: format) else { return nil }
    // A JPEG picture has its own.
    layout.color = layout.format == .mjpeg ? .jfif : color(of: format, layout.format)
    return layout
  }

  private static func color(of format: VideoFormat, _ pixels: PixelFormat) -> ColorDescription {
    ColorDescription(
      v4l2: format.color.space, transfer: format.color.transfer, encoding: format.color.encoding,
      quantization: format.color.quantization, isRGB: pixels.isRGB)
  }

  private static func planes(of format: VideoFormat) -> FrameLayout? {
    guard let first = format.planes.first,
      (1...FrameSize.largest).contains(format.width), (1...FrameSize.largest).contains(format.height),
      first.bytesPerLine <= FrameSize.largest * 8, first.size <= Int32.max
    else { return nil }
    let pixelFormat = pixelFormat(of: format.fourcc) ?? PixelFormat(rawValue: format.fourcc.rawValue)
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
    case .p010: return stride >= width * 2 ? layout((stride, height), (stride, halfHeight)) : nil
    case .nv16: return stride >= width ? layout((stride, height), (stride, height)) : nil
    case .i420:
      return stride >= width ? layout((stride, height), (stride / 2, halfHeight), (stride / 2, halfHeight)) : nil
    case .yuyv, .uyvy: return stride >= width * 2 ? layout((stride, height)) : nil
    case .grey: return stride >= width ? layout((stride, height)) : nil
    case .xrgb8888, .argb8888, .xbgr8888: return stride >= width * 4 ? layout((stride, height)) : nil
    case .rgb24, .bgr24: return stride >= width * 3 ? layout((stride, height)) : nil
    case .mjpeg:
      // Compressed: one "line" as long as the picture; set anew for each frame.
      return FrameLayout(
        format: .mjpeg, width: width, height: height,
        plane0: Plane(offset: 0, stride: Int32(clamping: first.size), lines: 1))
    default:
      // What somebody else converts: its bytes, with the bytes a line where there are lines.
      guard format.planes.count == 1 else { return nil }
      return FrameLayout(
        format: pixelFormat, width: width, height: height,
        plane0: Plane(
          offset: 0, stride: Int32(clamping: stride > 0 ? stride : first.size),
          lines: stride > 0 ? Int32(clamping: height) : 1))
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
