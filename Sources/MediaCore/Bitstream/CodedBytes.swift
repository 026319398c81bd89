// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A growing run of bytes that is filled at the end and used up from the front. Owns its memory; once it is as large as
/// the largest unit of a stream it allocates nothing more.
struct CodedBytes: ~Copyable {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0
  private var end = 0

  init(capacity: Int) {
    self.capacity = capacity
    base = .allocate(byteCount: capacity, alignment: 16)
  }

  deinit { base.deallocate() }

  var count: Int { end - start }

  /// The bytes there are; valid until the next change.
  var all: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: count) }

  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    if end + bytes.count > capacity { makeRoom(for: bytes.count) }
    memcpy(base + end, source, bytes.count)
    end += bytes.count
  }

  /// Gives up bytes at the front. Their memory stays as it is until the next `append`.
  mutating func drop(_ number: Int) { start += min(number, count) }

  mutating func removeAll() {
    start = 0
    end = 0
  }

  private mutating func makeRoom(for extra: Int) {
    let used = count
    if used + extra > capacity {
      var larger = capacity
      while larger < used + extra { larger *= 2 }
      let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
      memcpy(moved, base + start, used)
      base.deallocate()
      base = moved
      capacity = larger
    } else {
      memmove(base, base + start, used)
    }
    start = 0
    end = used
  }
}
