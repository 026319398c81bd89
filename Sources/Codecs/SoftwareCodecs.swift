// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// Every engine of this library, for the program to register.
public enum SoftwareCodecs {
  /// Best first.
  public static func encoderFactories() -> [any EncoderFactory] {
    var all: [any EncoderFactory] = [OpenH264Factory(), TurboJPEGFactory()]
    #if X264
      all.append(X264Factory())
    #endif
    #if X265
      all.append(X265Factory())
    #endif
    return all
  }

  /// The order is of no matter: `auto` goes by priority.
  public static func decoderFactories() -> [any DecoderFactory] {
    var all: [any DecoderFactory] = [OpenH264DecoderFactory(), TurboJPEGDecoderFactory()]
    #if FFmpeg
      all.append(FFmpegDecoderFactory())
    #endif
    return all
  }

  /// Elementary streams in every build; containers with FFmpeg.
  public static func packetSourceFactories() -> [any PacketSourceFactory] { [CodedFileFactory()] }

  /// What makes `stream.ts` and `stream.mp4`.
  public static func muxerFactory() -> any MuxerFactory { MediaMuxerFactory() }

  /// What its scaler makes.
  public static func scaledFormats() -> [PixelFormat] { PixelConverter.formats }

  public static func scalerFactories() -> [any ScalerFactory] { [LibYUVScalerFactory()] }

  /// What makes raw pictures of JPEG ones.
  public static func converterFactories() -> [any PictureConverterFactory] { [TurboJPEGConverterFactory()] }

  /// The test pattern, and media files. Files are handled in every build: one without FFmpeg refuses them with ENOTSUP.
  public static func sourceFactories() -> [any SourceFactory] { [PatternSourceFactory(), MediaFileSourceFactory()] }

  /// What draws regions into pictures.
  public static func painter() -> any Painter { RegionPainter() }

  /// What bitmaps of regions can be.
  public static func pictureReaders() -> [any PictureFileReader] { [PNGReader()] }

  /// What draws lines of text.
  public static func textRenderer() -> any TextRenderer { FreeTypeText() }

  /// What makes `snapshot.jpg`.
  public static func pictureEncoder() throws(Failure) -> any PictureEncoder { try TurboJPEGPictureEncoder() }
}
