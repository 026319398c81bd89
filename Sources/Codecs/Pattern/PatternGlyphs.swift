// SPDX-License-Identifier: Apache-2.0

/// Digits, colon and full stop as luma cells of one size, rendered once.
struct PatternGlyphs: ~Copyable {
  /// Pixels a cell; both even.
  let cellWidth: Int
  let cellHeight: Int
  private let pixels: UnsafeMutablePointer<UInt8>

  /// 5x7 dots a character, one byte a line, the leftmost dot in bit 4.
  private static let dots: [[UInt8]] = [
    [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],  // 0
    [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],  // 1
    [0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f],  // 2
    [0x1f, 0x02, 0x04, 0x06, 0x01, 0x11, 0x0e],  // 3
    [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],  // 4
    [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],  // 5
    [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],  // 6
    [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],  // 7
    [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],  // 8
    [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],  // 9
    [0x00, 0x04, 0x04, 0x00, 0x04, 0x04, 0x00],  // :
    [0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c],  // .
    [0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],  // space
  ]
  static let colon = 10
  static let stop = 11
  static let space = 12

  /// - Parameter scale: pixels a dot.
  init(scale: Int) {
    cellWidth = 6 * scale
    // Nine lines of dots: one empty above and one below.
    cellHeight = 9 * scale + (9 * scale & 1)
    let size = cellWidth * cellHeight
    pixels = .allocate(capacity: size * PatternGlyphs.dots.count)
    pixels.initialize(repeating: 16, count: size * PatternGlyphs.dots.count)
    for (glyph, lines) in PatternGlyphs.dots.enumerated() {
      for (line, bits) in lines.enumerated() {
        for dot in 0..<5 where bits >> UInt8(4 - dot) & 1 == 1 {
          for y in 0..<scale {
            let at = glyph * size + ((line + 1) * scale + y) * cellWidth + dot * scale
            (pixels + at).update(repeating: 235, count: scale)
          }
        }
      }
    }
  }

  deinit { pixels.deallocate() }

  /// Luma of a glyph, `cellWidth` bytes a line.
  func cell(_ glyph: Int) -> UnsafePointer<UInt8> { UnsafePointer(pixels + glyph * cellWidth * cellHeight) }
}
