// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// Every engine of this library, for the program to register.
public enum SoftwareCodecs {
  /// Best first.
  public static func encoderFactories() -> [any EncoderFactory] {
    [OpenH264Factory(), TurboJPEGFactory()]
  }

  public static func scalerFactories() -> [any ScalerFactory] { [LibYUVScalerFactory()] }

  public static func sourceFactories() -> [any SourceFactory] { [PatternSourceFactory()] }

  /// What makes `snapshot.jpg`.
  public static func pictureEncoder() throws(Failure) -> any PictureEncoder { try TurboJPEGPictureEncoder() }
}
