// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Pixels of one colour, line by line, hard at their edges: a pixel belongs to a shape when its middle does.
struct Shape {
  /// The first of ``rows`` in the picture.
  private(set) var top = 0
  /// For each line the pixels that belong to the shape: in order, apart from each other, inside the picture.
  private(set) var rows: [[Range<Int>]] = []

  var isEmpty: Bool { rows.isEmpty }

  /// - Parameters:
  ///   - lines: inside the picture.
  ///   - row: the pixels of a line.
  private init(_ lines: Range<Int>, _ row: (Int) -> [Range<Int>]) {
    guard !lines.isEmpty else { return }
    top = lines.lowerBound
    rows = lines.map(row)
  }

  /// A rectangle, or its frame of `thickness` pixels, drawn inwards.
  static func rectangle(
    _ width: Int, _ height: Int, thickness: Int?, at place: PicturePoint, in picture: PictureSize
  ) -> Shape {
    let (across, down) = (Extent(place.x, width), Extent(place.y, height))
    let columns = across.within(picture.width)
    guard !columns.isEmpty else { return Shape(0..<0) { _ in [] } }
    return Shape(down.within(picture.height)) { row in
      guard let thickness, row - place.y >= thickness, down.end - row > thickness,
        across.end - place.x > 2 * thickness
      else { return [columns] }
      let left = Extent(place.x, thickness).within(picture.width)
      let right = Extent(across.end - thickness, thickness).within(picture.width)
      return [left, right].filter { !$0.isEmpty }
    }
  }

  /// A quadrangle, or its outline of `thickness` pixels, drawn inwards.
  /// - Parameter corners: four, in order around it; a corner is where four pixels meet, the upper left one of its pixel.
  static func quadrangle(_ corners: [PicturePoint], thickness: Int?, in picture: PictureSize) -> Shape {
    let edges = corners.indices.map { Edge(corners[$0], corners[($0 + 1) % corners.count]) }
    let (lowest, highest) = (corners.map(\.y).min() ?? 0, corners.map(\.y).max() ?? 0)
    let lines = Extent(lowest, highest - lowest).within(picture.height)
    return Shape(lines) { row in
      // Inside is what an odd number of edges is left of.
      let crossings = edges.compactMap { $0.crossing(row: row) }.sorted()
      var inside: [Range<Int>] = []
      for index in stride(from: 0, to: crossings.count - 1, by: 2) {
        let pixels = Extent(crossings[index], crossings[index + 1] - crossings[index]).within(picture.width)
        guard !pixels.isEmpty else { continue }
        guard let thickness else {
          inside.append(pixels)
          continue
        }
        inside += runs(pixels) { x in edges.contains { $0.isNearer(than: thickness, x, row) } }
      }
      return inside
    }
  }

  /// A line, `thickness` pixels wide, from the pixel `from` to the pixel `to`, both included.
  static func line(from: PicturePoint, to: PicturePoint, thickness: Int, in picture: PictureSize) -> Shape {
    let (dx, dy) = (to.x - from.x, to.y - from.y)
    guard dx != 0 || dy != 0 else {
      // A point is a square. Of an even width the same side is wider as of a line.
      let before = (thickness - 1) / 2
      return rectangle(
        thickness, thickness, thickness: nil, at: PicturePoint(x: from.x - before, y: from.y - before), in: picture)
    }
    let square = dx * dx + dy * dy
    // The middle of a pixel is nearer than half the thickness, on the one side also just as near, so that a line along an axis is as
    // wide as it is said to be; and at most half a pixel beyond the ends.
    let (wide, long) = (thickness * thickness * square, root(square))
    let bands = [
      Band(2 * dy, -2 * dx, within: -root(wide)...root(wide - 1)),
      Band(2 * dx, 2 * dy, within: -long...2 * square + long),
    ]
    let reach = thickness + 1
    let (lowest, highest) = (min(from.y, to.y) - reach, max(from.y, to.y) + reach)
    let lines = Extent(lowest, highest - lowest + 1).within(picture.height)
    return Shape(lines) { row in
      var pixels = 0..<picture.width
      for band in bands { pixels = pixels.clamped(to: band.columns(row: row - from.y, from: from.x)) }
      return pixels.isEmpty ? [] : [pixels]
    }
  }

