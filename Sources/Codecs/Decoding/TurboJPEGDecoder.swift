// SPDX-License-Identifier: Apache-2.0
import CTurboJPEG
import CYUV
public import MediaCore
import Synchronization

/// Motion JPEG decoding with libturbojpeg (BSD/IJG).
public struct TurboJPEGDecoderFactory: DecoderFactory {
  public init() {}
  public var name: String { "turbojpeg" }
  public var codecs: [Codec] { [.mjpeg] }
  public var isHardware: Bool { false }
  public var priority: Int { 40 }

  public func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder {
    guard configuration.codec == .mjpeg else {
      throw Failure(.notSupported, "open", on: name, "turbojpeg decodes mjpeg, not \(configuration.codec.rawValue)")
    }
    return try TurboJPEGDecoder(configuration)
  }
}

/// One motion JPEG decoding channel of libturbojpeg. 4:2:0 pictures are decoded straight into the pool; other
/// samplings go through scratch memory and libyuv. Samples stay as they were coded, as hardware decoders do it, so that
/// what `venc` made comes back as it was.
///
/// Owns the library's decompressor and the pictures' pool. Serial use, as ``Decoder`` says.
final class TurboJPEGDecoder: Decoder, @unchecked Sendable {
  let engine = JPEGCompressor.engine
  /// Each picture stands alone; of a damaged one there is what came before the damage.
  var entry: DecoderEntry { .keyPictureOnce }
  var layout: FrameLayout? { shown.withLock { $0.layout } }
  var memoryKind: String { pictures.memoryKind }
  var pool: (any BufferPool)? { pictures.pool }
  var counters: DecoderCounters { shown.withLock { $0.counters } }
  var remarks: [String] {
    let sampling = shown.withLock { $0.sampling }
    return sampling.isEmpty ? [] : ["pictures are \(sampling), converted to i420"]
  }

  private struct Shown {
    var layout: FrameLayout?
    var sampling = ""
    var counters = DecoderCounters()
  }

  private var handle: JPEGHandle
  private var ending = JPEGEnding()
  private let pictures: PicturePool
  private let shown = Mutex(Shown())
  private var sequence: UInt64 = 0
  private var y = Scratch()
  private var u = Scratch()
  private var v = Scratch()

  init(_ configuration: DecoderConfiguration) throws(Failure) {
    handle = try JPEGHandle()
    pictures = PicturePool(configuration)
  }

