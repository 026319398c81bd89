// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Makes of red, green and blue the samples that pictures of one layout hold: as they are, or luma and colour differences of its
/// matrix and range.
struct SampleColors {
  /// Samples of one pixel in 1/256 steps, so that means of them are rounded once.
  typealias Samples = (first: UInt16, second: UInt16, third: UInt16)

  /// A row of the matrix and what is added, in 1/65536 steps.
  private typealias Row = (red: Int32, green: Int32, blue: Int32, offset: Int32)
  private let rows: (Row, Row, Row)

  init(_ layout: FrameLayout) {
    guard !layout.format.isRGB else {
      rows = ((65536, 0, 0, 0), (0, 65536, 0, 0), (0, 0, 65536, 0))
      return
    }
    let (red, blue) = layout.color.matrix.weights
    let green = 1 - red - blue
    let (luma, difference, black) = layout.color.steps
    func row(_ r: Double, _ g: Double, _ b: Double, _ steps: Double, _ offset: Double) -> Row {
      func fixed(_ value: Double) -> Int32 { Int32((value * steps / 255 * 65536).rounded()) }
      return (fixed(r), fixed(g), fixed(b), Int32(offset * 65536))
    }
    let (toBlue, toRed) = (2 * (1 - blue), 2 * (1 - red))
    rows = (
      row(red, green, blue, luma, black), row(-red / toBlue, -green / toBlue, (1 - blue) / toBlue, difference, 128),
      row((1 - red) / toRed, -green / toRed, -blue / toRed, difference, 128)
    )
  }

  @inline(__always) func samples(red: UInt8, green: UInt8, blue: UInt8) -> Samples {
    let (r, g, b) = (Int32(red), Int32(green), Int32(blue))
    func sample(_ row: Row) -> UInt16 {
      let sum = row.red &* r &+ row.green &* g &+ row.blue &* b &+ row.offset &+ 128
      return UInt16(truncatingIfNeeded: min(65280, max(0, sum >> 8)))
    }
    return (sample(rows.0), sample(rows.1), sample(rows.2))
  }

  /// Rounded to whole samples, as a picture holds them.
  func bytes(_ color: PaintColor) -> (first: UInt8, second: UInt8, third: UInt8) {
    let made = samples(red: color.red, green: color.green, blue: color.blue)
    func byte(_ sample: UInt16) -> UInt8 { UInt8((Int(sample) + 128) >> 8) }
    return (byte(made.first), byte(made.second), byte(made.third))
  }
}
