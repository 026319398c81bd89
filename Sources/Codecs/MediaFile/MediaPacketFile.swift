// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  import CMediaFile
  import MediaCore
  import SystemPackage

  /// The video packets of a media file, read by FFmpeg and not decoded. Owns the open file.
  final class MediaPacketFile: PacketSource, @unchecked Sendable {
    let summary: String
    let codec: Codec
    let frameRate: FrameRate?
    let color: ColorDescription
    let aspect: SampleAspect
    let facts: [(key: String, value: String)]
    let skipped: UInt64 = 0

    private let functions: UnsafePointer<mpifs_packet_functions>
    private let handle: OpaquePointer
    private let path: String

    /// - Throws: as ``CodedFileFactory``.
    init(_ path: String) throws(Failure) {
      guard let functions = try MediaLibrary.load().functions.pointee.packets else {
        throw Failure(.notSupported, "open", on: path, "this build has no FFmpeg")
      }
      var info = mpifs_media_info()
      var made: OpaquePointer?
      try MediaFile.call("open", path) { functions.pointee.open(path, &made, &info, $0, $1) }
      guard let made else { throw Failure(.ioError, "open", on: path) }
      let coding = MediaFile.text(info.codec)
      let known: Codec? =
        switch coding {
        case "h264": .h264
        case "hevc": .h265
        case "vp8": .vp8
        case "mjpeg": .mjpeg
        default: nil
        }
      guard let known else {
        functions.pointee.close(made)
        throw Failure(
          .notSupported, "open", on: path, "its video is \(coding); a vdec decodes h264, h265, vp8 and mjpeg of files")
      }
      do throws(Failure) {
        try MediaFile.requireSize(info, of: path)
      } catch {
        functions.pointee.close(made)
        throw error
      }
      self.functions = functions
      self.path = path
      handle = made
      codec = known
      frameRate = FrameRate(Int(info.rate_num), Int(info.rate_den))
      (color, aspect) = (ColorDescription(info.color), SampleAspect(info.color))
      facts = MediaFile.facts(info)
      summary = "file \(fileName(path)) (\(coding) in \(MediaFile.text(info.container)))"
    }

    deinit { functions.pointee.close(handle) }

    func next() throws(Failure) -> CodedUnit? {
      var packet = mpifs_media_packet()
      do throws(Failure) {
        guard try MediaFile.call("read", path, { functions.pointee.next(handle, &packet, $0, $1) }) else { return nil }
      } catch {
        if error.errno == .interrupted { return nil }
        throw error
      }
      return CodedUnit(
        UnsafeRawBufferPointer(start: packet.bytes, count: Int(packet.size)),
        pts: packet.pts == .min ? nil : packet.pts, duration: packet.duration,
        isCutOff: packet.is_cut_off != 0)
    }

    func interrupt() { functions.pointee.interrupt(handle) }
  }
#endif
