// SPDX-License-Identifier: Apache-2.0
import CYUV
import MediaCore

/// Scales, turns and converts pictures, in as few passes as there are kernels for: this project's scale, libyuv's do the rest.
///
/// The way of a picture: formats other than 4:2:0 become I420 first (10 bit NV12); then each plane is scaled, then turned (scaling
/// first, since most scaling is down); formats other than 4:2:0 are made from I420 last. Every pass that does
/// nothing is left out.
///
/// Samples become those of the target's matrix and range; where nothing is said of it, they stay. Of RGB libyuv makes BT.601 in limited or full range, and RGB of BT.601,
/// BT.709 and BT.2020; everything else is done in place on the 4:2:0 picture (``Recoloring``).
///
/// Keeps its scratch memory from picture to picture. Serial use.
final class PixelConverter {
  private var inputY = Scratch()
  private var inputU = Scratch()
  private var inputV = Scratch()
  private var splitU = Scratch()
  private var splitV = Scratch()
  private var unturned = Scratch()
  private var unturnedPairs = Scratch()
  private var mergeU = Scratch()
  private var mergeV = Scratch()
  private var outputY = Scratch()
  private var outputU = Scratch()
  private var outputV = Scratch()
  private var recolored = Scratch()
  private var recoloring: Recoloring?
  private var scaling = PlaneScaling()
  /// Bytes of pixels written in the current call, scratch included.
  private var written = 0

  /// What pictures can be made of, and what can be made.
  static let inputs: [PixelFormat] = formats + [.p010]
  static let formats: [PixelFormat] = [
    .nv12, .i420, .nv21, .nv16, .yuyv, .uyvy, .xrgb8888, .argb8888, .xbgr8888, .rgb24, .bgr24, .grey,
  ]

  init() {}

  /// Fills `target` from `source`.
  /// - Returns: bytes of pixels written, scratch included.
  /// - Throws: ENOTSUP for a format that is not in ``inputs`` and ``formats``.
  func convert(
    _ source: Pixels, _ orientation: Orientation, to target: Pixels
  ) throws(Failure) -> Int {
    written = 0
    let source = orientation.upsideDown ? upsideDown(source) : source
    let sameSize =
      orientation.swapsAxes
      ? source.width == target.height && source.height == target.width
      : source.width == target.width && source.height == target.height
    let (from, to) = colors(source, target)
    recoloring =
      recoloring.flatMap { $0.source == from && $0.target == to ? $0 : nil } ?? Recoloring(from: from, to: to)
    if sameSize, orientation.turn == .none, recoloring == nil || target.format.is420, try direct(source, target) {
      try recolor(target)
      return written
    }
    var planar = try input(source, isFullRange: from.isFullRange)
    planar.color = from
    if target.format == .grey, recoloring == nil {
      // Nothing is made of colours.
      try scalePlane(
        planar.plane0, planar.width, planar.height, orientation.turn, target.plane0, target.width, target.height)
    } else if target.format.is420 {
      try scale(planar, orientation.turn, target)
      try recolor(target)
    } else if sameSize, orientation.turn == .none, planar.format == .i420, recoloring == nil {
      try output(planar, target)
    } else {
      var middle = try i420(width: target.width, height: target.height, &outputY, &outputU, &outputV)
      middle.color = to
      try scale(planar, orientation.turn, middle)
      try recolor(middle)
      try output(middle, target)
    }
    return written
  }

  /// The samples of the 4:2:0 picture between the two: as they come, and as they have to be in the end.
  private func colors(_ source: Pixels, _ target: Pixels) -> (ColorDescription, ColorDescription) {
    let from =
      source.format.isRGB
      ? ColorDescription(.smpte170m, isFullRange: target.format.isRGB || target.color.isFullRange) : source.color
    guard target.format.isRGB else { return (from, target.color == .unspecified ? from : target.color) }
    // What libyuv has exact constants for: with the others blue is up to 16 of 255 off, since their factors do not fit its numbers.
    switch from.matrix.rawValue {
    case 1, 9, 10: return (from, ColorDescription(from.matrix, isFullRange: true))
    case 2, 5, 6: return (from, from)
    default: return (from, .jfif)
    }
  }

