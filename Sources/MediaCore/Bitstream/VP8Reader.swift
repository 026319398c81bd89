// SPDX-License-Identifier: Apache-2.0

/// Reads the frame header of a VP8 picture (RFC 6386, 9.1 to 9.6 and 19.2): key or not, size, base quantiser.
///
/// A frame that is not shown, which others are predicted from, counts no slices: no picture comes of it.
enum VP8Reader {
  private static let startCode: (UInt8, UInt8, UInt8) = (0x9d, 0x01, 0x2a)

  static func read(_ bytes: UnsafeRawBufferPointer, _ info: inout PictureInfo, _ syntax: inout StreamSyntax?) {
    guard bytes.count > 3 else { return }
    // The frame tag, least significant bit first: 0 for a key frame, version, shown, size of the first partition.
    let isKey = bytes[0] & 1 == 0
    guard bytes[0] >> 1 & 7 <= 3 else { return }
    var start = 3
    if isKey {
      guard bytes.count > 10, (bytes[3], bytes[4], bytes[5]) == startCode else { return }
      var found = StreamSyntax(codec: .vp8)
      // The two bits above each size are a scale for the display.
      found.width = Int(bytes[6]) | Int(bytes[7] & 0x3f) << 8
      found.height = Int(bytes[8]) | Int(bytes[9] & 0x3f) << 8
      guard found.width > 0, found.height > 0 else { return }
      syntax = found
      start = 10
    } else if syntax == nil {
      // Nothing was seen that it could be predicted from.
      return
    }
    info.isKey = isKey
    info.type = isKey ? .idr : .p
    info.slices = bytes[0] >> 4 & 1 == 1 ? 1 : 0
    info.qp = quantiser(UnsafeRawBufferPointer(rebasing: bytes[start...]), isKey: isKey)
  }

  /// `y_ac_qi`, 0...127: what all quantisers of the picture are relative to.
  private static func quantiser(_ bytes: UnsafeRawBufferPointer, isKey: Bool) -> Int? {
    var r = BoolReader(bytes)
    // Colour space and clamping.
    if isKey { r.skip(2) }
    if r.flag() {
      let (changesMap, changesData) = (r.flag(), r.flag())
      if changesData {
        r.skip(1)
        // Quantiser and filter level of each segment, with a sign.
        for width in [7, 7, 7, 7, 6, 6, 6, 6] where r.flag() { r.skip(width + 1) }
      }
      if changesMap {
        for _ in 0..<3 where r.flag() { r.skip(8) }
      }
    }
    // Filter type, level, sharpness.
    r.skip(1 + 6 + 3)
    if r.flag(), r.flag() {
      for _ in 0..<8 where r.flag() { r.skip(7) }
    }
    // Number of partitions.
    r.skip(2)
    let value = r.bits(7)
    return r.failed ? nil : value
  }
}

/// The arithmetic decoder of VP8's headers (RFC 6386, 7.3), all of whose bits are equally likely.
///
/// Past the end it gives zeros and sets ``failed``.
private struct BoolReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 2
  private var value: UInt32
  private var range: UInt32 = 255
  private var shifted = 0
  private(set) var failed = false

  init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    value = bytes.count >= 2 ? UInt32(bytes[0]) << 8 | UInt32(bytes[1]) : 0
    failed = bytes.count < 2
  }

  mutating func flag() -> Bool {
    let split = 1 + ((range - 1) * 128) >> 8
    let isSet = value >= split << 8
    if isSet {
      range -= split
      value -= split << 8
    } else {
      range = split
    }
    while range < 128 {
      value <<= 1
      range <<= 1
      shifted += 1
      if shifted == 8 {
        shifted = 0
        if position < bytes.count { value |= UInt32(bytes[position]) } else { failed = true }
        position += 1
      }
    }
    return isSet
  }

  mutating func bits(_ count: Int) -> Int {
    var result = 0
    for _ in 0..<count { result = result << 1 | (flag() ? 1 : 0) }
    return result
  }

  mutating func skip(_ count: Int) { _ = bits(count) }
}
