// SPDX-License-Identifier: Apache-2.0

/// Cuts an IVF stream of VP8 into its pictures: a header of 32 bytes (whose words at 16 and 20 are the ticks of its clock, how
/// many in how many seconds), then 12 (size, time in ticks) before each picture, numbers least significant byte first.
struct IVFCutter: Sendable {
  private static let headerSize = 32
  private static let frameSize = 12

  /// Ticks a second; `nil` before a header that says so.
  private(set) var clock: FrameRate?

  /// Pictures a second, where a tick is a picture: clocks finer than that count parts of seconds.
  var frameRate: FrameRate? { clock.flatMap { (1...240).contains($0.framesPerSecond) ? $0 : nil } }

  /// The coding an IVF file says it is of, four letters: `VP80`. `nil` where the bytes are none.
  static func coding(_ bytes: UnsafeRawBufferPointer) -> String? {
    guard bytes.count >= 12, bytes[..<4].elementsEqual("DKIF".utf8) else { return nil }
    return String(decoding: bytes[8..<12], as: UTF8.self)
  }

  /// Whether the bytes begin as a file of VP8 does.
  static func isHeader(_ bytes: UnsafeRawBufferPointer) -> Bool { coding(bytes) == "VP80" }

  /// Microseconds from the clock's zero, of the picture whose header the bytes begin with.
  func time(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard let clock, bytes.count >= Self.frameSize else { return nil }
    let ticks = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
    let (product, isTooMuch) = ticks.multipliedReportingOverflow(by: UInt64(clock.denominator) * 1_000_000)
    return isTooMuch ? nil : Int64(exactly: product / UInt64(clock.numerator))
  }

  /// The picture at the end of a stream that was cut off in it: where it stands behind its header.
  func rest(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count >= Self.frameSize + 6, !Self.isHeader(bytes),
      Self.begins(UnsafeRawBufferPointer(rebasing: bytes[Self.frameSize...]))
    else { return nil }
    return Self.frameSize
  }

  mutating func look(_ bytes: UnsafeRawBufferPointer) -> AccessUnitSplitter.Cut {
    if Self.isHeader(bytes), bytes.count >= Self.headerSize {
      func word(_ at: Int) -> Int {
        Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
      }
      clock = FrameRate(word(16), word(20))
    }
    return Self.cut(bytes)
  }

  private static func cut(_ bytes: UnsafeRawBufferPointer) -> AccessUnitSplitter.Cut {
    guard bytes.count >= frameSize else { return .more }
    if isHeader(bytes) { return bytes.count >= headerSize ? .pass(headerSize) : .more }
    let size = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
    // After damage the next picture is looked for where one may stand.
    guard size <= AccessUnitSplitter.largestUnit else { return .skip(1) }
    // A picture that was left out.
    guard size > 0 else { return .skip(frameSize) }
    guard bytes.count >= frameSize + min(size, 6) else { return .more }
    guard begins(UnsafeRawBufferPointer(rebasing: bytes[frameSize...])) else { return .skip(1) }
    return bytes.count >= frameSize + size ? .framed(header: frameSize, unit: size) : .more
  }

  /// Whether the bytes may be the beginning of a picture (RFC 6386, 9.1).
  private static func begins(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes[0] >> 1 & 7 <= 3 else { return false }
    return bytes[0] & 1 == 1 || bytes.count >= 6 && (bytes[3] == 0x9d && bytes[4] == 0x01 && bytes[5] == 0x2a)
  }
}