  private func recolor(_ target: Pixels) throws(Failure) {
    guard let recoloring else { return }
    written += try recoloring.apply(to: target, &recolored)
  }

  /// Takes NV12's chroma apart.
  func split(_ s: Pixels, u: PlanePointer, v: PlanePointer) {
    splitTurned(s.plane1, s.chromaWidth, s.chromaHeight, .none, u, v)
  }

  // MARK: whole pictures

  private func i420(
    width: Int, height: Int, _ y: inout Scratch, _ u: inout Scratch, _ v: inout Scratch
  ) throws(Failure) -> Pixels {
    Pixels(
      format: .i420, width: width, height: height, plane0: try y.plane(bytes: width, lines: height),
      plane1: try u.plane(bytes: (width + 1) / 2, lines: (height + 1) / 2),
      plane2: try v.plane(bytes: (width + 1) / 2, lines: (height + 1) / 2))
  }

  private func upsideDown(_ p: Pixels) -> Pixels {
    guard let extents = PlaneExtent.of(p.format, width: p.width, height: p.height) else { return p }
    var turned = p
    turned.plane0 = p.plane0.upsideDown(lines: extents.0.lines)
    if let extent = extents.1 { turned.plane1 = p.plane1.upsideDown(lines: extent.lines) }
    if let extent = extents.2 { turned.plane2 = p.plane2.upsideDown(lines: extent.lines) }
    return turned
  }

  /// One pass from source to target where libyuv has such a kernel.
  /// - Returns: false when it has none.
  private func direct(_ s: Pixels, _ t: Pixels) throws(Failure) -> Bool {
    if s.format == t.format || (s.format.is32 && t.format.is32 && s.format.startsWithRed == t.format.startsWithRed) {
      guard let extents = PlaneExtent.of(s.format, width: s.width, height: s.height) else { return false }
      copy(s.plane0, t.plane0, extents.0.bytes, extents.0.lines)
      if let extent = extents.1 { copy(s.plane1, t.plane1, extent.bytes, extent.lines) }
      if let extent = extents.2 { copy(s.plane2, t.plane2, extent.bytes, extent.lines) }
      return true
    }
    if s.format.isRGB, t.format.isRGB {
      s.reorder(into: t)
      written += PlaneExtent.byteCount(t.format, width: t.width, height: t.height)
      return true
    }
    let (w, h) = (CInt(s.width), CInt(s.height))
    let (a, b, c) = (t.plane0, t.plane1, t.plane2)
    switch (s.format, t.format) {
    case (.p010, .nv12):
      shorten(s, to: t)
      return true
    case (.yuyv, .nv12):
      YUY2ToNV12(s.plane0.base, s.plane0.stride, a.base, a.stride, b.base, b.stride, w, h)
    case (.uyvy, .nv12):
      UYVYToNV12(s.plane0.base, s.plane0.stride, a.base, a.stride, b.base, b.stride, w, h)
    case (.xrgb8888, .nv12), (.argb8888, .nv12):
      guard !t.color.isFullRange else { return false }
      ARGBToNV12(s.plane0.base, s.plane0.stride, a.base, a.stride, b.base, b.stride, w, h)
    case (.xbgr8888, .nv12):
      guard !t.color.isFullRange else { return false }
      ABGRToNV12(s.plane0.base, s.plane0.stride, a.base, a.stride, b.base, b.stride, w, h)
    case (.yuyv, .i420), (.uyvy, .i420), (.xrgb8888, .i420), (.argb8888, .i420), (.xbgr8888, .i420), (.rgb24, .i420),
      (.bgr24, .i420):
      try packedToI420(s, a, b, c, isFullRange: t.color.isFullRange)
      return true
    case (.nv12, .xrgb8888), (.nv12, .argb8888):
      NV12ToARGBMatrix(
        s.plane0.base, s.plane0.stride, s.plane1.base, s.plane1.stride, a.base, a.stride, constants(s.color), w, h)
    case (.nv21, .xrgb8888), (.nv21, .argb8888):
      NV21ToARGBMatrix(
        s.plane0.base, s.plane0.stride, s.plane1.base, s.plane1.stride, a.base, a.stride, constants(s.color), w, h)
    // Red and blue change places when the differences do.
    case (.nv12, .xbgr8888):
      NV21ToARGBMatrix(
        s.plane0.base, s.plane0.stride, s.plane1.base, s.plane1.stride, a.base, a.stride,
        constants(s.color, isSwapped: true), w, h)
    case (.nv21, .xbgr8888):
      NV12ToARGBMatrix(
        s.plane0.base, s.plane0.stride, s.plane1.base, s.plane1.stride, a.base, a.stride,
        constants(s.color, isSwapped: true), w, h)
    default: return false
    }
    written += PlaneExtent.byteCount(t.format, width: t.width, height: t.height)
    return true
  }

