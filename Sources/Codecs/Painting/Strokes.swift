// SPDX-License-Identifier: Apache-2.0
import CPainting

/// Bytes to be put into pictures, with their places: what canvases, covers and lines become.
struct Strokes {
  private(set) var spans: [mpifs_span] = []
  private(set) var color: [UInt8] = []
  private(set) var alpha: [UInt8] = []
  /// Bytes of pixels that are written.
  private(set) var byteCount = 0

  /// So many transparent bytes in a row are worth a span of their own behind them.
  private static let gap = 32
  /// So many opaque bytes in a row are copied rather than blended.
  private static let opaque = 64

  /// Blends a line's bytes into a plane, without those that are transparent.
  /// - Parameter column: byte of the line where they begin.
  mutating func blend(
    plane: Int, row: Int, column: Int, color line: UnsafeBufferPointer<UInt8>, alpha shares: UnsafeBufferPointer<UInt8>
  ) {
    var at = 0
    while true {
      while at < shares.count, shares[at] == 0 { at += 1 }
      guard at < shares.count else { return }
      let start = at
      // Its end is behind the last byte that is not transparent before a gap.
      var end = at
      while at < shares.count, at - end < Strokes.gap {
        if shares[at] != 0 { end = at + 1 }
        at += 1
      }
      let source = color.count
      color.append(contentsOf: line[start..<end])
      alpha.append(contentsOf: shares[start..<end])
      divide(plane: plane, row: row, column: column + start, source: source, shares[start..<end])
      at = end
    }
  }

  /// Adds spans for bytes that were appended, taking those that are opaque out of the blending.
  private mutating func divide(
    plane: Int, row: Int, column: Int, source: Int, _ shares: Slice<UnsafeBufferPointer<UInt8>>
  ) {
    func add(_ range: Range<Int>, blends: Bool) {
      guard !range.isEmpty else { return }
      let offset = range.lowerBound - shares.startIndex
      append(
        plane: plane, row: row, column: column + offset, count: range.count, source: source + offset, blends: blends)
    }
    var pending = shares.startIndex
    var at = pending
    while at < shares.endIndex {
      let start = at
      while at < shares.endIndex, shares[at] == 255 { at += 1 }
      if at - start >= Strokes.opaque {
        add(pending..<start, blends: true)
        add(start..<at, blends: false)
        pending = at
      }
      at += at == start ? 1 : 0
    }
    add(pending..<shares.endIndex, blends: true)
  }

  /// Keeps bytes that spans copy from.
  /// - Returns: where they begin.
  mutating func keep(_ bytes: [UInt8]) -> Int {
    color.append(contentsOf: bytes)
    alpha.append(contentsOf: repeatElement(255, count: bytes.count))
    return color.count - bytes.count
  }

  mutating func append(plane: Int, row: Int, column: Int, count: Int, source: Int, blends: Bool) {
    spans.append(
      mpifs_span(
        plane: Int32(plane), row: Int32(row), column: Int32(column), count: Int32(count), source: source,
        blends: blends ? 1 : 0))
    byteCount += count
  }
}
