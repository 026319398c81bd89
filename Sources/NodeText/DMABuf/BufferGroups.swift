// SPDX-License-Identifier: Apache-2.0

import Reports

/// Buffers that are told of together.
struct BufferGroup {
  var count = 0
  var bytes: UInt64 = 0
  /// CLOCK_MONOTONIC, microseconds: of the oldest and the newest of them.
  var oldest = Int64.max
  var newest = Int64.min

  mutating func add(_ buffer: MemoryScan.Buffer) {
    count += 1
    bytes = saturatingSum(bytes, buffer.size)
    oldest = min(oldest, buffer.bornMicroseconds)
    newest = max(newest, buffer.bornMicroseconds)
  }
}

/// A sum that stops at the highest number there is: a kernel that lies must not end the program.
func saturatingSum(_ left: UInt64, _ right: UInt64) -> UInt64 {
  let (sum, isTooLarge) = left.addingReportingOverflow(right)
  return isTooLarge ? .max : sum
}

extension TextWriter {
  /// A name from outside as one word: as it is where it has letters, digits and `._:@/+-` only, else in double quotes with
  /// everything but printable ASCII escaped, blanks too. None is `-`.
  mutating func outsideWord(_ value: String?) {
    guard let value, !value.isEmpty else { return byte(0x2D) }
    let isPlain = value.utf8.allSatisfy {
      switch $0 {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x3A, 0x40, 0x2F, 0x2B, 0x2D: true
      default: false
      }
    }
    if isPlain, value != "-" { return string(value) }
    let start = count
    quotedText(value)
    for index in start..<count where written(at: index) == 0x20 { replace(at: index, with: 0x5F) }
  }

  /// `name*count` of the commonest (an empty name is none), separated by commas, and how many more there are.
  mutating func tally(_ counts: [String: Int], most: Int) {
    let order = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    if order.isEmpty { return byte(0x2D) }
    for (index, entry) in order.prefix(most).enumerated() {
      if index > 0 { byte(0x2C) }
      outsideWord(entry.key)
      byte(0x2A)
      number(entry.value)
    }
    if order.count > most {
      text(",+")
      number(order.count - most)
    }
  }
}
