// SPDX-License-Identifier: Apache-2.0

/// Builds the text of a page in one growing piece of memory.
///
/// Pages are rendered about a hundred times a second while a pipeline runs, so nothing here makes a `String` or an array
/// for a cell: numbers and strings go straight to their place. Cells have a least width, never a greatest: a value that
/// is too long is shown whole and pushes the rest of its row to the right, as C's `printf` does.
///
/// The writer owns its memory and frees it when it goes.
public struct TextWriter: ~Copyable {
  private var base: UnsafeMutablePointer<UInt8>
  private var room: Int
  /// Bytes written so far.
  public private(set) var count = 0

  /// Makes an empty writer with room for `capacity` bytes; it grows as needed.
  public init(capacity: Int = 8192) {
    room = max(capacity, 64)
    base = .allocate(capacity: room)
  }

  /// Makes an empty writer in memory from `UnsafeMutablePointer.allocate`, which is the writer's from now on.
  public init(taking base: UnsafeMutablePointer<UInt8>, room: Int) {
    self.base = base
    self.room = room
  }

  deinit { base.deallocate() }

  /// Gives up the memory with what was written to whoever asks, who frees it.
  public consuming func release() -> (base: UnsafeMutablePointer<UInt8>, room: Int, count: Int) {
    let all = (base, room, count)
    discard self
    return all
  }

  /// Forgets what was written and keeps the memory.
  public mutating func removeAll() { count = 0 }

  /// Forgets what was written after the first `length` bytes.
  mutating func truncate(to length: Int) { count = min(count, max(0, length)) }

  /// A copy of what was written.
  public borrowing func bytes() -> [UInt8] {
    let (source, length) = (base, count)
    return [UInt8](unsafeUninitializedCapacity: length) { target, initialized in
      if length > 0 { target.baseAddress?.initialize(from: source, count: length) }
      initialized = length
    }
  }

  /// Gives what was written to `body`; the pointer holds only during the call.
  public borrowing func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Makes sure that `more` bytes fit.
  @inline(__always)
  private mutating func reserve(_ more: Int) {
    if count + more > room { grow(more) }
  }

