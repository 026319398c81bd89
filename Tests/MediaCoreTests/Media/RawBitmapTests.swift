// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@Suite(.ownThread) struct RawBitmapTests {
  private static func pixels(
    _ format: RawBitmap.Format, _ width: Int, _ height: Int, _ bytes: [UInt8], foreground: UInt8 = 255,
    background: UInt8 = 0, palette: [RawBitmap.Entry] = []
  ) throws -> [UInt8] {
    try RawBitmap(format, width: width, height: height)
      .pixels(bytes, foreground: foreground, background: background, palette: palette).bytes
  }

  @Test func argb8888IsAsItIs() throws {
    #expect(try Self.pixels(.argb8888, 2, 1, [1, 2, 3, 4, 5, 6, 7, 8]) == [1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test func fourBitsBecomeEightFromNothingToAll() throws {
    // 0xA5F0: alpha 10, red 5, green 15, blue 0.
    #expect(try Self.pixels(.argb4444, 1, 2, [0xf0, 0xa5, 0xff, 0x00]) == [0, 255, 85, 170, 255, 255, 0, 0])
  }

  @Test func oneBitOfAlphaIsTheForegroundsOrTheBackgrounds() throws {
    // 0xFC1F: its bit, red 31, green 0, blue 31; 0x0210: no bit, green 16, blue 16.
    let bytes: [UInt8] = [0x1f, 0xfc, 0x10, 0x02]
    #expect(try Self.pixels(.argb1555, 2, 1, bytes) == [255, 0, 255, 255, 132, 132, 0, 0])
    #expect(
      try Self.pixels(.argb1555, 2, 1, bytes, foreground: 200, background: 9) == [255, 0, 255, 200, 132, 132, 0, 9])
  }

  @Test func twoBitsAreANumberOfThePaletteTheFirstLowest() throws {
    let palette = [
      RawBitmap.Entry(PaintColor(red: 1, green: 2, blue: 3), alpha: 0),
      RawBitmap.Entry(PaintColor(red: 4, green: 5, blue: 6), alpha: 7),
      RawBitmap.Entry(PaintColor(red: 8, green: 9, blue: 10)),
    ]
    // Five pixels a line: 0 1 2 3 2, the rest of the second byte is not looked at. 3 is not in the palette.
    let first: [UInt8] = [3, 2, 1, 0, 6, 5, 4, 7, 10, 9, 8, 255, 0, 0, 0, 0, 10, 9, 8, 255]
    let second: [UInt8] = [10, 9, 8, 255, 10, 9, 8, 255, 10, 9, 8, 255, 10, 9, 8, 255, 3, 2, 1, 0]
    #expect(
      try Self.pixels(.twoBitsPerPixel, 5, 2, [0b1110_0100, 0b1111_1110, 0b1010_1010, 0], palette: palette)
        == first + second)
  }

  @Test func anotherNumberOfBytesIsRefusedWithWhatWasExpected() throws {
    let sizes: [(RawBitmap.Format, Int)] = [
      (.argb8888, 140), (.argb4444, 70), (.argb1555, 70), (.twoBitsPerPixel, 10),
    ]
    for (format, count) in sizes {
      let bitmap = try RawBitmap(format, width: 7, height: 5)
      #expect(bitmap.byteCount == count)
      #expect(throws: Never.self) { try bitmap.pixels([UInt8](repeating: 0, count: count)) }
      for wrong in [0, count - 1, count + 1] {
        let failure = #expect(throws: Failure.self) { try bitmap.pixels([UInt8](repeating: 0, count: wrong)) }
        #expect(failure?.errno == .invalidArgument)
        #expect(failure?.detail.contains("has \(wrong) bytes") == true)
        #expect(failure?.detail.contains("takes \(count)") == true)
      }
    }
  }

  @Test func sizesNoCanvasHasAndPalettesOfFiveAreRefused() throws {
    for (width, height) in [(0, 1), (1, 0), (-1, 1), (16385, 1), (1, Int.max)] {
      let failure = #expect(throws: Failure.self) { try RawBitmap(.argb8888, width: width, height: height) }
      #expect(failure?.errno == .invalidArgument)
    }
    let entry = RawBitmap.Entry(PaintColor(red: 0, green: 0, blue: 0))
    let bitmap = try RawBitmap(.twoBitsPerPixel, width: 4, height: 1)
    #expect(throws: Never.self) { try bitmap.pixels([0], palette: [entry, entry, entry, entry]) }
    #expect(throws: Failure.self) { try bitmap.pixels([0], palette: [entry, entry, entry, entry, entry]) }
  }
}
