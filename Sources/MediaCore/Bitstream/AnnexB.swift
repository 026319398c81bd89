// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Walks the units of a byte stream with start codes (ITU-T H.264, annex B).
public struct AnnexBUnits: Sequence, IteratorProtocol {
  private let bytes: UnsafeRawBufferPointer
  private var position: Int

  public init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    position = AnnexBUnits.startCode(in: bytes, from: 0).map { $0 + 3 } ?? bytes.count
  }

  /// The next unit, header byte first, trailing zeros left off; empty units are left out.
  public mutating func next() -> UnsafeRawBufferPointer? {
    while position < bytes.count {
      let start = position
      let code = AnnexBUnits.startCode(in: bytes, from: start)
      position = code.map { $0 + 3 } ?? bytes.count
      var end = code ?? bytes.count
      while end > start, bytes[end - 1] == 0 { end -= 1 }
      if end > start { return UnsafeRawBufferPointer(rebasing: bytes[start..<end]) }
    }
    return nil
  }

  /// Index of the next `00 00 01`.
  ///
  /// Looks for the 1 with the C library's vectorised search: in coded data it is as rare as any byte, zeros are not.
  static func startCode(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    var at = start + 2
    while at < bytes.count {
      guard let found = memchr(base + at, 1, bytes.count - at) else { return nil }
      at = UnsafeRawPointer(found) - base
      if bytes[at - 1] == 0, bytes[at - 2] == 0 { return at - 2 }
      at += 1
    }
    return nil
  }
}
