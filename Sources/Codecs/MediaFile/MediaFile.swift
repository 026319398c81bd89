// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  import CMediaFile
  import MediaCore
  import SystemPackage

  /// Owner of one open media file. One thread reads; `interrupt` may come from any.
  struct MediaFile: ~Copyable {
    private let functions: UnsafePointer<mpifs_media_functions>
    private let handle: OpaquePointer
    let path: String
    let info: mpifs_media_info

    /// - Throws: ENOENT, EACCES, EISDIR, EINVAL (not a media file, no video in it), ENOTSUP (no such decoder).
    init(_ library: MediaLibrary, path: String, threads: Int32) throws(Failure) {
      var info = mpifs_media_info()
      var handle: OpaquePointer?
      let functions = library.functions
      try MediaFile.call("open", path) { functions.pointee.open(path, threads, &handle, &info, $0, $1) }
      guard let handle else { throw Failure(.ioError, "open", on: path) }
      do throws(Failure) {
        try MediaFile.requireSize(info, of: path)
      } catch {
        functions.pointee.close(handle)
        throw error
      }
      // Assigned after what can throw: Swift 6.2 loses track of what a half-made value owns, and its compiler ends.
      self.functions = functions
      self.path = path
      self.handle = handle
      self.info = info
    }

    deinit { functions.pointee.close(handle) }

    /// The next picture; its planes stay valid until the next call. `nil` at the end of the file.
    func next() throws(Failure) -> mpifs_media_picture? {
      var picture = mpifs_media_picture()
      let isPicture = try MediaFile.call("read", path) { functions.pointee.next(handle, &picture, $0, $1) }
      return isPicture ? picture : nil
    }

    func rewind() throws(Failure) {
      try MediaFile.call("rewind", path) { functions.pointee.rewind(handle, $0, $1) }
    }

    /// Packets the decoder refused so far.
    var refused: UInt64 { functions.pointee.refused(handle) }

    func interrupt() { functions.pointee.interrupt(handle) }

    /// Refuses a file of whose pictures FFmpeg tells no size: there are none, or they are larger than it decodes.
    /// - Throws: ERANGE with the size, where the file itself says it; EINVAL.
    static func requireSize(_ info: mpifs_media_info, of path: String) throws(Failure) {
      guard info.width <= 0 || info.height <= 0 else { return }
      let first = try ReadFile(path).first(StreamSniffer.enough)
      var parser = PictureParser(.mjpeg)
      _ = first.withUnsafeBytes { parser.parse($0) }
      guard let size = parser.syntax, size.width > 0, size.height > 0 else {
        throw Failure(.invalidArgument, "open", on: path, "there is no picture in it that FFmpeg can decode")
      }
      // libavutil, av_image_check_size2: a picture of eight bytes a pixel and a margin must fit into an int.
      throw Failure(
        .outOfRange, "open", on: path,
        "\(size.width)x\(size.height); FFmpeg decodes up to 268 million pixels, margins of 128 counted: 16255x16255")
    }

    /// A text the library wrote into a field of fixed size.
    static func text<Characters>(_ tuple: Characters) -> String {
      withUnsafeBytes(of: tuple) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// Runs one call of the library and turns its result into `true`, `false` for the end, or a failure.
    @discardableResult
    static func call(
      _ operation: String, _ path: String, _ body: (UnsafeMutablePointer<CChar>?, Int) -> Int32
    ) throws(Failure) -> Bool {
      var text = ""
      let result = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer -> Int32 in
        buffer[0] = 0
        let result = body(buffer.baseAddress, buffer.count)
        if result < 0, let base = buffer.baseAddress { text = String(cString: base) }
        return result
      }
      guard result >= 0 else { throw Failure(Errno(rawValue: -result), operation, on: path, text) }
      return result > 0
    }
  }

  extension MediaFile {
    /// What the container says of its pictures that is not done to them, for `active`.
    static func facts(_ info: mpifs_media_info) -> [(key: String, value: String)] {
      guard info.rotation != 0 else { return [] }
      return [
        ("container_rotation", "\(info.rotation) degrees clockwise, not applied: rotation of a vpss output does it")
      ]
    }
  }

  extension ColorDescription {
    /// What the library says the samples mean.
    init(_ told: mpifs_media_color) {
      self.init(
        Matrix(rawValue: told.matrix), primaries: told.primaries, transfer: told.transfer,
        isFullRange: told.is_full != 0)
    }
  }

  extension SampleAspect {
    init(_ told: mpifs_media_color) { self.init(Int(told.aspect_num), Int(told.aspect_den)) }
  }
#endif
