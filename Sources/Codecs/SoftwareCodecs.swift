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
    return all
  }

  public static func scalerFactories() -> [any ScalerFactory] { [LibYUVScalerFactory()] }

  public static func sourceFactories() -> [any SourceFactory] { [PatternSourceFactory()] }

  /// What makes `snapshot.jpg`.
  public static func pictureEncoder() throws(Failure) -> any PictureEncoder { try TurboJPEGPictureEncoder() }
}
