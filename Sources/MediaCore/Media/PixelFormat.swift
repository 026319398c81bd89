// SPDX-License-Identifier: Apache-2.0

/// How the pixels of a frame lie in memory, named by the V4L2 fourcc (kernel: `videodev2.h`, pixfmt pages).
public struct PixelFormat: RawRepresentable, Sendable, Hashable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// From four ASCII characters, as `v4l2-ctl` prints them.
  public init(_ code: StaticString) {
    var value: UInt32 = 0
    code.withUTF8Buffer { bytes in
      for (index, byte) in bytes.prefix(4).enumerated() { value |= UInt32(byte) << (8 * UInt32(index)) }
    }
    self.rawValue = value
  }

  /// 4:2:0, Y plane then interleaved CbCr.
  public static let nv12 = PixelFormat("NV12")
  /// 4:2:0, Y plane then interleaved CrCb.
  public static let nv21 = PixelFormat("NV21")
  /// 4:2:0, three planes Y, Cb, Cr. V4L2 calls it `YU12`.
  public static let i420 = PixelFormat("YU12")
  /// 4:2:2, Y plane then interleaved CbCr.
  public static let nv16 = PixelFormat("NV16")
  /// 4:2:0 of 10 bit, as NV12 with 16 bit a sample, of which the upper ten count, the low byte first.
  public static let p010 = PixelFormat("P010")
  /// 4:2:2 packed, Y0 Cb Y1 Cr.
  public static let yuyv = PixelFormat("YUYV")
  /// 4:2:2 packed, Cb Y0 Cr Y1.
  public static let uyvy = PixelFormat("UYVY")
  /// 32 bit, B G R X in memory (DRM `XRGB8888`).
  public static let xrgb8888 = PixelFormat("XR24")
  /// 32 bit, B G R A in memory (DRM `ARGB8888`).
  public static let argb8888 = PixelFormat("AR24")
  /// 32 bit, R G B X in memory (DRM `XBGR8888`).
  public static let xbgr8888 = PixelFormat("XB24")
  /// 24 bit, R G B in memory.
  public static let rgb24 = PixelFormat("RGB3")
  /// 24 bit, B G R in memory.
  public static let bgr24 = PixelFormat("BGR3")
  /// Luma alone, in whatever range it is.
  public static let grey = PixelFormat("GREY")
  /// One JPEG picture a buffer.
  public static let mjpeg = PixelFormat("MJPG")

  /// The names the tree takes and prints for `format` attributes, in the order `help` lists them.
  public static let named: [(name: String, format: PixelFormat)] = [
    ("nv12", .nv12), ("i420", .i420), ("nv21", .nv21), ("nv16", .nv16), ("p010", .p010), ("yuyv", .yuyv),
    ("uyvy", .uyvy), ("xrgb8888", .xrgb8888), ("xbgr8888", .xbgr8888), ("argb8888", .argb8888), ("rgb24", .rgb24),
    ("bgr24", .bgr24), ("grey", .grey), ("mjpeg", .mjpeg),
  ]
}

extension PixelFormat {
  /// Red, green and blue rather than luma and colour differences.
  public var isRGB: Bool {
    self == .xrgb8888 || self == .argb8888 || self == .xbgr8888 || self == .rgb24 || self == .bgr24
  }

  /// From the tree's name, or the device's own four characters (three and a blank, where it has only three).
  public init?(deviceName name: String) {
    if let known = PixelFormat.named.first(where: { $0.name == name }) {
      self = known.format
      return
    }
    let bytes = Array(name.utf8)
    func isPlain(_ byte: UInt8) -> Bool {
      byte >= 0x30 && byte <= 0x39 || byte >= 0x41 && byte <= 0x5a || byte >= 0x61 && byte <= 0x7a
    }
    guard (3...4).contains(bytes.count), bytes.allSatisfy(isPlain) else { return nil }
    var value: UInt32 = bytes.count == 3 ? 0x2000_0000 : 0
    for (index, byte) in bytes.enumerated() { value |= UInt32(byte) << (8 * UInt32(index)) }
    self.init(rawValue: value)
  }
}

extension PixelFormat: CustomStringConvertible {
  /// The tree's name where there is one, else the fourcc with unprintable bytes as `?`.
  public var description: String {
    if let known = PixelFormat.named.first(where: { $0.format == self }) { return known.name }
    var text = ""
    for shift: UInt32 in [0, 8, 16, 24] {
      let byte = UInt8(truncatingIfNeeded: rawValue >> shift)
      text.unicodeScalars.append(byte >= 0x20 && byte < 0x7f ? Unicode.Scalar(byte) : "?")
    }
    return text
  }
}
