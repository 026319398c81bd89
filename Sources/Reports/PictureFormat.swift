// SPDX-License-Identifier: Apache-2.0

/// Layout of the samples of a picture. The raw value is the name users see: the usual short name, bytes in memory order
/// for packed YUV, most significant part first (little-endian word) for RGB.
public enum PictureFormat: String, Sendable, Equatable, CaseIterable {
  case nv12, nv21, nv16, nv61, nv24
  /// 4:2:0 and 4:2:2 semi-planar with 10 bits a sample.
  case nv12With10Bits = "nv12-10"
  case nv16With10Bits = "nv16-10"
  case i420, i422
  case yuyv, yvyu, uyvy, vyuy
  /// Luma only.
  case grey
  /// 4:4:0 and 4:1:1 semi-planar.
  case semiPlanar440 = "sp440"
  case semiPlanar411 = "sp411"
  case rgb565, bgr565, rgb555, bgr555, rgb444, bgr444, rgb888, bgr888, rgb101010, bgr101010
  case argb8888, abgr8888, bgra8888, rgba8888
  case argb4444, abgr4444, rgba4444, bgra4444
  case argb1555, abgr1555, rgba5551, bgra5551
  /// A palette of four entries, two bits a sample.
  case palette2
  /// Anything else.
  case other
}
