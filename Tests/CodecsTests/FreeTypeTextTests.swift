// SPDX-License-Identifier: Apache-2.0
import CAllocationCount
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

@Suite(.ownThread) struct FreeTypeTextTests {
  private static let white = PaintColor(red: 255, green: 255, blue: 255)
  private static let black = PaintColor(red: 0, green: 0, blue: 0)
  private static let limit = 1 << 22

  private static func alpha(_ canvas: CanvasPixels) -> [UInt8] {
    stride(from: 3, to: canvas.bytes.count, by: 4).map { canvas.bytes[$0] }
  }

  /// The smallest rectangle with all that shows.
  private static func extent(_ canvas: CanvasPixels) -> (left: Int, top: Int, right: Int, bottom: Int)? {
    let shown = alpha(canvas).enumerated().filter { $0.element > 0 }.map {
      ($0.offset % canvas.width, $0.offset / canvas.width)
    }
    guard let left = shown.map(\.0).min(), let top = shown.map(\.1).min(), let right = shown.map(\.0).max(),
      let bottom = shown.map(\.1).max()
    else { return nil }
    return (left, top, right, bottom)
  }

  private static func render(
    _ text: String, size: Int = 32, color: PaintColor = white, outline: PaintColor? = nil, limit: Int = limit
  ) throws -> CanvasPixels {
    try FreeTypeText().render(text, TextStyle(size: size, color: color, outline: outline), limit: limit)
  }

  @Test func aLineIsAsHighAsItSaysAndHasItsColourOnly() throws {
    for size in [4, 12, 33, 100] {
      let canvas = try Self.render("Ag1", size: size, color: PaintColor(red: 9, green: 8, blue: 7))
      #expect(canvas.height == size)
      let shown = try #require(Self.extent(canvas))
      // From the top of the A to the bottom of the g it is most of the line.
      #expect(shown.bottom - shown.top + 1 >= size / 2)
      #expect(size < 12 || Self.alpha(canvas).contains(255))
      for at in stride(from: 0, to: canvas.bytes.count, by: 4) where canvas.bytes[at + 3] > 0 {
        #expect(canvas.bytes[at] == 7 && canvas.bytes[at + 1] == 8 && canvas.bytes[at + 2] == 9)
      }
    }
  }