  /// The source as a 4:2:0 picture: itself where it is one.
  private func input(_ s: Pixels, isFullRange: Bool) throws(Failure) -> Pixels {
    if s.format.is420 { return s }
    if s.format == .nv16 {
      // The luma stays where it is; two lines of chroma become one.
      let bytes = s.chromaWidth * 2
      let chroma = try inputU.plane(bytes: bytes, lines: s.chromaHeight)
      UVScale(
        s.plane1.base, s.plane1.stride, CInt(s.chromaWidth), CInt(s.height), chroma.base, chroma.stride,
        CInt(s.chromaWidth), CInt(s.chromaHeight), kFilterBilinear)
      written += bytes * s.chromaHeight
      var result = s
      result.format = .nv12
      result.plane1 = chroma
      return result
    }
    if s.format == .grey {
      var result = s
      result.format = .i420
      result.plane1 = try inputU.plane(bytes: s.chromaWidth, lines: s.chromaHeight)
      // No colour, in both planes.
      result.plane2 = result.plane1
      SetPlane(
        result.plane1.base, result.plane1.stride, CInt(s.chromaWidth), CInt(s.chromaHeight), 128)
      written += s.chromaWidth * s.chromaHeight
      return result
    }
    if s.format == .p010 {
      var result = s
      result.format = .nv12
      result.plane0 = try inputY.plane(bytes: s.width, lines: s.height)
      result.plane1 = try inputU.plane(bytes: s.chromaWidth * 2, lines: s.chromaHeight)
      shorten(s, to: result)
      return result
    }
    let result = try i420(width: s.width, height: s.height, &inputY, &inputU, &inputV)
    try packedToI420(s, result.plane0, result.plane1, result.plane2, isFullRange: isFullRange)
    return result
  }

  /// 10 bit to 8 bit.
  private func shorten(_ s: Pixels, to t: Pixels) {
    PlaneScaling.shorten(s.plane0, to: t.plane0, count: s.width, lines: s.height)
    PlaneScaling.shorten(s.plane1, to: t.plane1, count: s.chromaWidth * 2, lines: s.chromaHeight)
    written += PlaneExtent.byteCount(.nv12, width: s.width, height: s.height)
  }

