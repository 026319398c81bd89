// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  import CMediaFileABI
  import Glibc
  import MediaCore
  import Synchronization

  /// The library `mpifs-ffmpeg`, loaded when the first media file is opened: it costs 50 ms and 27 MB, which a pipeline on
  /// a camera does not pay.
  struct MediaLibrary: Sendable {
    // Sendable by hand: a constant table in a library that is never unloaded.
    nonisolated(unsafe) let functions: UnsafePointer<mpifs_media_functions>

    private static let loaded = Mutex<MediaLibrary?>(nil)
    private static let file = "libmpifs-ffmpeg.so"

    /// Loads it, or gives the one that is loaded. A failure is not kept: the library may be installed meanwhile.
    /// - Throws: ENOTSUP with what the loader said.
    static func load() throws(Failure) -> MediaLibrary {
      let result: Result<MediaLibrary, Failure> = loaded.withLock { loaded in
        if let loaded { return .success(loaded) }
        do throws(Failure) {
          let library = try find()
          loaded = library
          return .success(library)
        } catch {
          return .failure(error)
        }
      }
      return try result.get()
    }

    /// Next to the program, in `lib` beside its folder, then wherever the loader looks.
    private static func find() throws(Failure) -> MediaLibrary {
      var candidates = [file]
      if let folder = programFolder() {
        candidates = ["\(folder)/\(file)", "\(folder)/../lib/\(file)", "\(folder)/../lib/mpifs/\(file)", file]
      }
      var reason = ""
      for path in candidates where path == file || access(path, F_OK) == 0 {
        if let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) { return try functions(of: handle, path) }
        // The first refusal is the one about a library that exists.
        if reason.isEmpty { reason = dlerror().map { String(cString: $0) } ?? "" }
      }
      throw Failure(.notSupported, "dlopen", on: file, reason)
    }

    private static func functions(of handle: UnsafeMutableRawPointer, _ path: String) throws(Failure) -> MediaLibrary {
      guard let symbol = dlsym(handle, MPIFS_MEDIA_ENTRY) else {
        throw Failure(.notSupported, "dlsym \(MPIFS_MEDIA_ENTRY)", on: path, "not the library of this program")
      }
      typealias Entry = @convention(c) (Int32) -> UnsafePointer<mpifs_media_functions>?
      guard let functions = unsafeBitCast(symbol, to: Entry.self)(MPIFS_MEDIA_ABI) else {
        throw Failure(.notSupported, "load", on: path, "built for another version of this program, or without FFmpeg")
      }
      return MediaLibrary(functions: functions)
    }

    private static func programFolder() -> String? {
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
        guard let base = buffer.baseAddress else { return nil }
        let count = readlink("/proc/self/exe", base, buffer.count)
        guard count > 0 else { return nil }
        let path = buffer.prefix(count)
        guard let slash = path.lastIndex(of: CChar(UInt8(ascii: "/"))) else { return nil }
        return String(decoding: path[..<slash].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      }
    }
  }
#endif
