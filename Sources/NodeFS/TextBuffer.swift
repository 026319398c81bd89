// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A growable run of bytes that a node's text is rendered into.
///
/// Its storage is kept and used again for later reads, so a render that appends straight into it allocates nothing
/// once the buffer has grown to the node's size.
@frozen
public struct TextBuffer: ~Copyable, @unchecked Sendable {
  @usableFromInline var base: UnsafeMutablePointer<UInt8>
  @usableFromInline var room: Int
  @usableFromInline var used = 0

  /// Bytes rendered so far.
  @inlinable public var count: Int { used }

  /// An empty buffer with room for at least `capacity` bytes.
  @inlinable public init(capacity: Int = 4096) {
    room = max(capacity, 64)
    base = .allocate(capacity: room)
  }

  @inlinable deinit {
    base.deallocate()
  }

  /// Bytes that fit without growing.
  @inlinable public var capacity: Int { room }

  /// Forgets the content, keeps the storage.
  @inlinable public mutating func removeAll() {
    used = 0
  }

  /// Makes sure that `extra` more bytes fit.
  @inlinable public mutating func reserve(_ extra: Int) {
    guard count + extra > room else { return }
    let grown = max(room * 2, count + extra)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: grown)
    moved.update(from: base, count: count)
    base.deallocate()
    base = moved
    room = grown
  }

  @inlinable public mutating func append(_ byte: UInt8) {
    reserve(1)
    base[count] = byte
    used += 1
  }

  @inlinable public mutating func append(contentsOf bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    memcpy(base + count, source, bytes.count)
    used += bytes.count
  }

  @inlinable public mutating func append(contentsOf bytes: [UInt8]) {
    bytes.withUnsafeBytes { append(contentsOf: $0) }
  }

  @inlinable public mutating func append(_ text: StaticString) {
    append(contentsOf: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Appends the UTF-8 of `text`.
  @_disfavoredOverload
  @inlinable public mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append(contentsOf: UnsafeRawBufferPointer($0)) }
  }

  /// Appends `value` in decimal.
  @inlinable public mutating func append(decimal value: some BinaryInteger) {
    if value < 0 { append(UInt8(ascii: "-")) }
    var rest = UInt64(value.magnitude)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var at = digits.count
      repeat {
        at -= 1
        digits[at] = UInt8(ascii: "0") + UInt8(rest % 10)
        rest /= 10
      } while rest > 0
      append(contentsOf: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(digits)[at...]))
    }
  }

  /// Gives `fill` at least `room` bytes of storage behind the content; it returns how many of them it filled.
  ///
  /// For renderers that bring their own formatting and must not pay for a copy.
  @inlinable public mutating func append<E: Error>(
    room extra: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    reserve(extra)
    let written = try fill(UnsafeMutableRawBufferPointer(start: base + count, count: room - count))
    precondition(written >= 0 && written <= room - count, "a renderer claims more bytes than it was given room for")
    used += written
  }

  /// Lends the whole storage, content forgotten, to a renderer that writes text by itself: nothing is copied.
  ///
  /// - Parameter body: gets the storage and how many bytes it has; gives back the same or what it put in its place, from
  ///   `UnsafeMutablePointer.allocate`, with how many bytes that has and how many of them are text.
  @inlinable public mutating func lend<E: Error>(
    _ body: (UnsafeMutablePointer<UInt8>, Int) -> (base: UnsafeMutablePointer<UInt8>, room: Int, count: Int, E?)
  ) throws(E) {
    let back = body(base, room)
    precondition(back.count >= 0 && back.count <= back.room, "a renderer claims more bytes than there is room for")
    (base, room, used) = (back.base, back.room, back.count)
    if let error = back.3 {
      used = 0
      throw error
    }
  }

  /// The content, valid inside `body` only.
  @inlinable public borrowing func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R)
    throws(E) -> R
  {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }
}
