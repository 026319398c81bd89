// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// Media files of any container and codec FFmpeg reads, played over and over.
///
/// Registered in every build; one without the trait FFmpeg refuses files by saying so.
public struct MediaFileSourceFactory: SourceFactory {
  public init() {}

  public func handles(_ input: InputSpecification) -> Bool {
    if case .file = input { true } else { false }
  }

  public func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    guard case .file(let path) = input else {
      throw Failure(.invalidArgument, "open", on: "\(input)", "not a media file")
    }
    #if FFmpeg
      return try MediaFileSource(path, request)
    #else
      throw Failure(.notSupported, "open", on: path, "this build has no FFmpeg")
    #endif
  }
}

#if FFmpeg
  import Base
  import CMediaFile
  import Glibc
  import Synchronization
  import SystemPackage

  /// Plays one file from its first picture to its last, then again, time stamps going on without a step back.
  ///
  /// Pictures come at the size and format asked, as I420 or NV12, at the file's own rate. Owns the file and its pool.
  final class MediaFileSource: Source, @unchecked Sendable {
    let summary: String
    /// Colour and shape are those of the picture given last.
    var layout: FrameLayout { shown.withLock { $0 } }
    let frameRate: FrameRate
    let isLive = false
    let remarks: [String]
    var memoryKind: String { ownPool.memoryKind }
    var pool: (any BufferPool)? { ownPool }

    let facts: [(key: String, value: String)]

    private let file: MediaFile
    private let shown: Mutex<FrameLayout>
    private let ownPool: Pool
    private let user: UserSlot
    private let converter = PixelConverter()
    private let upright = Orientation(PictureTransform())
    private let wake = Wake(false)
    private let signal: @Sendable () -> Void
    private let interrupted = Atomic<Bool>(false)
    private let copied = Atomic<UInt64>(0)
    private let damaged = Atomic<UInt64>(0)
    private let loops = Atomic<UInt64>(0)

    // Only the thread in `next` touches these.
    private var sequence: UInt64 = 0
    private var picturesThisPass = 0
    private var timeline = PlayTimeline()
    private var countedRefused: UInt64 = 0

    init(_ path: String, _ request: SourceRequest) throws(Failure) {
      guard request.format == .i420 || request.format == .nv12 else {
        throw Failure(.notSupported, "format", on: path, "media files come as i420 or nv12, not \(request.format)")
      }
      let file = try MediaFile(try MediaLibrary.load(), path: path, threads: 2)
      let info = file.info
      // 0 asks for the file's own size; 4:2:0 encoders need it even, so an odd last column or line is left off.
      let (width, height) = request.size(ofOwn: Int(info.width), Int(info.height))
      guard var layout = FrameLayout(request.format, width: width, height: height) else {
        throw Failure(.outOfRange, "size", on: path, "\(width)x\(height): 2x2 to 16384x16384")
      }
      MediaFileSource.describe(&layout, info.color, (Int(info.width), Int(info.height)))
      shown = Mutex(layout)
      facts = MediaFile.facts(info)
      frameRate = FrameRate(Int(info.rate_num), Int(info.rate_den)) ?? request.frameRate
      user = request.user
      let pixels = MediaFile.text(info.pixels)
      summary = "file \(fileName(path)) (\(MediaFile.text(info.codec)) in \(MediaFile.text(info.container)))"
      var remarks: [String] = []
      if Int(info.width) != width || Int(info.height) != height {
        let cut = [Int(info.width) - width, Int(info.height) - height]
        let isCut = cut.allSatisfy { $0 == 0 || $0 == 1 }
        let parts = [cut[0] == 1 ? "column" : nil, cut[1] == 1 ? "line" : nil].compactMap { $0 }.joined(
          separator: " and ")
        remarks.append(
          "file is \(info.width)x\(info.height), "
            + (isCut ? "its last \(parts) left off" : "scaled to \(width)x\(height)"))
      }
      if pixels != "yuv420p", pixels != "nv12" { remarks.append("file is \(pixels), converted to \(request.format)") }
      if frameRate != request.frameRate { remarks.append("file has \(frameRate) frames/s") }
      self.remarks = remarks
      ownPool = try Pool.serving(
        request.pool, name: request.poolName, size: layout.byteCount, count: max(2, request.bufferCount),
        allocator: request.allocator)
      self.file = file
      let wake = wake
      signal = { wake.signal() }
    }

    deinit { ownPool.leave() }

    var counters: SourceCounters {
      var counters = SourceCounters()
      counters.damaged = damaged.load(ordering: .relaxed)
      counters.bytesCopied = copied.load(ordering: .relaxed)
      return counters
    }

    func next() throws(Failure) -> Frame? {
      guard let picture = try nextPicture() else { return nil }
      while !interrupted.load(ordering: .acquiring) {
        guard let ref = ownPool.take(as: user, orWaits: true) else {
          ownPool.whenFree(as: user, signal)
          wake.waitForSignal()
          continue
        }
        return try frame(of: picture, in: ref)
      }
      return nil
    }

    /// The next picture of the file, from its start again after the last one; `nil` when interrupted.
    private func nextPicture() throws(Failure) -> mpifs_media_picture? {
      while !interrupted.load(ordering: .acquiring) {
        let next: mpifs_media_picture?
        do throws(Failure) {
          next = try file.next()
        } catch {
          countRefused()
          if interrupted.load(ordering: .acquiring) { return nil }
          throw error
        }
        countRefused()
        if let next {
          if next.damaged != 0 { damaged.add(1, ordering: .relaxed) }
          picturesThisPass += 1
          return next
        }
        guard picturesThisPass > 0 else {
          throw Failure(
            Errno(rawValue: EBADMSG), "read", on: file.path,
            "no picture of it can be decoded (\(file.refused) packets refused)")
        }
        do throws(Failure) {
          try file.rewind()
        } catch {
          if interrupted.load(ordering: .acquiring) { return nil }
          throw error
        }
        picturesThisPass = 0
        timeline.beginPass()
      }
      return nil
    }

    /// Packets the decoder refused are damage a reader of the counters should see.
    private func countRefused() {
      let refused = file.refused
      damaged.add(refused - countedRefused, ordering: .relaxed)
      countedRefused = refused
    }

    private func frame(of picture: mpifs_media_picture, in ref: consuming BufferRef) throws(Failure) -> Frame {
      var layout = shown.withLock { $0 }
      MediaFileSource.describe(&layout, picture.color, (Int(picture.width), Int(picture.height)))
      let frame = Frame(
        ref, layout: layout,
        pts: timeline.time(
          of: picture.pts, duration: picture.duration, interval: frameRate.intervalNanoseconds / 1000),
        sequence: sequence, stamps: FrameStamps(captured: Clock.now()), isOwn: true)
      let target = try frame.beginPixels(write: true)
      var result: Result<Int, Failure> = .success(0)
      do throws(Failure) {
        var source = try MediaFileSource.pixels(picture, file.path)
        source.color = layout.color
        // At the file's own size an odd last column or line is cut off, not squeezed in.
        if source.width == target.width + 1 { source.width = target.width }
        if source.height == target.height + 1 { source.height = target.height }
        result = .success(try converter.convert(source, upright, to: target))
      } catch {
        result = .failure(error)
      }
      try frame.endPixels(write: true)
      copied.add(UInt64(try result.get()), ordering: .relaxed)
      let new = layout
      shown.withLock { if $0 != new { $0 = new } }
      sequence += 1
      return frame
    }

    /// What the pictures given mean, of those of the file.
    private static func describe(_ layout: inout FrameLayout, _ told: mpifs_media_color, _ size: (Int, Int)) {
      layout.color = ColorDescription(told)
      layout.aspect = SampleAspect(told).scaled(
        from: (width: size.0, height: size.1), to: (width: Int(layout.width), height: Int(layout.height)))
    }

    private static func pixels(_ picture: mpifs_media_picture, _ path: String) throws(Failure) -> Pixels {
      guard let y = picture.plane.0, let u = picture.plane.1, picture.width > 0, picture.height > 0 else {
        throw Failure(.ioError, "decode", on: path, "a picture without pixels")
      }
      // The converter only reads its source.
      func plane(_ base: UnsafePointer<UInt8>, _ stride: Int32) -> PlanePointer {
        PlanePointer(base: UnsafeMutablePointer(mutating: base), stride: stride)
      }
      let isPlanar = picture.format == CInt(MPIFS_MEDIA_I420)
      return Pixels(
        format: isPlanar ? .i420 : .nv12, width: Int(picture.width), height: Int(picture.height),
        plane0: plane(y, picture.stride.0), plane1: plane(u, picture.stride.1),
        plane2: plane(isPlanar ? picture.plane.2 ?? u : u, picture.stride.2))
    }

    func interrupt() {
      interrupted.store(true, ordering: .releasing)
      file.interrupt()
      wake.signal()
    }
  }
#endif