  /// - Parameter isFullRange: of what is made of RGB.
  private func packedToI420(
    _ s: Pixels, _ y: PlanePointer, _ u: PlanePointer, _ v: PlanePointer, isFullRange: Bool
  ) throws(Failure) {
    let (w, h) = (CInt(s.width), CInt(s.height))
    let (from, stride) = (s.plane0.base, s.plane0.stride)
    switch s.format {
    case .yuyv: YUY2ToI420(from, stride, y.base, y.stride, u.base, u.stride, v.base, v.stride, w, h)
    case .uyvy: UYVYToI420(from, stride, y.base, y.stride, u.base, u.stride, v.base, v.stride, w, h)
    case .xrgb8888, .argb8888:
      let convert = isFullRange ? ARGBToJ420 : ARGBToI420
      _ = convert(from, stride, y.base, y.stride, u.base, u.stride, v.base, v.stride, w, h)
    case .xbgr8888:
      let convert = isFullRange ? ABGRToJ420 : ABGRToI420
      _ = convert(from, stride, y.base, y.stride, u.base, u.stride, v.base, v.stride, w, h)
    case .bgr24:
      let convert = isFullRange ? RGB24ToJ420 : RGB24ToI420
      _ = convert(from, stride, y.base, y.stride, u.base, u.stride, v.base, v.stride, w, h)
    // libyuv's "RAW" is R G B in memory, its "RGB24" the reverse.
    case .rgb24:
      let convert = isFullRange ? RAWToJ420 : RAWToI420
      _ = convert(from, stride, y.base, y.stride, u.base, u.stride, v.base, v.stride, w, h)
    default: throw Failure(.notSupported, "convert", on: "\(s.format)", "libyuv cannot read this format here")
    }
    written += PlaneExtent.byteCount(.i420, width: s.width, height: s.height)
  }

  private func constants(_ color: ColorDescription, isSwapped: Bool = false) -> UnsafePointer<YuvConstants>? {
    let number = color.matrix.rawValue
    return mpifs_yuv_constants(number == 10 ? 9 : CInt(number), color.isFullRange ? 1 : 0, isSwapped ? 1 : 0)
  }

  private func output(_ s: Pixels, _ t: Pixels) throws(Failure) {
    let (w, h) = (CInt(t.width), CInt(t.height))
    let (y, u, v, out) = (s.plane0, s.plane1, s.plane2, t.plane0)
    switch t.format {
    case .yuyv:
      I420ToYUY2(y.base, y.stride, u.base, u.stride, v.base, v.stride, out.base, out.stride, w, h)
    case .uyvy:
      I420ToUYVY(y.base, y.stride, u.base, u.stride, v.base, v.stride, out.base, out.stride, w, h)
    case .xrgb8888, .argb8888:
      I420ToARGBMatrix(
        y.base, y.stride, u.base, u.stride, v.base, v.stride, out.base, out.stride, constants(s.color), w, h)
    case .xbgr8888:
      // Red and blue change places when the differences do.
      I420ToARGBMatrix(
        y.base, y.stride, v.base, v.stride, u.base, u.stride, out.base, out.stride,
        constants(s.color, isSwapped: true), w, h)
    case .bgr24:
      I420ToRGB24Matrix(
        y.base, y.stride, u.base, u.stride, v.base, v.stride, out.base, out.stride, constants(s.color), w, h)
    case .grey: CopyPlane(y.base, y.stride, out.base, out.stride, w, h)
    case .rgb24:
      I420ToRGB24Matrix(
        y.base, y.stride, v.base, v.stride, u.base, u.stride, out.base, out.stride,
        constants(s.color, isSwapped: true), w, h)
    case .nv16:
      CopyPlane(y.base, y.stride, out.base, out.stride, w, h)
      // Each line of chroma serves two lines of the picture.
      let width = CInt(t.chromaWidth)
      let chroma = t.plane1
      MergeUVPlane(
        u.base, u.stride, v.base, v.stride, chroma.base, chroma.stride * 2, width, CInt((t.height + 1) / 2))
      MergeUVPlane(
        u.base, u.stride, v.base, v.stride, chroma.base + Int(chroma.stride), chroma.stride * 2, width,
        CInt(t.height / 2))
    default: throw Failure(.notSupported, "convert", on: "\(t.format)", "libyuv cannot make this format here")
    }
    written += PlaneExtent.byteCount(t.format, width: t.width, height: t.height)
  }

