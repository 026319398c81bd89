// SPDX-License-Identifier: Apache-2.0
import CTurboJPEG
import CYUV
import MediaCore
import SystemPackage

/// Owner of one decompressor of libturbojpeg and of the scratch memory between it and the picture. Serial use.
///
/// A 4:2:0 picture of even size is decoded into the target itself; others (most cameras give 4:2:2) go through scratch
/// planes, since the library gives the samples as they are coded. They stay so: BT.601 in the whole range 0..255.
struct JPEGDecompressor: ~Copyable {
  private var handle: JPEGHandle
  private var y = Scratch()
  private var u = Scratch()
  private var v = Scratch()
  private var halfU = Scratch()
  private var halfV = Scratch()
  private var ending = JPEGEnding()

  /// So many more columns or lines than wanted, a picture has another size.
  private static let largestMargin = 64

  private typealias Header = JPEGHandle.Header

  init() throws(Failure) { self.init(try JPEGHandle()) }

  /// Throws nothing: Swift 6.2 loses track of what a half-made value owns, and its compiler ends.
  private init(_ handle: consuming JPEGHandle) { self.handle = handle }

  /// Decodes a whole picture into `target`, I420 or NV12.
  ///
  /// A picture that is larger than the target, as of cameras that code whole blocks, is cut at its right and lower edge.
  /// Pictures without Huffman tables, as UVC cameras send, have the usual ones (T.81, K.3); one that lacks nothing but
  /// its end marker is whole.
  /// - Returns: bytes of pixels written, scratch included.
  /// - Throws: EILSEQ for a picture that is cut off or otherwise damaged, or smaller than the target or far larger.
  mutating func decompress(_ bytes: UnsafeRawBufferPointer, to target: Pixels) throws(Failure) -> Int {
    do throws(Failure) {
      return try decode(try ending.complete(bytes), to: target)
    } catch {
      handle.restart()
      throw error
    }
  }

  private mutating func decode(_ bytes: UnsafeRawBufferPointer, to target: Pixels) throws(Failure) -> Int {
    let header = try self.header(bytes)
    // Cameras code whole blocks, 32 across and down at most; a damaged size must not be believed and memory got for it.
    let margin = JPEGDecompressor.largestMargin
    guard (target.width..<target.width + margin).contains(Int(header.width)),
      (target.height..<target.height + margin).contains(Int(header.height))
    else {
      throw JPEGDecompressor.damaged(
        "a picture of \(header.width)x\(header.height) instead of \(target.width)x\(target.height)")
    }
    let isDirect =
      target.format == .i420 && header.subsampling == CInt(TJSAMP_420.rawValue) && header.width == target.width
      && header.height == target.height && target.width % 2 == 0 && target.height % 2 == 0
    let written: Int
    if isDirect {
      try decode(bytes, header, target.plane0, target.plane1, target.plane2)
      written = target.width * target.height * 3 / 2
    } else {
      written = try decodeThroughScratch(bytes, header, target)
    }
    return written
  }

  private func header(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> Header {
    var header = Header()
    guard handle.read(&header, of: bytes) || handle.isWarning else { throw JPEGDecompressor.damaged(handle.message) }
    guard header.width > 0, header.height > 0, header.subsampling >= 0 else {
      throw JPEGDecompressor.damaged("there is no picture in it")
    }
    guard header.colours == CInt(TJCS_YCbCr.rawValue) || header.colours == CInt(TJCS_GRAY.rawValue) else {
      throw JPEGDecompressor.damaged("its colours are not those of a camera's JPEG")
    }
    return header
  }

  private func decode(
    _ bytes: UnsafeRawBufferPointer, _ header: Header, _ a: PlanePointer, _ b: PlanePointer, _ c: PlanePointer
  ) throws(Failure) {
    if handle.decode(bytes, header, a, b, c) { return }
    let reason = handle.message
    // Bytes too many between two markers cost nothing, and some cameras send them in every picture. Only the first
    // warning is told: that the picture is whole is looked up.
    if handle.isWarning, reason.contains("extraneous"), ending.hasOwn { return }
    throw JPEGDecompressor.damaged(reason)
  }

  private static func damaged(_ reason: String) -> Failure {
    Failure(.illegalByteSequence, "decode", on: "JPEG picture", reason)
  }

  private mutating func decodeThroughScratch(
    _ bytes: UnsafeRawBufferPointer, _ header: Header, _ target: Pixels
  ) throws(Failure) -> Int {
    let (width, height) = (Int(tjPlaneWidth(0, header.width, header.subsampling)), lines(0, header))
    let luma = try y.plane(bytes: width, lines: height)
    if header.subsampling == CInt(TJSAMP_GRAY.rawValue) {
      try decode(bytes, header, luma, luma, luma)
      CopyPlane(
        luma.base, luma.stride, target.plane0.base, target.plane0.stride, CInt(target.width), CInt(target.height))
      fillChroma(target)
      return width * height + PlaneExtent.byteCount(target.format, width: target.width, height: target.height)
    }
    let (chromaWidth, chromaHeight) = (Int(tjPlaneWidth(1, header.width, header.subsampling)), lines(1, header))
    let cb = try u.plane(bytes: chromaWidth, lines: chromaHeight)
    let cr = try v.plane(bytes: chromaWidth, lines: chromaHeight)
    try decode(bytes, header, luma, cb, cr)
    CopyPlane(
      luma.base, luma.stride, target.plane0.base, target.plane0.stride, CInt(target.width), CInt(target.height))
    // The part of the chroma that belongs to the target, whatever the picture's own subsampling.
    let usedWidth = max(1, (target.width * chromaWidth + Int(header.width) - 1) / Int(header.width))
    let usedHeight = max(1, (target.height * chromaHeight + Int(header.height) - 1) / Int(header.height))
    let (halfWidth, halfHeight) = (target.chromaWidth, target.chromaHeight)
    func scale(_ from: PlanePointer, to: PlanePointer) {
      ScalePlane(
        from.base, from.stride, CInt(usedWidth), CInt(usedHeight), to.base, to.stride, CInt(halfWidth),
        CInt(halfHeight), kFilterBox)
    }
    if target.format == .i420 {
      scale(cb, to: target.plane1)
      scale(cr, to: target.plane2)
    } else {
      let a = try halfU.plane(bytes: halfWidth, lines: halfHeight)
      let b = try halfV.plane(bytes: halfWidth, lines: halfHeight)
      scale(cb, to: a)
      scale(cr, to: b)
      MergeUVPlane(
        a.base, a.stride, b.base, b.stride, target.plane1.base, target.plane1.stride, CInt(halfWidth),
        CInt(halfHeight))
    }
    return width * height + 2 * chromaWidth * chromaHeight
      + PlaneExtent.byteCount(target.format, width: target.width, height: target.height)
  }

  private func lines(_ component: CInt, _ header: Header) -> Int {
    Int(tjPlaneHeight(component, header.height, header.subsampling))
  }

  private func fillChroma(_ target: Pixels) {
    let (width, height) = (CInt(target.chromaWidth), CInt(target.chromaHeight))
    if target.format == .i420 {
      SetPlane(target.plane1.base, target.plane1.stride, width, height, 128)
      SetPlane(target.plane2.base, target.plane2.stride, width, height, 128)
    } else {
      SetPlane(target.plane1.base, target.plane1.stride, width * 2, height, 128)
    }
  }
}