  @inline(never)
  private mutating func grow(_ more: Int) {
    room = max(room * 2, count + more)
    let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: room)
    larger.initialize(from: base, count: count)
    base.deallocate()
    base = larger
  }

  // MARK: Plain text

  /// Appends one byte.
  @inline(__always)
  public mutating func byte(_ value: UInt8) {
    reserve(1)
    base[count] = value
    count += 1
  }

  /// Appends a line feed.
  @inline(__always)
  public mutating func newline() { byte(0x0A) }

  /// Appends `value` `times` times.
  @inline(__always)
  public mutating func fill(_ value: UInt8, _ times: Int) {
    guard times > 0 else { return }
    reserve(times)
    // Padding is a few bytes long nearly always: a loop beats the call.
    if times <= 16 {
      for index in 0..<times { base[count + index] = value }
    } else {
      (base + count).initialize(repeating: value, count: times)
    }
    count += times
  }

  /// Appends fixed text.
  @inline(__always)
  public mutating func text(_ value: StaticString) {
    guard value.hasPointerRepresentation else { return string(value.description) }
    raw(value.utf8Start, value.utf8CodeUnitCount)
  }

  /// Appends a string as it is.
  @inline(__always)
  public mutating func string(_ value: String) {
    let done: Void? = value.utf8.withContiguousStorageIfAvailable { source in
      if let start = source.baseAddress { raw(start, source.count) }
    }
    if done == nil { for byte in value.utf8 { self.byte(byte) } }
  }

  /// Appends bytes as they are.
  public mutating func bytes(_ value: [UInt8]) {
    value.withUnsafeBufferPointer { source in
      if let start = source.baseAddress { raw(start, source.count) }
    }
  }

  /// Appends bytes as they are.
  public mutating func raw(_ value: Slice<UnsafeRawBufferPointer>) {
    let source = UnsafeRawBufferPointer(rebasing: value)
    if let start = source.baseAddress { raw(start.assumingMemoryBound(to: UInt8.self), source.count) }
  }

  @inline(__always)
  private mutating func raw(_ start: UnsafePointer<UInt8>, _ length: Int) {
    reserve(length)
    (base + count).initialize(from: start, count: length)
    count += length
  }

  /// Overwrites a byte already written, counted from the start.
  mutating func replace(at index: Int, with value: UInt8) {
    if index >= 0 && index < count { base[index] = value }
  }

  /// A byte already written, counted from the start.
  borrowing func written(at index: Int) -> UInt8 { index >= 0 && index < count ? base[index] : 0 }

  /// Whether the bytes right before `end` are `text`.
  borrowing func hasWritten(_ text: StaticString, before end: Int) -> Bool {
    let length = text.utf8CodeUnitCount
    guard text.hasPointerRepresentation, length <= end, end <= count else { return false }
    for index in 0..<length where base[end - length + index] != text.utf8Start[index] { return false }
    return true
  }

  // MARK: Numbers

  /// Appends a number in decimal.
  @inline(__always)
  public mutating func number<Value: BinaryInteger>(_ value: Value) {
    if value < 0 { byte(0x2D) }
    digits(UInt64(value.magnitude))
  }

  /// A number of hundredths with its point: `%*.2f` of the vendor's, the whole part filled with blanks to `width`.
  public mutating func hundredths(_ count: UInt64, width: Int) {
    right(count / 100, width)
    byte(UInt8(ascii: "."))
    zeroFilled(count % 100, digits: 2)
  }

  /// Appends a number in decimal with at least `digits` digits, filled with zeros. For values that are not negative.
  public mutating func zeroFilled(_ value: UInt64, digits wanted: Int) {
    fill(0x30, wanted - decimalLength(value))
    digits(value)
  }

  /// Appends a number in lower-case hexadecimal, without prefix.
  public mutating func hexadecimal(_ value: UInt64) {
    let length = hexadecimalLength(value)
    reserve(length)
    var rest = value
    var at = count + length
    repeat {
      at -= 1
      let nibble = UInt8(truncatingIfNeeded: rest & 15)
      base[at] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
      rest >>= 4
    } while rest != 0
    count += length
  }

  /// The same with at least `digits` digits, filled with zeros.
  public mutating func hexadecimal<Value: UnsignedInteger>(_ value: Value, digits wanted: Int) {
    let value = UInt64(value)
    fill(0x30, wanted - hexadecimalLength(value))
    hexadecimal(value)
  }

  @inline(__always)
  private mutating func digits(_ value: UInt64) {
    if value < 10 { return byte(0x30 + UInt8(truncatingIfNeeded: value)) }
    let length = decimalLength(value)
    reserve(length)
    var rest = value
    var at = count + length
    repeat {
      at -= 1
      let quotient = rest / 10
      base[at] = 0x30 + UInt8(truncatingIfNeeded: rest - quotient * 10)
      rest = quotient
    } while rest != 0
    count += length
  }

  // MARK: Cells

  /// Appends a number, left-justified in at least `width` bytes.
  @inline(__always)
  public mutating func left<Value: BinaryInteger>(_ value: Value, _ width: Int) {
    let start = count
    number(value)
    fill(0x20, width - (count - start))
  }

  /// Appends a string, left-justified in at least `width` bytes.
  @inline(__always)
  public mutating func left(_ value: String, _ width: Int) {
    let start = count
    string(value)
    fill(0x20, width - (count - start))
  }

  /// Appends a string as one word, left-justified in at least `width` bytes: what would split the row for a reader that
  /// splits on blanks, and what a terminal would obey, is shown as `_`; an empty string as `-`.
  @inline(__always)
  public mutating func leftWord(_ value: String, _ width: Int) {
    let start = count
    word(value)
    fill(0x20, width - (count - start))
  }

  /// Appends `0x` and a number in lower-case hexadecimal, left-justified in at least `width` bytes, the prefix counted.
  /// Zero is `0x0`, as the Linux kernel prints it (C's library prints `0`).
  @inline(__always)
  public mutating func leftHexadecimal(_ value: UInt64, _ width: Int) {
    let start = count
    byte(0x30)
    byte(0x78)
    hexadecimal(value)
    fill(0x20, width - (count - start))
  }

  /// Appends a number, right-justified in at least `width` bytes.
  @inline(__always)
  public mutating func right<Value: BinaryInteger>(_ value: Value, _ width: Int) {
    let magnitude = UInt64(value.magnitude)
    let sign = value < 0 ? 1 : 0
    fill(0x20, width - sign - decimalLength(magnitude))
    if sign == 1 { byte(0x2D) }
    digits(magnitude)
  }

  /// Appends a string, right-justified in at least `width` bytes.
  @inline(__always)
  public mutating func right(_ value: String, _ width: Int) {
    fill(0x20, width - value.utf8.count)
    string(value)
  }

  /// Appends fixed text, right-justified in at least `width` bytes.
  @inline(__always)
  public mutating func right(_ value: StaticString, _ width: Int) {
    fill(0x20, width - value.utf8CodeUnitCount)
    text(value)
  }

  /// Appends a number in lower-case hexadecimal without prefix, right-justified in at least `width` bytes.
  public mutating func rightHexadecimal(_ value: UInt64, _ width: Int) {
    fill(0x20, width - hexadecimalLength(value))
    hexadecimal(value)
  }
}

/// Decimal digits of `value`.
@inline(__always)
private func decimalLength(_ value: UInt64) -> Int {
  if value < 10 { return 1 }
  if value < 100 { return 2 }
  if value < 1000 { return 3 }
  if value < 10000 { return 4 }
  var length = 5
  var rest = value / 100000
  while rest != 0 {
    length += 1
    rest /= 10
  }
  return length
}

/// Hexadecimal digits of `value`.
@inline(__always)
private func hexadecimalLength(_ value: UInt64) -> Int {
  max(1, (64 - value.leadingZeroBitCount + 3) / 4)
}

/// The bytes of a page that `body` writes.
public func renderText(capacity: Int = 8192, _ body: (inout TextWriter) -> Void) -> [UInt8] {
  var writer = TextWriter(capacity: capacity)
  body(&writer)
  return writer.bytes()
}
