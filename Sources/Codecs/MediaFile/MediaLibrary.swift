// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  import CMediaFile
  import MediaCore
  import Synchronization

  /// FFmpeg, loaded when the first media file is opened: it costs 50 ms and 27 MB, which a pipeline on a camera does not pay.
  struct MediaLibrary: Sendable {
    // Sendable by hand: a constant table.
    nonisolated(unsafe) let functions: UnsafePointer<mpifs_media_functions>

    private static let loaded = Mutex<MediaLibrary?>(nil)

    /// Whether ``load()`` gives it at once. Does not wait for another thread that loads it.
    static var isLoaded: Bool { loaded.withLockIfAvailable { $0 != nil } ?? false }

    /// Loads it, or gives what is loaded. A failure is not kept: the libraries may be installed meanwhile.
    /// - Throws: ENOTSUP with what the loader said.
    static func load() throws(Failure) -> MediaLibrary {
      let result: Result<MediaLibrary, Failure> = loaded.withLock { loaded in
        if let loaded { return .success(loaded) }
        var reason = ""
        let functions = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 400) { buffer in
          buffer[0] = 0
          let functions = mpifs_media_library(buffer.baseAddress, buffer.count)
          if functions == nil, let base = buffer.baseAddress { reason = String(cString: base) }
          return functions
        }
        guard let functions else { return .failure(Failure(.notSupported, "dlopen", on: "FFmpeg", reason)) }
        let library = MediaLibrary(functions: functions)
        loaded = library
        return .success(library)
      }
      return try result.get()
    }
  }
#endif