  // MARK: 4:2:0 to 4:2:0

  private func scale(_ s: Pixels, _ turn: Orientation.Turn, _ t: Pixels) throws(Failure) {
    try scalePlane(s.plane0, s.width, s.height, turn, t.plane0, t.width, t.height)
    if s.format == .i420 {
      try chroma(u: s.plane1, v: s.plane2, s.chromaWidth, s.chromaHeight, turn, t)
    } else {
      try interleavedChroma(s, turn, t)
    }
  }

  /// Scales and turns one plane, through scratch memory only when it needs both.
  private func scalePlane(
    _ s: PlanePointer, _ width: Int, _ height: Int, _ turn: Orientation.Turn, _ t: PlanePointer, _ newWidth: Int,
    _ newHeight: Int
  ) throws(Failure) {
    let swaps = turn == .clockwise || turn == .counterClockwise
    let (w, h) = swaps ? (newHeight, newWidth) : (newWidth, newHeight)
    if w == width, h == height {
      turnPlane(s, width, height, turn, t)
      return
    }
    let middle = turn == .none ? t : try unturned.plane(bytes: w, lines: h)
    if !scaling.scale(s, width, height, to: middle, w, h) {
      ScalePlane(
        s.base, s.stride, CInt(width), CInt(height), middle.base, middle.stride, CInt(w), CInt(h), kFilterBox)
    }
    written += w * h
    if turn != .none { turnPlane(middle, w, h, turn, t) }
  }

  private func turnPlane(_ s: PlanePointer, _ width: Int, _ height: Int, _ turn: Orientation.Turn, _ t: PlanePointer) {
    let (w, h) = (CInt(width), CInt(height))
    switch turn {
    case .none: CopyPlane(s.base, s.stride, t.base, t.stride, w, h)
    case .mirror: MirrorPlane(s.base, s.stride, t.base, t.stride, w, h)
    case .clockwise: RotatePlane(s.base, s.stride, t.base, t.stride, w, h, kRotate90)
    case .counterClockwise: RotatePlane(s.base, s.stride, t.base, t.stride, w, h, kRotate270)
    }
    written += width * height
  }

  /// Planar chroma of the source into whatever chroma the target has.
  private func chroma(
    u: PlanePointer, v: PlanePointer, _ width: Int, _ height: Int, _ turn: Orientation.Turn, _ t: Pixels
  ) throws(Failure) {
    let (w, h) = (t.chromaWidth, t.chromaHeight)
    if t.format == .i420 {
      try scalePlane(u, width, height, turn, t.plane1, w, h)
      try scalePlane(v, width, height, turn, t.plane2, w, h)
    } else if turn == .none, w == width, h == height {
      merge(u, v, t)
    } else {
      let (a, b) = (try mergeU.plane(bytes: w, lines: h), try mergeV.plane(bytes: w, lines: h))
      try scalePlane(u, width, height, turn, a, w, h)
      try scalePlane(v, width, height, turn, b, w, h)
      merge(a, b, t)
    }
  }

