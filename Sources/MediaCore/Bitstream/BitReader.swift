// SPDX-License-Identifier: Apache-2.0

/// Reads the bits of one H.264 unit, leaving out the bytes that keep start codes from appearing (ITU-T H.264, 7.4.1).
///
/// Hostile bytes cannot make it trap: past the end it gives zeros and sets ``failed``.
struct BitReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0
  private var zeros = 0
  private var current: UInt8 = 0
  private var left = 0
  private var loaded = 0
  /// True once more was read than there is, or a code was too long to be one.
  private(set) var failed = false

  /// - Parameter bytes: the unit's payload, without its header byte.
  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Bits read so far, those that keep start codes from appearing not counted.
  var consumed: Int { loaded * 8 - left }

  private mutating func load() {
    loaded += 1
    guard position < bytes.count else {
      failed = true
      current = 0
      left = 8
      return
    }
    var byte = bytes[position]
    position += 1
    if zeros >= 2, byte == 3 {
      zeros = 0
      guard position < bytes.count else {
        failed = true
        current = 0
        left = 8
        return
      }
      byte = bytes[position]
      position += 1
    }
    zeros = byte == 0 ? zeros + 1 : 0
    current = byte
    left = 8
  }

  mutating func bit() -> Bool {
    if left == 0 { load() }
    left -= 1
    return current >> UInt8(truncatingIfNeeded: left) & 1 == 1
  }

  /// Up to 32 bits, most significant first.
  mutating func bits(_ count: Int) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<min(32, max(0, count)) { value = value << 1 | (bit() ? 1 : 0) }
    return value
  }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: bits(8)) }

  mutating func skip(_ count: Int) {
    for _ in 0..<count where !failed { _ = bit() }
  }

  /// Unsigned exponential Golomb code.
  mutating func ue() -> UInt32 {
    var length = 0
    while !failed, !bit() {
      length += 1
      if length > 31 {
        failed = true
        return 0
      }
    }
    if failed { return 0 }
    return (1 << UInt32(length)) - 1 + bits(length)
  }

  /// Signed exponential Golomb code.
  mutating func se() -> Int32 {
    let code = ue()
    let half = Int32(truncatingIfNeeded: (UInt64(code) + 1) / 2)
    return code % 2 == 1 ? half : -half
  }

  /// True while there is more than the stop bit and its padding (7.2, `more_rbsp_data`).
  func hasMoreData() -> Bool {
    var last = bytes.count - 1
    while last >= position, bytes[last] == 0 { last -= 1 }
    if last > position { return true }
    let rest = left > 0 ? current & UInt8(truncatingIfNeeded: (1 << left) - 1) : 0
    // The stop bit is in the next byte: more when anything comes before it.
    if last == position { return left > 0 || bytes[last] != 0x80 }
    return left > 0 && rest != 1 << UInt8(truncatingIfNeeded: left - 1)
  }
}
