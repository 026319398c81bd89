// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore

/// The text of a region: its fields filled in, and rendered when it is another than before.
///
/// Of the workbench.
struct RegionText {
  private var renderer: (any TextRenderer)?
  private var drawn: (text: String, style: TextStyle)?
  private(set) var bitmap: RegionBitmap?

  /// Library and font, once something was drawn.
  var engine: String? { renderer?.engine }
  /// What is shown.
  var text: String? { drawn?.text }

  /// Whether a text can be another one a second later.
  static func isTimed(_ format: String) -> Bool { format.utf8.contains(UInt8(ascii: "%")) }

  /// CLOCK_MONOTONIC nanoseconds of the beginning of the next second of the day.
  static func nextSecond() -> Int64 {
    let micro = Clock.realtimeMicroseconds() % 1_000_000
    return Clock.now() + (1_000_000 - micro) * 1000
  }

  /// The fields of strftime(3) filled in, in the time zone of the process.
  /// - Throws: E2BIG for a text that gets longer than 2047 bytes.
  static func filled(_ format: String, at seconds: Int) throws(Failure) -> String {
    guard isTimed(format) else { return format }
    var (time, parts) = (time_t(seconds), tm())
    localtime_r(&time, &parts)
    var room = [CChar](repeating: 0, count: 2048)
    // One byte more tells an empty result from one that did not fit.
    let count = strftime(&room, room.count, format + " ", &parts)
    guard count > 0 else {
      throw Failure(.argListTooLong, "text", on: "region", "with its fields filled in it is longer than 2047 bytes")
    }
    return String(decoding: room[..<(count - 1)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// - Returns: whether there is another picture of it than before.
  /// - Throws: ENOENT where no font is found, EFBIG.
  mutating func update(
    _ format: String, _ style: TextStyle, at seconds: Int, by make: (@Sendable () throws(Failure) -> any TextRenderer)?
  ) throws(Failure) -> Bool {
    let text = try Self.filled(format, at: seconds)
    if let drawn, drawn.text == text, drawn.style == style, bitmap != nil { return false }
    guard let make else { throw Failure(.notSupported, "text", on: "region", "this build draws no text") }
    let engine: any TextRenderer
    if let renderer { engine = renderer } else { engine = try make() }
    renderer = engine
    bitmap = RegionBitmap(try engine.render(text, style, limit: RgnSettings.largestBitmap), origin: "text")
    drawn = (text, style)
    return true
  }

  mutating func clear() { self = RegionText() }
}