  /// The reference is another program's rendering with the same font: FFmpeg's drawtext.
  @Test func lettersAreThoseOfTheFont() throws {
    let font = try FontFile(nil).path
    // The font's lines are 1.164 of its size high.
    let told = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i",
        "color=black:s=400x200:d=0.04:r=25,format=gray,"
          + "drawtext=fontfile=\(font):text=Hxgo:fontsize=86:fontcolor=white:x=20:y=40", "-frames:v", "1", "-f",
        "rawvideo", "-pix_fmt", "gray", "pipe:1",
      ])
    try #require(told.output.count == 400 * 200, "\(told.errors)")
    // Gray of limited range.
    let theirs = told.output.map { UInt8(clamping: (Int($0) - 16) * 255 / 219) }
    let ink = theirs.reduce(0) { $0 + Int($1) }
    /// The share of the ink that is different, at the place where the least is.
    func difference(_ text: String) throws -> Double {
      let ours = try Self.render(text, size: 100)
      let alpha = Self.alpha(ours)
      var least = Int.max
      for top in 18..<30 {
        for left in 16..<26 {
          var sum = 0
          for y in 0..<140 {
            for x in 10..<320 {
              let isInside = y >= top && y < top + ours.height && x >= left && x < left + ours.width
              let own = isInside ? Int(alpha[(y - top) * ours.width + x - left]) : 0
              sum += abs(own - Int(theirs[y * 400 + x]))
            }
          }
          least = min(least, sum)
        }
      }
      return Double(least) / Double(ink)
    }
    // Hinting and rounding differ, at the edges of the letters.
    let (same, other) = (try difference("Hxgo"), try difference("Hogx"))
    #expect(same < 0.05 && other > 0.3, "\(same), \(other)")
  }

  @Test func theSameTextIsTheSamePixelsWhateverWasDrawnBefore() throws {
    let style = TextStyle(size: 40, color: Self.white, outline: Self.black)
    let text = FreeTypeText()
    let first = try text.render("12:34:56 Ärger", style, limit: Self.limit)
    for size in [20, 40, 60] {
      _ = try text.render("xyz 987 AVAVA", TextStyle(size: size, color: Self.black), limit: Self.limit)
    }
    #expect(try text.render("12:34:56 Ärger", style, limit: Self.limit) == first)
    #expect(try FreeTypeText().render("12:34:56 Ärger", style, limit: Self.limit) == first)
  }

  @Test func aLongerTextIsNotNarrower() throws {
    let text = FreeTypeText()
    for line in ["AVAVA To. WAW,", "fi jj ff", "e\u{301}\u{302}o\u{308}", "日本語 مرحبا 🙂", "12:00:00"] {
      for outline in [nil, Self.black] {
        var width = 0
        var prefix = ""
        for scalar in line.unicodeScalars {
          prefix.unicodeScalars.append(scalar)
          let canvas = try text.render(
            prefix, TextStyle(size: 30, color: Self.white, outline: outline), limit: Self.limit)
          #expect(canvas.width >= width, "\(prefix)")
          width = canvas.width
        }
        #expect(width > 20)
      }
    }
  }

  @Test func lettersAreKerned() throws {
    let together = try Self.render("AV", size: 100).width
    let apart = try Self.render("A", size: 100).width + Self.render("V", size: 100).width
    #expect(together < apart - 2)
  }

  @Test func clocksDoNotChangeTheirWidth() throws {
    let widths = Set(try ["00:00:00", "11:11:11", "12:34:56", "23:59:59"].map { try Self.render($0).width })
    #expect(widths.count == 1)
  }

  @Test func anEmptyTextIsOneTransparentColumn() throws {
    let canvas = try Self.render("", size: 20)
    #expect((canvas.width, canvas.height) == (1, 20))
    #expect(canvas.bytes.allSatisfy { $0 == 0 })
    let blank = try Self.render("   ", size: 20)
    #expect(blank.width > 3)
    #expect(Self.extent(blank) == nil)
  }

  @Test func whatTheFontLacksIsItsBoxAndControlsAreReplaced() throws {
    // No font has letters in the private planes.
    let box = try Self.render("\u{10fffd}")
    #expect(Self.extent(box) != nil)
    #expect(try Self.render("\u{10fffe}") == box)
    #expect(try Self.render("a\tb\nc") == Self.render("a b c"))
    for control in ["\u{0}", "\u{1b}", "\u{7f}", "\u{9b}"] {
      #expect(try Self.render("a\(control)b") == Self.render("a\u{fffd}b"))
    }
  }

  @Test func anOutlineIsAroundTheLettersInItsColour() throws {
    let plain = try Self.render("O", size: 60)
    let outlined = try Self.render("O", size: 60, outline: Self.black)
    #expect(outlined.height == 60)
    var (white, black, other) = (0, 0, 0)
    for at in stride(from: 0, to: outlined.bytes.count, by: 4) where outlined.bytes[at + 3] == 255 {
      switch outlined.bytes[at] {
      case 255: white += 1
      case 0: black += 1
      default: other += 1
      }
    }
    #expect(white > 100 && black > 100 && other > 0)
    // Whoever leaves the letter goes through the outline: beside what is white there is nothing that shows through.
    let alpha = Self.alpha(outlined)
    for index in alpha.indices where alpha[index] < 255 { #expect(outlined.bytes[index * 4] < 200) }
    #expect(try #require(Self.extent(outlined)).left <= #require(Self.extent(plain)).left)
  }

  @Test func moreThanTheLimitIsRefused() throws {
    let width = try Self.render("Hello", size: 20).width
    #expect(throws: Never.self) { try Self.render("Hello", size: 20, limit: width * 20) }
    let long = String(repeating: "W", count: 1_000_000)
    for (text, limit) in [("Hello", width * 20 - 1), ("", 19), (long, 1 << 40), (long, Self.limit)] {
      let failure = #expect(throws: Failure.self) { try Self.render(text, size: 20, limit: limit) }
      #expect(failure?.errno == .fileTooLarge)
    }
  }

  @Test func heightsAndFontsThatCannotBeAreRefused() throws {
    for size in [Int.min, -1, 0, 3, 1025, Int.max] {
      let failure = #expect(throws: Failure.self) { try Self.render("a", size: size) }
      #expect(failure?.errno == .invalidArgument)
    }
    func errno(_ path: String) -> CInt? {
      do throws(Failure) {
        _ = try FreeTypeText(font: path).render("a", TextStyle(size: 20, color: Self.white), limit: Self.limit)
        return nil
      } catch { return error.errno.rawValue }
    }
    #expect(errno("/nonexistent/font.ttf") == ENOENT)
    #expect(errno("/etc/passwd") == EINVAL)
    #expect(try errno(FontFile(nil).path) == nil)
    #expect(FreeTypeText(font: "/nonexistent/font.ttf").engine == "FreeType")
    #expect(FreeTypeText().engine.hasPrefix("FreeType 2."))
  }

  @Test func aClockIsDrawnFromWhatIsKept() throws {
    let text = FreeTypeText()
    let style = TextStyle(size: 32, color: Self.white, outline: Self.black)
    func draw(_ second: Int) throws -> UInt64 {
      let before = allocation_count()
      _ = try text.render("2026-11-29 12:34:\(10 + second % 50)", style, limit: Self.limit)
      return allocation_count() - before
    }
    let first = try draw(0)
    for second in 0..<50 { _ = try draw(second) }
    // No letter is drawn anew: what is left is the line itself.
    #expect(try draw(7) * 4 < first)
  }
}
