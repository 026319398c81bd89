// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// FFmpeg's muxers. There in every build: one without FFmpeg says so when it is asked for one.
public struct MediaMuxerFactory: MuxerFactory {
  public init() {}

  #if FFmpeg
    public var absence: Failure? { nil }

    public var isLoaded: Bool { MediaLibrary.isLoaded }

    public func load() throws(Failure) { _ = try MediaLibrary.load() }

    public func open(_ setup: MuxerSetup) throws(Failure) -> any Muxer { try MediaMuxer(setup) }
  #else
    public var absence: Failure? { Failure(.notSupported, "open", on: "muxer", "this build has no FFmpeg") }

    public var isLoaded: Bool { false }

    public func load() throws(Failure) {
      if let absence { throw absence }
    }

    public func open(_ setup: MuxerSetup) throws(Failure) -> any Muxer {
      throw Failure(.notSupported, "open", on: "muxer", "this build has no FFmpeg")
    }
  #endif
}

#if FFmpeg
  import CMediaFile

  /// One muxer of FFmpeg's that writes into memory. Owns it.
  final class MediaMuxer: Muxer, @unchecked Sendable {
    // Sendable by hand: whoever has it uses it from one thread at a time, as the protocol says.
    private let functions: UnsafePointer<mpifs_muxer_functions>
    private let handle: OpaquePointer
    private let name: String

    /// - Throws: EINVAL, ENOTSUP.
    init(_ setup: MuxerSetup) throws(Failure) {
      guard let functions = try MediaLibrary.load().functions.pointee.muxer else {
        throw Failure(.notSupported, "open", on: "muxer", "this build has no FFmpeg")
      }
      let container = setup.container == .fragmentedMP4 ? "mp4" : "mpegts"
      guard let codec = Self.name(of: setup.codec) else {
        throw Failure(.notSupported, "open", on: container, "no \(setup.codec) goes into it")
      }
      let made = try Self.open(setup, container, codec, functions)
      self.functions = functions
      handle = made
      name = container
    }

    deinit { functions.pointee.close(handle) }

    func write(
      _ picture: UnsafeRawBufferPointer, time: Int64, duration: Int64, isKey: Bool, into out: inout [UInt8]
    ) throws(Failure) {
      let bytes = picture.assumingMemoryBound(to: UInt8.self)
      try MediaFile.call("write", name) {
        functions.pointee.write(
          handle, bytes.baseAddress, Int64(bytes.count), time, duration, isKey ? 1 : 0, $0, $1)
      }
      var made: UnsafePointer<UInt8>?
      let count = functions.pointee.take(handle, &made)
      out.append(contentsOf: UnsafeBufferPointer(start: made, count: Int(count)))
    }

    private static func name(of codec: Codec) -> String? {
      switch codec {
      case .h264: "h264"
      case .h265: "hevc"
      case .vp8, .mjpeg, .fwht: nil
      }
    }

    private static func open(
      _ setup: MuxerSetup, _ container: String, _ codec: String, _ functions: UnsafePointer<mpifs_muxer_functions>
    ) throws(Failure) -> OpaquePointer {
      var made: OpaquePointer?
      try MediaFile.call("open", container) { message, size in
        container.withCString { container in
          codec.withCString { codec in
            setup.name.withCString { name in
              setup.parameterSets.withUnsafeBufferPointer { sets in
                var described = mpifs_muxer_setup(
                  container: container, codec: codec, sets: sets.baseAddress, sets_size: Int32(clamping: sets.count),
                  width: Int32(clamping: setup.width), height: Int32(clamping: setup.height), name: name)
                return functions.pointee.open(&described, &made, message, size)
              }
            }
          }
        }
      }
      guard let made else { throw Failure(.ioError, "open", on: container) }
      return made
    }
  }
#endif