  /// Interleaved chroma of the source into whatever chroma the target has.
  private func interleavedChroma(_ s: Pixels, _ turn: Orientation.Turn, _ t: Pixels) throws(Failure) {
    let (width, height) = (s.chromaWidth, s.chromaHeight)
    let (w, h) = (t.chromaWidth, t.chromaHeight)
    let swaps = turn == .clockwise || turn == .counterClockwise
    let sameSize = swaps ? (w == height && h == width) : (w == width && h == height)
    let (uv, to) = (s.plane1, t.plane1)
    if sameSize, turn == .none || turn == .mirror, t.format == s.format {
      if turn == .none {
        copy(uv, to, width * 2, height)
      } else {
        MirrorUVPlane(uv.base, uv.stride, to.base, to.stride, CInt(width), CInt(height))
        written += width * height * 2
      }
    } else if sameSize, turn == .none, t.format != .i420 {
      SwapUVPlane(uv.base, uv.stride, to.base, to.stride, CInt(width), CInt(height))
      written += width * height * 2
    } else if sameSize {
      let planar = t.format == .i420
      let u = planar ? t.plane1 : try mergeU.plane(bytes: w, lines: h)
      let v = planar ? t.plane2 : try mergeV.plane(bytes: w, lines: h)
      let (a, b) = s.format == .nv12 ? (u, v) : (v, u)
      splitTurned(uv, width, height, turn, a, b)
      if !planar { merge(u, v, t) }
    } else if let scaled = try scaledPairs(s, turn, t) {
      if scaled.plane1.base != to.base {
        try interleavedChroma(scaled, turn, t)
      } else if t.format != s.format {
        SwapUVPlane(to.base, to.stride, to.base, to.stride, CInt(w), CInt(h))
        written += w * h * 2
      }
    } else {
      // Scaled as two planes: libyuv's interleaved scaler only averages at exact halves.
      let (u, v) = (try splitU.plane(bytes: width, lines: height), try splitV.plane(bytes: width, lines: height))
      let (a, b) = s.format == .nv12 ? (u, v) : (v, u)
      splitTurned(uv, width, height, .none, a, b)
      try chroma(u: u, v: v, width, height, turn, t)
    }
  }

  /// Interleaved chroma in the target's size but not yet turned or taken apart: in its place where nothing else is to be done.
  /// - Returns: `nil` where the kernels do not do it.
  private func scaledPairs(_ s: Pixels, _ turn: Orientation.Turn, _ t: Pixels) throws(Failure) -> Pixels? {
    var scaled = s
    let swaps = turn == .clockwise || turn == .counterClockwise
    (scaled.width, scaled.height) = swaps ? (t.height, t.width) : (t.width, t.height)
    let (w, h) = (scaled.chromaWidth, scaled.chromaHeight)
    if turn != .none || t.format == .i420 {
      scaled.plane1 = try unturnedPairs.plane(bytes: w * 2, lines: h)
    } else {
      scaled.plane1 = t.plane1
    }
    guard scaling.scale(s.plane1, s.chromaWidth, s.chromaHeight, to: scaled.plane1, w, h, channels: 2) else {
      return nil
    }
    written += w * h * 2
    return scaled
  }

  private func splitTurned(
    _ uv: PlanePointer, _ width: Int, _ height: Int, _ turn: Orientation.Turn, _ a: PlanePointer, _ b: PlanePointer
  ) {
    let (w, h) = (CInt(width), CInt(height))
    switch turn {
    case .none: SplitUVPlane(uv.base, uv.stride, a.base, a.stride, b.base, b.stride, w, h)
    case .mirror:
      // Half a turn of the picture read from the bottom up.
      let from = uv.upsideDown(lines: height)
      SplitRotateUV(from.base, from.stride, a.base, a.stride, b.base, b.stride, w, h, kRotate180)
    case .clockwise: SplitRotateUV(uv.base, uv.stride, a.base, a.stride, b.base, b.stride, w, h, kRotate90)
    case .counterClockwise: SplitRotateUV(uv.base, uv.stride, a.base, a.stride, b.base, b.stride, w, h, kRotate270)
    }
    written += width * height * 2
  }

  private func merge(_ u: PlanePointer, _ v: PlanePointer, _ t: Pixels) {
    let (a, b) = t.format == .nv12 ? (u, v) : (v, u)
    MergeUVPlane(
      a.base, a.stride, b.base, b.stride, t.plane1.base, t.plane1.stride, CInt(t.chromaWidth), CInt(t.chromaHeight))
    written += t.chromaWidth * t.chromaHeight * 2
  }

  private func copy(_ s: PlanePointer, _ t: PlanePointer, _ bytes: Int, _ lines: Int) {
    CopyPlane(s.base, s.stride, t.base, t.stride, CInt(bytes), CInt(lines))
    written += bytes * lines
  }
}
