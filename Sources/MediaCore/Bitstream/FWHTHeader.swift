// SPDX-License-Identifier: Apache-2.0

/// The header of a picture coded with the kernel's fast Walsh-Hadamard transform codec (drivers/media/test-drivers/vicodec,
/// `struct fwht_cframe_hdr`): eleven 32-bit words, most significant byte first.
enum FWHTHeader {
  static let byteCount = 44
  private static let magic: (UInt32, UInt32) = (0x4f4f_4f4f, 0xffff_ffff)
  /// `V4L2_FWHT_FL_I_FRAME`
  private static let intraFlag: UInt32 = 1 << 10

  static func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    guard bytes.count >= byteCount else { return }
    func word(_ index: Int) -> UInt32 {
      UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
    }
    guard word(0) == magic.0, word(1) == magic.1 else { return }
    var s = StreamSyntax(codec: .fwht)
    s.width = Int(word(3))
    s.height = Int(word(4))
    s.color = ColorDescription(
      v4l2: word(6), transfer: word(7), encoding: word(8), quantization: word(9),
      // Which components there are; 2 is RGB (`V4L2_FWHT_FL_PIXENC_MSK`).
      isRGB: word(5) >> 19 & 3 == 2)
    syntax = s
    info.isKey = word(5) & intraFlag != 0
    info.type = info.isKey ? .idr : .p
    info.slices = 1
    info.hasParameterSets = true
  }

  /// Where a frame of a stream ends: its header's last word is the size of what follows it.
  static func cut(_ bytes: UnsafeRawBufferPointer) -> AccessUnitSplitter.Cut {
    var at = 0
    while at + 8 <= bytes.count {
      // Both magic words, read byte by byte: a stream that was cut anywhere has them at any place.
      guard bytes[at] == 0x4f else {
        at += 1
        continue
      }
      if bytes[at + 1] == 0x4f, bytes[at + 2] == 0x4f, bytes[at + 3] == 0x4f, bytes[at + 4] == 0xff,
        bytes[at + 5] == 0xff, bytes[at + 6] == 0xff, bytes[at + 7] == 0xff
      {
        break
      }
      at += 1
    }
    if at > 0 { return .skip(at) }
    guard bytes.count >= byteCount else { return .more }
    let size = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 40, as: UInt32.self)))
    // Damaged: look for the next one behind this one's magic.
    guard size <= AccessUnitSplitter.largestUnit - byteCount else { return .skip(8) }
    return bytes.count >= byteCount + size ? .unit(byteCount + size) : .more
  }
}
