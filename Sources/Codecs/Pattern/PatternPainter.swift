// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore

/// Paints the test picture: a detailed background that drifts, a box that bounces, the frame number and the time of day,
/// and the number once more for programs (``PatternCode``).
///
/// All that needs arithmetic is rendered once; a frame is copies and fills of whole lines. Owns the rendered parts.
struct PatternPainter: ~Copyable {
  private static let period = 256
  private let width: Int
  private let height: Int
  private let format: PixelFormat
  /// One period of lines, each one period longer than the picture is wide, so that any offset is one copy a line.
  private let luma: UnsafeMutablePointer<UInt8>
  private let lumaStride: Int
  /// I420: Cb lines, then Cr lines. NV12: interleaved lines.
  private let chroma: UnsafeMutablePointer<UInt8>
  private let chromaStride: Int
  private let glyphs: PatternGlyphs
  /// One line of the box's chroma, interleaved.
  private let boxChroma: UnsafeMutablePointer<UInt8>
  private let box: Int
  private let codeCell: Int
  private let codeHeight: Int

  init(width: Int, height: Int, format: PixelFormat) {
    let period = PatternPainter.period
    self.width = width
    self.height = height
    self.format = format
    lumaStride = width + period
    luma = .allocate(capacity: lumaStride * period)
    let half = (width + 1) / 2 + period / 2
    let planar = format == .i420
    chromaStride = planar ? half : half * 2
    chroma = .allocate(capacity: half * period)
    glyphs = PatternGlyphs(scale: max(1, min(height / 120, width / 150)))
    box = max(8, height / 6) & ~1
    boxChroma = .allocate(capacity: box)
    for index in 0..<box { boxChroma[index] = index % 2 == 0 ? 90 : 240 }
    codeCell = PatternCode.cellWidth(forPictureWidth: width)
    codeHeight = PatternCode.cellHeight(forPictureWidth: width)
    renderBackground()
  }

  deinit {
    luma.deallocate()
    chroma.deallocate()
    boxChroma.deallocate()
  }

  /// A wave that rises for half of `length` and falls for the other half, 0...length/2.
  private static func triangle(_ x: Int, _ length: Int) -> Int {
    let phase = x % length
    return phase < length / 2 ? phase : length - phase
  }

  /// Slow waves for colour, squares and rings for edges, and a fixed fine grain that gives an encoder residue to code.
  private func renderBackground() {
    let period = PatternPainter.period
    var grain: UInt32 = 0x2545_f491
    for y in 0..<period {
      let line = luma + y * lumaStride
      for x in 0..<period {
        grain ^= grain << 13
        grain ^= grain >> 17
        grain ^= grain << 5
        let square = (x / 32 + y / 32) % 2 * 28
        let (dx, dy) = (x - 128, y - 128)
        let ring = (dx * dx + dy * dy) / 512 % 4 == 0 ? 24 : 0
        let wave = PatternPainter.triangle(x, 128) / 2 + PatternPainter.triangle(y, 256) / 3
        line[x] = UInt8(clamping: 52 + square + ring + wave + Int(grain >> 28))
      }
      repeatPeriod(line, count: period, total: lumaStride)
    }
    let planar = format == .i420
    for y in 0..<period / 2 {
      let first = chroma + y * chromaStride
      let second = planar ? first + chromaStride * period / 2 : first + 1
      let step = planar ? 1 : 2
      for x in 0..<period / 2 {
        first[x * step] = UInt8(clamping: 96 + PatternPainter.triangle(x, 128))
        second[x * step] = UInt8(clamping: 160 - PatternPainter.triangle(x + y, 128))
      }
      repeatPeriod(first, count: period / 2 * step, total: chromaStride)
      if planar { repeatPeriod(second, count: period / 2, total: chromaStride) }
    }
  }

  private func repeatPeriod(_ line: UnsafeMutablePointer<UInt8>, count: Int, total: Int) {
    var filled = count
    while filled < total {
      let more = min(count, total - filled)
      memcpy(line + filled, line, more)
      filled += more
    }
  }

  /// Paints frame `number` as of the wall-clock time `clock`, CLOCK_REALTIME nanoseconds.
  func paint(_ target: Pixels, number: UInt64, clock: Int64) {
    let step = Int(number & 0xffff)
    paintBackground(target, x: step * 4 % PatternPainter.period, y: step * 2 % PatternPainter.period)
    paintBox(target, number)
    paintText(target, number, clock)
    paintCode(target, UInt32(truncatingIfNeeded: number))
  }

