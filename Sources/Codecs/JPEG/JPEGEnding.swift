// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore

/// Puts an end marker behind JPEG pictures that lack nothing else, as some cameras send them. Owns the copy it makes.
struct JPEGEnding: ~Copyable {
  private var copied = Scratch()
  /// The picture at hand came with an end marker.
  private(set) var hasOwn = false

  /// The picture with an end marker, valid until the next call. Without one the library takes a whole picture for one that is
  /// cut off; with one it says something else of one that is. Many zeros at the end stand for bytes that never came: such a
  /// picture stays as it is. One or two may be the picture's own.
  mutating func complete(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> UnsafeRawBufferPointer {
    hasOwn = JPEGEnding.isIn(bytes)
    guard !hasOwn, let start = bytes.baseAddress, bytes.suffix(4).contains(where: { $0 != 0 }) else { return bytes }
    let copy = try copied.plane(bytes: bytes.count + 2, lines: 1).base
    memcpy(copy, start, bytes.count)
    (copy[bytes.count], copy[bytes.count + 1]) = (0xff, 0xd9)
    return UnsafeRawBufferPointer(start: copy, count: bytes.count + 2)
  }

  /// Whether the picture ends with its end marker; cameras fill up with zeros behind it.
  private static func isIn(_ data: UnsafeRawBufferPointer) -> Bool {
    var end = data.count
    while end > 0, data[end - 1] == 0 { end -= 1 }
    return end >= 2 && data[end - 2] == 0xff && data[end - 1] == 0xd9
  }
}
