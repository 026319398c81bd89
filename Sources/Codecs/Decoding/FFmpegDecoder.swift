// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  import CMediaFile
  import MediaCore
  import Synchronization
  import SystemPackage

  /// One decoding channel of libavcodec.
  ///
  /// 4:2:0 pictures of 8 bit are decoded straight into the pool and handed on while the decoder still refers to them;
  /// when the graph holds all of the pool, and for other formats, they are copied, which is counted. The samples' range
  /// stays as it was coded.
  ///
  /// Owns the library's decoder and the pictures' pool. Serial use, as ``Decoder`` says.
  final class FFmpegDecoder: Decoder, @unchecked Sendable {
    let engine: String
    /// It makes up what is missing; a picture of H.264 it shows only from a recovery point on.
    let entry: DecoderEntry
    var layout: FrameLayout? { shown.withLock { $0.layout } }
    var memoryKind: String { pictures.memoryKind }
    var pool: (any BufferPool)? { pictures.pool }
    var counters: DecoderCounters { shown.withLock { $0.counters } }
    var remarks: [String] {
      let pixels = shown.withLock { $0.pixels }
      return pixels.isEmpty ? [] : ["pictures are \(pixels), converted to i420"]
    }

    private struct Shown {
      var layout: FrameLayout?
      /// How pictures lie that had to be converted; empty while they need not.
      var pixels = ""
      var counters = DecoderCounters()
    }

    private let handle: FFmpegDecoderHandle
    private let loans: PictureLoans
    private let pictures: PicturePool
    private let shown = Mutex(Shown())
    private var sequence: UInt64 = 0

    init(_ codec: String, _ configuration: DecoderConfiguration) throws(Failure) {
      pictures = PicturePool(configuration)
      loans = PictureLoans(pictures)
      entry = configuration.codec == .h264 || configuration.codec == .h265 ? .anywhere : .keyPictureOnce
      handle = try FFmpegDecoderHandle(try MediaLibrary.load(), codec, loans)
      engine = handle.engine
    }

    func submit<Sink: FrameSink & ~Copyable>(
      _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
    ) throws(Failure) {
      guard let bytes = unit.baseAddress?.assumingMemoryBound(to: UInt8.self), unit.count > 0 else { return }
      var refusal: Failure?
      do throws(Failure) {
        try handle.send(bytes, unit.count, pts)
      } catch {
        refusal = FFmpegDecoder.named(error)
      }
      // Pictures that were finished before come out all the same.
      try receive(into: &sink)
      if let refusal { throw refusal }
    }

    func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
      // A decoder that was told of the end takes nothing more until it is flushed, whatever came of the rest.
      defer { handle.flush() }
      try handle.send(nil, 0, 0)
      try receive(into: &sink)
    }

    func flush() throws(Failure) { handle.flush() }

    func interrupt() { pictures.interrupt() }

    /// Of what cannot be decoded the library says "invalid data", -1 (which is EPERM), or that it is not implemented.
    private static func named(_ failure: Failure) -> Failure {
      var named = failure
      switch named.errno {
      case .noMemory, .noBufferSpace, .canceled, .interrupted, .argListTooLong: break
      default: named.errno = .illegalByteSequence
      }
      return named
    }

    private func receive<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
      var picture = mpifs_decoded_picture()
      var refusal: Failure?
      // One unit gives a few pictures at most, a drained decoder those it held back; the bound is against a library
      // that never stops complaining.
      for _ in 0..<64 {
        do throws(Failure) {
          guard try handle.receive(&picture) else { break }
        } catch {
          if refusal == nil { refusal = FFmpegDecoder.named(error) }
          continue
        }
        do throws(Failure) {
          try give(picture, into: &sink)
        } catch {
          if refusal == nil { refusal = error }
        }
      }
      if let refusal { throw refusal }
    }

    private func give<Sink: FrameSink & ~Copyable>(
      _ picture: mpifs_decoded_picture, into sink: inout Sink
    ) throws(Failure) {
      // 4:2:0 receivers need even sizes: an odd last column or line is left off.
      let (width, height) = (Int(picture.width) & ~1, Int(picture.height) & ~1)
      let format: PixelFormat = picture.format == CInt(MPIFS_MEDIA_NV12) ? .nv12 : .i420
      guard let tight = FrameLayout(format, width: width, height: height, alignment: 64) else {
        throw Failure(.illegalByteSequence, "decode", on: "ffmpeg", "a picture of \(picture.width)x\(picture.height)")
      }
      if picture.damaged != 0 { shown.withLock { $0.counters.damaged += 1 } }
      if let owner = picture.owner {
        let loan = Unmanaged<PictureLoan>.fromOpaque(owner).takeUnretainedValue()
        var layout = tight
        (layout.color, layout.aspect) = (ColorDescription(picture.color), SampleAspect(picture.color))
        layout.plane0 = plane(picture, 0, height)
        layout.plane1 = plane(picture, 1, height / 2)
        if format == .i420 { layout.plane2 = plane(picture, 2, height / 2) }
        guard let ref = loan.share(as: pictures.user) else {
          throw Failure(.ioError, "decode", on: "ffmpeg", "a picture whose memory is gone")
        }
        note(layout, copied: 0, picture)
        let frame = Frame(ref, layout: layout, pts: picture.pts, sequence: sequence, stamps: FrameStamps())
        sequence += 1
        try frame.endPixels(write: true)
        sink.picture(frame)
        return
      }
      try giveCopy(picture, sized: width, height, into: &sink)
    }

    private func plane(_ picture: mpifs_decoded_picture, _ index: Int, _ lines: Int) -> Plane {
      let (offset, stride) =
        switch index {
        case 0: (picture.offset.0, picture.stride.0)
        case 1: (picture.offset.1, picture.stride.1)
        default: (picture.offset.2, picture.stride.2)
        }
      return Plane(offset: Int32(truncatingIfNeeded: offset), stride: stride, lines: Int32(lines))
    }

    private func giveCopy<Sink: FrameSink & ~Copyable>(
      _ picture: mpifs_decoded_picture, sized width: Int, _ height: Int, into sink: inout Sink
    ) throws(Failure) {
      // The library writes whole pairs of lines and columns.
      guard
        var layout = FrameLayout(
          .i420, width: (Int(picture.width) + 1) & ~1, height: (Int(picture.height) + 1) & ~1, alignment: 64)
      else { throw Failure(.illegalByteSequence, "decode", on: "ffmpeg", "a picture without a size") }
      (layout.color, layout.aspect) = (ColorDescription(picture.color), SampleAspect(picture.color))
      if pictures.pool.map({ $0.bufferSize < layout.byteCount }) ?? true {
        try pictures.prepare(size: layout.byteCount)
      }
      var frame = Frame(
        try pictures.take(), layout: layout, pts: picture.pts, sequence: sequence, stamps: FrameStamps())
      sequence += 1
      let target = try frame.beginPixels(write: true)
      var failure: Failure?
      do throws(Failure) {
        try handle.copy(target)
      } catch {
        failure = error
      }
      try frame.endPixels(write: true)
      if let failure { throw failure }
      layout.width = Int32(width)
      layout.height = Int32(height)
      frame.layout = layout
      note(layout, copied: PlaneExtent.byteCount(.i420, width: width, height: height), picture)
      sink.picture(frame)
    }

    private func note(_ new: FrameLayout, copied: Int, _ picture: mpifs_decoded_picture) {
      shown.withLock { shown in
        if let old = shown.layout, (old.width, old.height, old.format) != (new.width, new.height, new.format) {
          shown.counters.layoutChanges += 1
        }
        shown.layout = new
        shown.counters.bytesCopied += UInt64(copied)
        guard copied > 0, shown.pixels.isEmpty else { return }
        let pixels = MediaFile.text(picture.pixels)
        // Those are copied only when the graph holds the whole pool.
        if !["yuv420p", "yuvj420p", "nv12"].contains(pixels) { shown.pixels = pixels }
      }
    }
  }

  /// Owner of one decoder of the library. Goes before the loans it has are looked at again.
  private struct FFmpegDecoderHandle: ~Copyable {
    private let functions: UnsafePointer<mpifs_decoder_functions>
    private let handle: OpaquePointer
    let engine: String

    init(_ library: MediaLibrary, _ codec: String, _ loans: PictureLoans) throws(Failure) {
      guard let functions = library.functions.pointee.decoder else {
        throw Failure(.notSupported, "open", on: "ffmpeg", "this build decodes nothing")
      }
      var hooks = mpifs_picture_hooks(
        context: Unmanaged.passUnretained(loans).toOpaque(),
        take: { context, request in
          guard let context, let request else { return mpifs_picture_memory() }
          return Unmanaged<PictureLoans>.fromOpaque(context).takeUnretainedValue().lend(request.pointee)
        },
        release: { owner, _ in
          guard let owner else { return }
          Unmanaged<PictureLoan>.fromOpaque(owner).takeRetainedValue().end()
        })
      var made: OpaquePointer?
      var name = ""
      try MediaFile.call("open", "ffmpeg") { message, size in
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
          buffer[0] = 0
          let result = functions.pointee.open(codec, &hooks, &made, buffer.baseAddress, message, size)
          if let base = buffer.baseAddress { name = String(cString: base) }
          return result
        }
      }
      guard let made else { throw Failure(.ioError, "open", on: "ffmpeg") }
      self.functions = functions
      handle = made
      engine = name
    }

    deinit { functions.pointee.close(handle) }

    func send(_ bytes: UnsafePointer<UInt8>?, _ count: Int, _ pts: Int64) throws(Failure) {
      guard let count = Int32(exactly: count) else { throw Failure(.argListTooLong, "decode", on: "ffmpeg") }
      try MediaFile.call("decode", "ffmpeg") { functions.pointee.send(handle, bytes, count, pts, $0, $1) }
    }

    func receive(_ picture: inout mpifs_decoded_picture) throws(Failure) -> Bool {
      try MediaFile.call("decode", "ffmpeg") { functions.pointee.receive(handle, &picture, $0, $1) }
    }

    func copy(_ target: Pixels) throws(Failure) {
      try MediaFile.call("convert", "ffmpeg") { message, size in
        withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<UInt8>?.self, capacity: 3) { planes in
          planes[0] = target.plane0.base
          planes[1] = target.plane1.base
          planes[2] = target.plane2.base
          var strides = (target.plane0.stride, target.plane1.stride, target.plane2.stride)
          return withUnsafeMutablePointer(to: &strides) { tuple in
            tuple.withMemoryRebound(to: Int32.self, capacity: 3) {
              functions.pointee.copy(handle, planes.baseAddress, $0, message, size)
            }
          }
        }
      }
    }

    func flush() { functions.pointee.flush(handle) }
  }
#endif
