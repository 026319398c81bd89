// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Finds where a JPEG picture ends by walking its markers (ITU-T T.81, annex B): segments by their length, coded data up
/// to the next marker that is neither a stuffed byte nor a restart. Some cameras leave out the end marker: a picture with coded
/// data ends where the next begins, too. The one for previews inside a picture stands in a segment, which is passed over whole.
struct JPEGCutter: Sendable {
  private var position = 0
  private var isInScan = false
  /// The picture at the front has coded data, or the beginning of some.
  private(set) var hasScan = false

  mutating func restart() { self = JPEGCutter() }

  mutating func look(_ bytes: UnsafeRawBufferPointer) -> AccessUnitSplitter.Cut {
    if position == 0 {
      guard let start = JPEGCutter.start(in: bytes) else {
        // The last byte may be the first half of a marker.
        let rest = bytes.last == 0xff ? 1 : 0
        return bytes.count > rest ? .skip(bytes.count - rest) : .more
      }
      if start > 0 { return .skip(start) }
      position = 2
    }
    while true {
      if isInScan {
        guard let marker = JPEGCutter.marker(in: bytes, from: position) else {
          position = max(position, bytes.count - 1)
          return .more
        }
        position = marker
        isInScan = false
      }
      guard position + 2 <= bytes.count else { return .more }
      guard bytes[position] == 0xff else { return .skip(max(1, position)) }
      let marker = bytes[position + 1]
      switch marker {
      case 0xff: position += 1
      case 0xd9:
        let end = position + 2
        restart()
        return .unit(end)
      case 0xd8:
        let end = position
        guard hasScan else { return .skip(end) }
        restart()
        return .unit(end)
      case 0x01, 0xd0...0xd7: position += 2
      default:
        guard position + 4 <= bytes.count else { return .more }
        let length = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
        guard length >= 2 else { return .skip(position) }
        guard position + 2 + length <= bytes.count else { return .more }
        position += 2 + length
        isInScan = marker == 0xda
        if isInScan { hasScan = true }
      }
    }
  }

  private static func start(in bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    var at = 0
    while at + 1 < bytes.count {
      guard let found = memchr(base + at, 0xff, bytes.count - 1 - at) else { return nil }
      at = UnsafeRawPointer(found) - base
      if bytes[at + 1] == 0xd8 { return at }
      at += 1
    }
    return nil
  }

  private static func marker(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    var at = start
    while at + 1 < bytes.count {
      guard let found = memchr(base + at, 0xff, bytes.count - 1 - at) else { return nil }
      at = UnsafeRawPointer(found) - base
      let next = bytes[at + 1]
      if next != 0, !(0xd0...0xd7).contains(next), next != 0xff { return at }
      at += 1
    }
    return nil
  }
}
