// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// A V4L2 pixel or stream format by its four characters.
public struct FourCC: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The characters as `v4l2-ctl` prints them; bytes that are none as `?`.
  public var description: String {
    var text = ""
    // The top bit marks big-endian variants; v4l2-ctl prints it as a suffix.
    for shift: UInt32 in [0, 8, 16, 24] {
      let byte = UInt8(truncatingIfNeeded: (rawValue & 0x7fff_ffff) >> shift)
      text.unicodeScalars.append(byte >= 0x20 && byte < 0x7f ? Unicode.Scalar(byte) : "?")
    }
    return rawValue & 0x8000_0000 == 0 ? text : text + "-BE"
  }

  public static let nv12 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_NV12)
  public static let nv21 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_NV21)
  public static let nv16 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_NV16)
  public static let p010 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_P010)
  /// NV12 with its planes in two memories.
  public static let nv12M = FourCC(rawValue: mpifs_V4L2_PIX_FMT_NV12M)
  /// NV16 with its planes in two memories.
  public static let nv16M = FourCC(rawValue: mpifs_V4L2_PIX_FMT_NV16M)
  public static let yuv420 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_YUV420)
  /// YUV 4:2:0 with its planes in three memories.
  public static let yuv420M = FourCC(rawValue: mpifs_V4L2_PIX_FMT_YUV420M)
  public static let yuyv = FourCC(rawValue: mpifs_V4L2_PIX_FMT_YUYV)
  public static let uyvy = FourCC(rawValue: mpifs_V4L2_PIX_FMT_UYVY)
  public static let rgb24 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_RGB24)
  public static let bgr24 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_BGR24)
  public static let grey = FourCC(rawValue: mpifs_V4L2_PIX_FMT_GREY)
  public static let rgbx32 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_RGBX32)
  public static let xbgr32 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_XBGR32)
  public static let abgr32 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_ABGR32)
  public static let mjpeg = FourCC(rawValue: mpifs_V4L2_PIX_FMT_MJPEG)
  public static let jpeg = FourCC(rawValue: mpifs_V4L2_PIX_FMT_JPEG)
  public static let h264 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_H264)
  public static let hevc = FourCC(rawValue: mpifs_V4L2_PIX_FMT_HEVC)
  public static let vp8 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_VP8)
  public static let vp9 = FourCC(rawValue: mpifs_V4L2_PIX_FMT_VP9)
  public static let fwht = FourCC(rawValue: mpifs_V4L2_PIX_FMT_FWHT)
}