  /// Adds what is drawn into the planes. A sample that belongs to a pixel of the shape is all its colour, so that what a cover hides
  /// is hidden in colour too.
  func add(_ color: (first: UInt8, second: UInt8, third: UInt8), to strokes: inout Strokes, _ planes: [PlaneCells]) {
    let most = rows.lazy.flatMap { $0 }.map(\.upperBound).max() ?? 0
    guard most > 0 else { return }
    for plane in planes {
      let cell: [UInt8] = plane.bytes.map { byte in
        switch byte.sample {
        case .first: color.first
        case .second: color.second
        case .third: color.third
        case .opacity: 255
        }
      }
      // What lies at a byte of the line is copied from there.
      let line = [[UInt8]](repeating: cell, count: (most + plane.width - 1) / plane.width).flatMap { $0 }
      let source = strokes.keep(line)
      let last = top + rows.count - 1
      for row in top / plane.lines...last / plane.lines {
        let lines = max(top, row * plane.lines)...min(last, (row + 1) * plane.lines - 1)
        let ranges = lines.flatMap { rows[$0 - top] }.flatMap { plane.bytes(of: $0) }
        for bytes in Shape.joined(ranges) {
          strokes.append(
            plane: plane.plane, row: row, column: bytes.lowerBound, count: bytes.count,
            source: source + bytes.lowerBound, blends: false)
        }
      }
    }
  }

  /// The same numbers in ranges that neither touch nor overlap, in order.
  private static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
    var made: [Range<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = made.last, range.lowerBound <= last.upperBound {
        made[made.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        made.append(range)
      }
    }
    return made
  }

  private static func runs(_ pixels: Range<Int>, _ belongs: (Int) -> Bool) -> [Range<Int>] {
    var made: [Range<Int>] = []
    var start: Int?
    for x in pixels {
      if belongs(x) {
        start = start ?? x
      } else if let begun = start {
        made.append(begun..<x)
        start = nil
      }
    }
    if let start { made.append(start..<pixels.upperBound) }
    return made
  }

  /// The whole part of a square root.
  private static func root(_ square: Int) -> Int {
    var found = Int(Double(square).squareRoot())
    // Doubles have fewer digits than integers.
    while found * found > square { found -= 1 }
    while (found + 1) * (found + 1) <= square { found += 1 }
    return found
  }
}

/// Visible size in pixels.
struct PictureSize {
  let width: Int
  let height: Int
}

/// An edge of a polygon between two corners.
private struct Edge {
  private let a: PicturePoint
  private let b: PicturePoint

  init(_ a: PicturePoint, _ b: PicturePoint) { (self.a, self.b) = a.y <= b.y ? (a, b) : (b, a) }

  /// The first pixel of a line whose middle is not left of the edge; `nil` where the edge is not beside the middle of the line.
  func crossing(row: Int) -> Int? {
    guard a.y <= row, row < b.y else { return nil }
    let (dx, dy) = (b.x - a.x, b.y - a.y)
    return a.x + -floorQuotient(-((2 * (row - a.y) + 1) * dx - dy), 2 * dy)
  }

  /// The middle of a pixel is nearer to the edge than so many pixels.
  func isNearer(than distance: Int, _ x: Int, _ y: Int) -> Bool {
    // In half pixels.
    let (px, py) = (2 * (x - a.x) + 1, 2 * (y - a.y) + 1)
    let (dx, dy) = (2 * (b.x - a.x), 2 * (b.y - a.y))
    let along = px * dx + py * dy
    let square = dx * dx + dy * dy
    let reach = 2 * distance
    guard along > 0 else { return px * px + py * py < reach * reach }
    guard along < square else { return (px - dx) * (px - dx) + (py - dy) * (py - dy) < reach * reach }
    return Double(abs(px * dy - py * dx)) < Double(reach) * Double(square).squareRoot()
  }
}

/// What lies between two parallels: where `x * a + y * b` is in a range.
private struct Band {
  private let a: Int
  private let b: Int
  private let range: ClosedRange<Int>

  init(_ a: Int, _ b: Int, within range: ClosedRange<Int>) {
    self.a = a
    self.b = b
    self.range = range
  }

  /// The columns of a line that are in it.
  /// - Parameter from: added to them.
  func columns(row: Int, from: Int) -> Range<Int> {
    let (low, high) = (range.lowerBound - row * b, range.upperBound - row * b)
    guard a != 0 else { return low <= 0 && high >= 0 ? 0..<Int.max : 0..<0 }
    let ends = a > 0 ? (low, high, a) : (-high, -low, -a)
    let (first, last) = (-floorQuotient(-ends.0, ends.2), floorQuotient(ends.1, ends.2))
    return first + from..<max(first, last + 1) + from
  }
}

/// - Parameter divisor: above 0.
private func floorQuotient(_ number: Int, _ divisor: Int) -> Int {
  let (quotient, rest) = number.quotientAndRemainder(dividingBy: divisor)
  return rest < 0 ? quotient - 1 : quotient
}
