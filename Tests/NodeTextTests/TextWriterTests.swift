// SPDX-License-Identifier: Apache-2.0

import NodeText
import Reports
import TestSupport
import Testing

@Suite("Cells and escapes", .ownThread)
struct TextWriterTests {
  @Test func zeroInHexadecimalHasThePrefixOfTheKernel() {
    #expect(rendered { $0.leftHexadecimal(0, 5) } == "0x0  ")
    #expect(rendered { $0.leftHexadecimal(0x1062, 5) } == "0x1062")
    #expect(rendered { $0.rightHexadecimal(0xabc, 6) } == "   abc")
    #expect(rendered { $0.rightHexadecimal(0, 2) } == " 0")
    #expect(rendered { $0.hexadecimal(.max) } == "ffffffffffffffff")
  }

  @Test(arguments: [0, 7, 9, 10, 99, 100, 999, 1000, 9999, 10000, 99999, 100_000, 999_999, 1_000_000, Int.max])
  func numbersEqualThoseOfTheLibrary(_ value: Int) {
    for signed in [value, -value, value &+ 1, -value - 1] {
      #expect(rendered { $0.number(signed) } == "\(signed)")
      for width in [0, 1, 5, 12, 25] {
        let digits = "\(signed)"
        let fill = String(repeating: " ", count: max(0, width - digits.count))
        #expect(rendered { $0.left(signed, width) } == digits + fill)
        #expect(rendered { $0.right(signed, width) } == fill + digits)
      }
    }
  }

  @Test func theLargestNumbersAreWhole() {
    #expect(rendered { $0.number(UInt64.max) } == "18446744073709551615")
    #expect(rendered { $0.number(Int64.min) } == "-9223372036854775808")
    #expect(rendered { $0.right(UInt64.max, 4) } == "18446744073709551615")
  }

  @Test func longStringsAreNeverCut() {
    #expect(rendered { $0.left("OVERLAY_EX", 9) } == "OVERLAY_EX")
    #expect(rendered { $0.right("OVERLAY_EX", 9) } == "OVERLAY_EX")
    #expect(rendered { $0.right("ab" as String, 4) } == "  ab")
  }

  @Test func theWriterGrowsPastItsFirstRoom() {
    let long = String(repeating: "0123456789", count: 5000)
    let text = rendered { writer in
      for _ in 0..<3 { writer.string(long) }
      writer.fill(0x2D, 70000)
      writer.number(12345)
    }
    #expect(text == long + long + long + String(repeating: "-", count: 70000) + "12345")
    #expect(renderText(capacity: 0) { _ in } == [])
  }

  @Test func aWriterThatIsEmptiedIsUsedAgain() {
    var writer = TextWriter(capacity: 8)
    writer.text("first")
    writer.removeAll()
    writer.text("second")
    #expect(writer.bytes() == Array("second".utf8))
    let length = writer.withBytes { $0.count }
    #expect(length == 6)
  }

  @Test func aWordHasNoBlankAndIsNeverEmpty() {
    #expect(rendered { $0.word("a b\tc\nd\u{1B}e\u{7F}") } == "a_b_c_d_e_")
    #expect(rendered { $0.word("") } == "-")
    #expect(rendered { $0.leftWord("", 3) } == "-  ")
    #expect(rendered { $0.word("läuft") } == "läuft")
  }

  @Test func aLineHoldsNoControlCharacter() {
    #expect(rendered { $0.line("a\nb\r\t\u{1B}[31m\u{7F}") } == "a\\nb\\r\\t\\x1b[31m\\x7f")
    // U+009B alone begins an escape sequence on some terminals.
    #expect(rendered { $0.line("\u{9B}31m é 日本") } == "\\xc2\\x9b31m é 日本")
    #expect(rendered { $0.line("© \u{A0}") } == "© \u{A0}")
    // What breaks a line, turns its direction or cannot be seen; bytes that are no text.
    #expect(rendered { $0.line("a\u{2028}b\u{202E}c\u{200B}") } == "a\\xe2\\x80\\xa8b\\xe2\\x80\\xaec\\xe2\\x80\\x8b")
    let foreign = ([0x61, 0xFF, 0xC3, 0xA9, 0xC3] as [UInt8]).withUnsafeBytes { ForeignByte.text($0) }
    #expect(rendered { $0.line(foreign) } == "a\\xffé\\xc3")
    #expect(rendered { $0.quotedText(foreign) } == "\"a\\xff\\xc3\\xa9\\xc3\"")
  }

  @Test func quotedBytesAreAsciiAndExact() {
    let all = (0...255).map { UInt8($0) }
    let text = rendered { $0.quoted(all) }
    #expect(text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
    #expect(text.hasPrefix("\"\\x00\\x01"))
    #expect(text.hasSuffix("\\xfe\\xff\""))
    #expect(text.contains("!\\\"#"))
    #expect(text.contains("[\\\\]"))
  }

  @Test(
    arguments: [
      (0, 1970, 1, 1, 0, 0, 0), (951_782_399, 2000, 2, 28, 23, 59, 59), (951_782_400, 2000, 2, 29, 0, 0, 0),
      (1_709_251_200, 2024, 3, 1, 0, 0, 0), (1_735_689_599, 2024, 12, 31, 23, 59, 59), (-1, 1969, 12, 31, 23, 59, 59),
      (4_107_542_400, 2100, 3, 1, 0, 0, 0), (1_795_231_863, 2026, 11, 21, 3, 31, 3),
    ] as [(Int64, Int, Int, Int, Int, Int, Int)])
  func secondsBecomeTheRightDate(
    _ seconds: Int64, _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int
  ) {
    let expected = CivilTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    #expect(civilTime(secondsSince1970: seconds) == expected)
  }
}
