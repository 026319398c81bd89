// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Counts the slices of a picture of H.264 or H.265 as its bytes come by: units behind a start code whose type is a slice's (ITU-T
/// H.264, table 7-1: 1 and 5; H.265, table 7-1: below 32). A picture's beginning, which the readers look into, need not have all.
public struct SliceCounter: Sendable {
  public private(set) var count = 0
  private let isHEVC: Bool
  /// The last three bytes, for start codes that go over from one piece to the next; 255 where none came.
  private var last: (UInt8, UInt8, UInt8) = (255, 255, 255)

  /// - Returns: `nil` for codings without slices.
  public init?(_ codec: Codec) {
    guard codec == .h264 || codec == .h265 else { return nil }
    isHEVC = codec == .h265
  }

  /// Another picture begins.
  public mutating func begin() { (count, last) = (0, (255, 255, 255)) }

  /// The next bytes of the picture.
  public mutating func add(_ data: UnsafeRawBufferPointer) {
    guard let base = data.baseAddress, data.count > 0 else { return }
    // What begins in the last piece and ends in this one.
    for index in 0..<min(3, data.count) {
      if last == (0, 0, 1) { note(data[index]) }
      last = (last.1, last.2, data[index])
    }
    // What lies in this one: found by the 1, which is rarer than zeros.
    var at = 2
    while at < data.count - 1, let found = memchr(base + at, 1, data.count - 1 - at) {
      at = base.distance(to: UnsafeRawPointer(found))
      // Up to the third byte it was seen above.
      if at >= 2, at + 1 >= 3, data[at - 1] == 0, data[at - 2] == 0 { note(data[at + 1]) }
      at += 1
    }
    if data.count > 3 {
      last = (data[data.count - 3], data[data.count - 2], data[data.count - 1])
    }
  }

  private mutating func note(_ header: UInt8) {
    let isSlice = isHEVC ? header >> 1 & 0x3f < 32 : header & 0x1f == 1 || header & 0x1f == 5
    if isSlice { count += 1 }
  }
}
