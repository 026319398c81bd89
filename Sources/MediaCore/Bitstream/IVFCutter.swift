// SPDX-License-Identifier: Apache-2.0

/// Cuts an IVF stream of VP8 into its pictures: a header of 32 bytes, then 12 (size, time) before each picture, numbers
/// least significant byte first.
enum IVFCutter {
  private static let headerSize = 32
  private static let frameSize = 12

  /// Whether the bytes begin as a file of VP8 does.
  static func isHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= 12 && bytes[..<4].elementsEqual("DKIF".utf8) && bytes[8..<12].elementsEqual("VP80".utf8)
  }

  static func cut(_ bytes: UnsafeRawBufferPointer) -> AccessUnitSplitter.Cut {
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
