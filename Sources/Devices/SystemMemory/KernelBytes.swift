// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Reports

// The kernel's text as bytes where they were read to: thousands of lines are looked at in one scan, and a string is made only
// of what is kept.
typealias KernelBytes = UnsafeRawBufferPointer

extension UnsafeRawBufferPointer {
  subscript(from start: Int, to end: Int) -> KernelBytes { KernelBytes(rebasing: self[start..<end]) }

  func dropping(_ count: Int) -> KernelBytes { KernelBytes(rebasing: self[Swift.min(count, self.count)...]) }

  /// Where a byte first stands.
  func position(of byte: UInt8) -> Int? {
    guard let base = baseAddress, let found = memchr(base, CInt(byte), count) else { return nil }
    return UnsafeRawPointer(found) - base
  }

  func begins(with text: StaticString) -> Bool {
    guard count >= text.utf8CodeUnitCount, let base = baseAddress else { return text.utf8CodeUnitCount == 0 }
    return memcmp(base, text.utf8Start, text.utf8CodeUnitCount) == 0
  }

  func contains(_ text: StaticString) -> Bool {
    guard let base = baseAddress else { return false }
    return mpifs_find(base, count, text.utf8Start, text.utf8CodeUnitCount) != nil
  }

  /// Calls `body` with each line, without its line feed.
  func eachLine(_ body: (KernelBytes) -> Void) {
    var rest = self
    while !rest.isEmpty {
      let end = rest.position(of: 0x0A) ?? rest.count
      body(rest[from: 0, to: end])
      rest = rest.dropping(end + 1)
    }
  }

  /// Without the blanks and tabs in front.
  var trimmed: KernelBytes {
    var start = 0
    while start < count, self[start] == 0x20 || self[start] == 0x09 { start += 1 }
    return dropping(start)
  }

  /// What stands before the first such byte, and what after it.
  func cut(at byte: UInt8) -> (KernelBytes, KernelBytes)? {
    guard let end = position(of: byte) else { return nil }
    return (self[from: 0, to: end], dropping(end + 1))
  }

  /// Whether a text has these bytes.
  func are(_ text: String) -> Bool {
    guard text.utf8.count == count else { return false }
    return text.utf8.withContiguousStorageIfAvailable { bytes in
      guard let one = bytes.baseAddress, let other = baseAddress else { return true }
      return memcmp(one, other, count) == 0
    } ?? text.utf8.elementsEqual(self)
  }

  /// A whole number without a sign; `nil` for anything else, and for what does not fit.
  func number(radix: UInt64 = 10) -> UInt64? {
    guard !isEmpty else { return nil }
    var value: UInt64 = 0
    for byte in self {
      let digit: UInt64
      switch byte {
      case 0x30...0x39: digit = UInt64(byte - 0x30)
      case 0x61...0x66: digit = UInt64(byte - 0x61) + 10
      default: return nil
      }
      guard digit < radix else { return nil }
      let (product, isTooLarge) = value.multipliedReportingOverflow(by: radix)
      let (sum, isPast) = product.addingReportingOverflow(digit)
      if isTooLarge || isPast { return nil }
      value = sum
    }
    return value
  }
}

/// Makes strings of bytes, the same string for the same bytes: names and exporters come again in every scan and, mostly, for
/// many buffers.
final class TextStore {
  private static let most = 16384
  private var texts: [UInt64: String] = [:]

  func text(_ bytes: KernelBytes) -> String {
    // FNV-1a; who hits the same number with another text gets a string of its own.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    if let known = texts[hash], bytes.are(known) { return known }
    let text = ForeignByte.text(bytes)
    if texts.count >= Self.most { texts.removeAll() }
    texts[hash] = text
    return text
  }

  /// Leaves a text that is the same already.
  func set(_ text: inout String?, to bytes: KernelBytes) {
    if let text, bytes.are(text) { return }
    text = self.text(bytes)
  }

  /// A name out of `maps`, in which the kernel writes a line feed as `\012` (`seq_path`).
  func mappedName(_ bytes: KernelBytes) -> String {
    guard bytes.contains("\\012") else { return text(bytes) }
    var plain: [UInt8] = []
    var rest = bytes
    while !rest.isEmpty {
      let isFeed = rest.begins(with: "\\012")
      plain.append(isFeed ? 0x0A : rest[0])
      rest = rest.dropping(isFeed ? 4 : 1)
    }
    return plain.withUnsafeBytes { text($0) }
  }
}