  private func paintBackground(_ t: Pixels, x: Int, y: Int) {
    let mask = PatternPainter.period - 1
    for row in 0..<height {
      memcpy(t.plane0.base + row * Int(t.plane0.stride), luma + ((row + y) & mask) * lumaStride + x, width)
    }
    let planar = format == .i420
    let half = (width + 1) / 2
    for row in 0..<(height + 1) / 2 {
      let line = chroma + ((row + y / 2) & (mask >> 1)) * chromaStride
      if planar {
        memcpy(t.plane1.base + row * Int(t.plane1.stride), line + x / 2, half)
        let second = line + chromaStride * PatternPainter.period / 2
        memcpy(t.plane2.base + row * Int(t.plane2.stride), second + x / 2, half)
      } else {
        memcpy(t.plane1.base + row * Int(t.plane1.stride), line + x, half * 2)
      }
    }
  }

  private func paintBox(_ t: Pixels, _ number: UInt64) {
    let (roomX, roomY) = (max(2, width - box), max(2, height - box))
    let step = Int(number % 1_000_000_007)
    let x = min(PatternPainter.triangle(step * 6, roomX * 2) & ~1, width - box)
    let y = min(PatternPainter.triangle(step * 4, roomY * 2) & ~1, height - box)
    guard x >= 0, y >= 0 else { return }
    for row in y..<y + box { memset(t.plane0.base + row * Int(t.plane0.stride) + x, 150, box) }
    for row in y / 2..<(y + box) / 2 {
      if format == .i420 {
        memset(t.plane1.base + row * Int(t.plane1.stride) + x / 2, 90, box / 2)
        memset(t.plane2.base + row * Int(t.plane2.stride) + x / 2, 240, box / 2)
      } else {
        memcpy(t.plane1.base + row * Int(t.plane1.stride) + x, boxChroma, box)
      }
    }
  }

  /// Takes the colour out of a rectangle on even coordinates.
  private func grey(_ t: Pixels, x: Int, y: Int, width w: Int, height h: Int) {
    for row in y / 2..<(y + h) / 2 {
      if format == .i420 {
        memset(t.plane1.base + row * Int(t.plane1.stride) + x / 2, 128, w / 2)
        memset(t.plane2.base + row * Int(t.plane2.stride) + x / 2, 128, w / 2)
      } else {
        memset(t.plane1.base + row * Int(t.plane1.stride) + x, 128, w)
      }
    }
  }

  /// `00000123 12:34:56.789` from the top left corner; what does not fit is left out.
  private func paintText(_ t: Pixels, _ number: UInt64, _ clock: Int64) {
    let (cellWidth, cellHeight) = (glyphs.cellWidth, glyphs.cellHeight)
    let margin = cellWidth / 2 & ~1
    let fit = min(21, (width - margin) / cellWidth)
    guard fit > 0, height >= margin + cellHeight else { return }
    grey(t, x: margin, y: margin, width: fit * cellWidth, height: cellHeight)
    var seconds = time_t(clock / .seconds(1))
    var day = tm()
    localtime_r(&seconds, &day)
    let milliseconds = Int(clock % .seconds(1) / .milliseconds(1))
    for column in 0..<fit {
      let glyph: Int =
        switch column {
        case 0..<8: digit(Int(number % 100_000_000), 7 - column)
        case 9, 10: digit(Int(day.tm_hour), 10 - column)
        case 12, 13: digit(Int(day.tm_min), 13 - column)
        case 15, 16: digit(Int(day.tm_sec), 16 - column)
        case 18...20: digit(milliseconds, 20 - column)
        case 11, 14: PatternGlyphs.colon
        case 17: PatternGlyphs.stop
        default: PatternGlyphs.space
        }
      let cell = glyphs.cell(glyph)
      let at = t.plane0.base + margin * Int(t.plane0.stride) + margin + column * cellWidth
      for row in 0..<cellHeight { memcpy(at + row * Int(t.plane0.stride), cell + row * cellWidth, cellWidth) }
    }
  }

  private func digit(_ value: Int, _ place: Int) -> Int {
    var value = value
    for _ in 0..<place { value /= 10 }
    return value % 10
  }

  private func paintCode(_ t: Pixels, _ number: UInt32) {
    guard codeCell > 0, codeHeight <= height else { return }
    let top = height - codeHeight
    grey(t, x: 0, y: top & ~1, width: codeCell * PatternCode.cellCount, height: codeHeight)
    let stride = Int(t.plane0.stride)
    let line = t.plane0.base + top * stride
    for cell in 0..<PatternCode.cellCount {
      memset(line + cell * codeCell, PatternCode.isWhite(cell: cell, number: number) ? 235 : 16, codeCell)
    }
    for row in 1..<codeHeight { memcpy(line + row * stride, line, codeCell * PatternCode.cellCount) }
  }
}