  func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    guard unit.count > 0 else { return }
    do throws(Failure) {
      try decode(try ending.complete(unit), pts: pts, into: &sink)
    } catch {
      // Whatever it was, the next picture is begun from the start.
      handle.restart()
      throw error
    }
  }

  private func decode<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure) {
    var header = JPEGHandle.Header()
    guard handle.read(&header, of: unit) else {
      throw Failure(.illegalByteSequence, "tjDecompressHeader", on: "turbojpeg", handle.message)
    }
    let (w, h) = (Int(header.width), Int(header.height))
    // A block of 8x8 samples has a code of its own, of a bit at least, an eighth of that where it is coded arithmetically: no
    // memory is got for a size that so few bytes cannot fill.
    guard w * h / 64 <= unit.count * 64 else {
      throw Failure(.illegalByteSequence, "decode", on: "turbojpeg", "\(w)x\(h) in \(unit.count) bytes")
    }
    // Decoding writes whole pairs of lines and columns; an odd last one is left off what is shown.
    guard var whole = FrameLayout(.i420, width: (w + 1) & ~1, height: (h + 1) & ~1, alignment: 64),
      (2...16384).contains(w), (2...16384).contains(h)
    else { throw Failure(.illegalByteSequence, "decode", on: "turbojpeg", "a picture of \(w)x\(h)") }
    whole.color = .jfif
    var new = whole
    if w % 2 != 0 { new.width = Int32(w & ~1) }
    if h % 2 != 0 { new.height = Int32(h & ~1) }
    let isNewPool = try pictures.prepare(size: whole.byteCount)
    let frame = Frame(
      try pictures.take(), layout: whole, pts: pts, sequence: sequence, stamps: FrameStamps())
    sequence += 1
    let target = try frame.beginPixels(write: true)
    var outcome: Result<Int, Failure>
    do throws(Failure) {
      outcome = .success(try decompress(unit, header, target))
    } catch {
      outcome = .failure(error)
    }
    try frame.endPixels(write: true)
    let copied = try outcome.get()
    note(new, isNewPool: isNewPool, sampling: TurboJPEGDecoder.name(header.subsampling), copied: copied)
    var made = frame
    made.layout = new
    sink.picture(made)
  }

  private func note(_ new: FrameLayout, isNewPool: Bool, sampling: String, copied: Int) {
    shown.withLock { shown in
      if shown.layout != nil, shown.layout != new { shown.counters.layoutChanges += 1 }
      shown.layout = new
      if shown.sampling != sampling { shown.sampling = sampling }
      shown.counters.bytesCopied += UInt64(copied)
    }
  }

  /// - Returns: bytes of pixels written besides the decoding itself.
  private func decompress(
    _ unit: UnsafeRawBufferPointer, _ header: JPEGHandle.Header, _ target: Pixels
  ) throws(Failure) -> Int {
    let (sampling, w, h) = (header.subsampling, Int(header.width), Int(header.height))
    if sampling == CInt(TJSAMP_420.rawValue) {
      try planes(unit, header, target.plane0, target.plane1, target.plane2)
      return 0
    }
    let chromaWidth = Int(tjPlaneWidth(1, CInt(w), sampling))
    let chromaHeight = Int(tjPlaneHeight(1, CInt(h), sampling))
    let luma = try y.plane(
      bytes: Int(tjPlaneWidth(0, CInt(w), sampling)), lines: Int(tjPlaneHeight(0, CInt(h), sampling)))
    if sampling == CInt(TJSAMP_GRAY.rawValue) {
      try planes(unit, header, luma, luma, luma)
      I400ToI420(
        luma.base, luma.stride, target.plane0.base, target.plane0.stride, target.plane1.base, target.plane1.stride,
        target.plane2.base, target.plane2.stride, CInt(w), CInt(h))
    } else {
      let cb = try u.plane(bytes: chromaWidth, lines: chromaHeight)
      let cr = try v.plane(bytes: chromaWidth, lines: chromaHeight)
      try planes(unit, header, luma, cb, cr)
      let convert =
        switch sampling {
        case CInt(TJSAMP_422.rawValue): I422ToI420
        case CInt(TJSAMP_444.rawValue): I444ToI420
        default:
          throw Failure(
            .notSupported, "decode", on: "turbojpeg", "pictures are \(TurboJPEGDecoder.name(sampling))")
        }
      _ = convert(
        luma.base, luma.stride, cb.base, cb.stride, cr.base, cr.stride, target.plane0.base, target.plane0.stride,
        target.plane1.base, target.plane1.stride, target.plane2.base, target.plane2.stride, CInt(w), CInt(h))
    }
    return PlaneExtent.byteCount(.i420, width: w, height: h)
  }

  private func planes(
    _ unit: UnsafeRawBufferPointer, _ header: JPEGHandle.Header, _ y: PlanePointer, _ u: PlanePointer,
    _ v: PlanePointer
  ) throws(Failure) {
    if handle.decode(unit, header, y, u, v) { return }
    guard handle.isWarning else {
      throw Failure(.illegalByteSequence, "tjDecompressToYUVPlanes", on: "turbojpeg", handle.message)
    }
    shown.withLock { $0.counters.damaged += 1 }
  }

  /// Empty for 4:2:0, which is what comes out.
  private static func name(_ sampling: CInt) -> String {
    switch sampling {
    case CInt(TJSAMP_420.rawValue): ""
    case CInt(TJSAMP_422.rawValue): "4:2:2"
    case CInt(TJSAMP_444.rawValue): "4:4:4"
    case CInt(TJSAMP_GRAY.rawValue): "grey"
    case CInt(TJSAMP_440.rawValue): "4:4:0"
    default: "4:1:1"
    }
  }

  /// Nothing is ever delayed inside.
  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
  func flush() throws(Failure) {}
  func interrupt() { pictures.interrupt() }
}
