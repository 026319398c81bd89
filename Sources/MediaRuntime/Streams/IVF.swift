// SPDX-License-Identifier: Apache-2.0

/// How pictures of codings without start codes are told apart in a stream: the IVF file format (a header of 32 bytes, then
/// 12 before each picture), which players and tools read. All numbers least significant byte first.
struct IVF: Sendable, Equatable {
  static let headerSize = 32
  static let frameSize = 12
  /// Ticks of a picture's time a second.
  static let timeBase: UInt32 = 1_000_000

  /// `VP80`
  var fourcc: UInt32
  var width: UInt16
  var height: UInt16

  /// - Precondition: `target` has ``headerSize`` bytes.
  func writeHeader(_ target: UnsafeMutableRawPointer) {
    func put<Value: FixedWidthInteger>(_ offset: Int, _ value: Value) {
      target.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
    }
    // "DKIF", version, size of the header.
    put(0, UInt32(0x4649_4b44))
    put(4, UInt16(0))
    put(6, UInt16(Self.headerSize))
    put(8, fourcc)
    put(12, width)
    put(14, height)
    put(16, Self.timeBase)
    put(20, UInt32(1))
    // Pictures in the file, which nobody knows of a stream, and a word that is not used.
    put(24, UInt64(0))
  }

  /// - Parameters:
  ///   - target: has ``frameSize`` bytes.
  ///   - time: microseconds since the reader's first picture.
  static func writeFrame(_ target: UnsafeMutableRawPointer, size: Int, time: Int64) {
    target.storeBytes(of: UInt32(clamping: size).littleEndian, as: UInt32.self)
    target.storeBytes(of: time.littleEndian, toByteOffset: 4, as: Int64.self)
  }
}
