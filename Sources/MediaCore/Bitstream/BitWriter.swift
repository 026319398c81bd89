// SPDX-License-Identifier: Apache-2.0

/// Writes the bits of one unit, putting in the bytes that keep start codes from appearing (ITU-T H.264, 7.4.1): the counterpart
/// of ``BitReader``.
///
/// Writes into memory it was given and never beyond it: what has no room sets ``failed``.
struct BitWriter {
  private let bytes: UnsafeMutableRawBufferPointer
  /// Bytes written.
  private(set) var count = 0
  private var zeros = 0
  private var current: UInt8 = 0
  private var filled = 0
  private(set) var failed = false

  init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }

  private mutating func store(_ byte: UInt8) {
    guard count < bytes.count else {
      failed = true
      return
    }
    bytes[count] = byte
    count += 1
  }

  /// Whole bytes as they are, a unit's header: they count for what comes behind them, and nothing is put in between.
  mutating func header(_ part: UnsafeRawBufferPointer) {
    for byte in part {
      store(byte)
      zeros = byte == 0 ? zeros + 1 : 0
    }
  }

  mutating func bit(_ value: Bool) {
    current = current << 1 | (value ? 1 : 0)
    filled += 1
    guard filled == 8 else { return }
    if zeros >= 2, current <= 3 {
      store(3)
      zeros = 0
    }
    store(current)
    zeros = current == 0 ? zeros + 1 : 0
    (current, filled) = (0, 0)
  }

  /// The lowest `count` bits, most significant first.
  mutating func bits(_ value: UInt32, _ count: Int) {
    for index in stride(from: min(32, count) - 1, through: 0, by: -1) { bit(value >> UInt32(index) & 1 == 1) }
  }

  /// Unsigned exponential Golomb code.
  mutating func ue(_ value: UInt32) {
    let code = UInt64(value) + 1
    let length = 64 - code.leadingZeroBitCount
    for _ in 1..<length { bit(false) }
    for index in stride(from: length - 1, through: 0, by: -1) { bit(code >> UInt64(index) & 1 == 1) }
  }

  /// The next `count` bits of a reader as they are.
  mutating func copy(_ count: Int, from reader: inout BitReader) {
    for _ in 0..<max(0, count) where !reader.failed && !failed { bit(reader.bit()) }
  }

  /// All that a reader has before its stop bit.
  mutating func copyRest(of reader: inout BitReader) {
    while !reader.failed, !failed, reader.hasMoreData() { bit(reader.bit()) }
  }

  /// The stop bit, and zeros up to a whole byte (7.3.2.11).
  mutating func end() {
    bit(true)
    while filled != 0 { bit(false) }
  }
}
