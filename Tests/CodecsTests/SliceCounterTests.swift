// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaCore

@Suite(.ownThread) struct SliceCounterTests {
  /// Parameter sets, slices behind long and short start codes, bytes that look nearly like one, and a header as the last byte.
  private static let picture: [UInt8] =
    [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 1, 1, 0, 1, 0, 0, 2]
    + [UInt8](repeating: 1, count: 40) + [0, 0, 1, 0x41, 0, 0, 0, 1, 0x06, 5, 0, 0, 1, 0x61]

  @Test func slicesAreCountedHoweverTheBytesComeInPieces() throws {
    for length in 1...Self.picture.count {
      var counter = try #require(SliceCounter(.h264))
      for start in stride(from: 0, to: Self.picture.count, by: length) {
        let piece = Array(Self.picture[start..<min(Self.picture.count, start + length)])
        piece.withUnsafeBytes { counter.add($0) }
      }
      #expect(counter.count == 3, "in pieces of \(length)")
      counter.begin()
      #expect(counter.count == 0)
    }
  }

  @Test func typesAreThoseOfTheCoding() throws {
    // A video, a sequence and a picture set, a trailing picture and one of random access in two slices.
    let bytes: [UInt8] = [32, 33, 34, 1, 19, 19].flatMap { [0, 0, 1, $0 << 1, 1, 0x80] }
    var counter = try #require(SliceCounter(.h265))
    bytes.withUnsafeBytes { counter.add($0) }
    #expect(counter.count == 3)
    #expect(SliceCounter(.mjpeg) == nil)
  }
}
