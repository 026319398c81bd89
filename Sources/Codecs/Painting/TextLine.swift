// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// A line of letters with their places, and what becomes of it.
struct TextLine {
  private let cache: GlyphCache
  private let mostWidth: Int
  private var placed: [(glyph: Glyph, x: Int)] = []
  /// Where the next letter stands, from where the first does.
  private var pen = 0
  /// Columns with anything in them, and up to the pen.
  private var columns = 0..<0

  /// - Parameter mostWidth: pixels.
  init(_ cache: GlyphCache, mostWidth: Int) {
    self.cache = cache
    self.mostWidth = mostWidth
  }

  /// - Throws: EFBIG where the line gets wider than it may be.
  mutating func append(_ character: Unicode.Scalar) throws(Failure) {
    let glyph = try cache.glyph(character)
    if let last = placed.last?.glyph { pen += cache.kerning(last, glyph) }
    let own = glyph.columns
    columns = min(columns.lowerBound, pen + own.lowerBound)..<max(columns.upperBound, pen + own.upperBound)
    placed.append((glyph, pen))
    pen += glyph.advance
    columns = columns.lowerBound..<max(columns.upperBound, pen)
    guard columns.count <= mostWidth else { throw tooWide() }
  }

  /// The line as a bitmap. Without letters it is one transparent column.
  func drawn(_ style: TextStyle) throws(Failure) -> CanvasPixels {
    let (width, height) = (max(1, columns.count), cache.size)
    guard width <= mostWidth else { throw tooWide() }
    var inside = [UInt8](repeating: 0, count: width * height)
    var outline = style.outline == nil ? [] : inside
    for (glyph, x) in placed {
      cover(&inside, glyph.inside, x, width)
      if let around = glyph.outline, !outline.isEmpty { cover(&outline, around, x, width) }
    }
    var bytes = [UInt8](repeating: 0, count: width * height * 4)
    let edge = style.outline ?? style.color
    for index in inside.indices {
      let within = Int(inside[index])
      // The outline shows where the letter does not cover it.
      let around = outline.isEmpty ? 0 : (Int(outline[index]) * (255 - within) + 127) / 255
      let alpha = within + around
      guard alpha > 0 else { continue }
      func mixed(_ a: UInt8, _ b: UInt8) -> UInt8 { UInt8((Int(a) * within + Int(b) * around + alpha / 2) / alpha) }
      bytes[index * 4] = mixed(style.color.blue, edge.blue)
      bytes[index * 4 + 1] = mixed(style.color.green, edge.green)
      bytes[index * 4 + 2] = mixed(style.color.red, edge.red)
      bytes[index * 4 + 3] = UInt8(alpha)
    }
    guard let canvas = CanvasPixels(width: width, height: height, bytes: bytes) else { throw tooWide() }
    return canvas
  }

  /// Adds a letter's coverage to that of the line: what two letters cover each in part is covered as by two panes of glass.
  private func cover(_ line: inout [UInt8], _ coverage: Coverage, _ x: Int, _ width: Int) {
    let left = x + coverage.left - columns.lowerBound
    let top = cache.baseline - coverage.top
    for row in max(0, -top)..<max(max(0, -top), min(coverage.height, cache.size - top)) {
      for column in 0..<coverage.width {
        let more = Int(coverage.bytes[row * coverage.width + column])
        let at = (top + row) * width + left + column
        let there = Int(line[at])
        line[at] = UInt8(there + (more * (255 - there) + 127) / 255)
      }
    }
  }

  private func tooWide() -> Failure {
    Failure(.fileTooLarge, "draw", on: "text", "is wider than \(mostWidth) pixels at a height of \(cache.size)")
  }
}
