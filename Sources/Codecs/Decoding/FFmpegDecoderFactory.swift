// SPDX-License-Identifier: Apache-2.0
#if FFmpeg
  public import MediaCore

  /// FFmpeg's libavcodec, loaded when the first decoder is opened.
  public struct FFmpegDecoderFactory: DecoderFactory {
    public init() {}
    public var name: String { "ffmpeg" }
    /// libavcodec has no decoder of FWHT.
    public var codecs: [Codec] { [.h264, .h265, .vp8, .mjpeg] }
    public var isHardware: Bool { false }
    public var priority: Int { 30 }

    public func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder {
      let codec =
        switch configuration.codec {
        case .h264: "h264"
        case .h265: "hevc"
        case .vp8: "vp8"
        case .mjpeg: "mjpeg"
        case .fwht: throw Failure(.notSupported, "open", on: name, "FFmpeg decodes no fwht")
        }
      return try FFmpegDecoder(codec, configuration)
    }
  }
#endif
