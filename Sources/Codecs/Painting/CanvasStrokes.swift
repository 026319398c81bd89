// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// A canvas as strokes: colours as the picture's samples, alpha as dense as they are.
///
/// A sample for several pixels has the mean of their alphas, where those beside the canvas count as transparent ones and those
/// beside the picture not at all, and the mean of their colours, weighted with their alphas.
struct CanvasStrokes {
  private let left: Int
  private let top: Int
  private let width: Int
  private let height: Int
  private let picture: PictureSize
  /// Of the part that is in the picture, line by line.
  private let samples: (first: [UInt16], second: [UInt16], third: [UInt16])
  private let alpha: [UInt8]

  /// - Parameter place: of the canvas in the picture; anywhere.
  /// - Returns: `nil` where nothing of it is to be seen.
  init?(_ canvas: CanvasPixels, alpha share: UInt8, at place: PicturePoint, in layout: FrameLayout) {
    let picture = PictureSize(width: Int(layout.width), height: Int(layout.height))
    let columns = Extent(place.x, canvas.width).within(picture.width)
    let rows = Extent(place.y, canvas.height).within(picture.height)
    guard share > 0, !columns.isEmpty, !rows.isEmpty else { return nil }
    let left = columns.lowerBound
    let colors = SampleColors(layout)
    let count = columns.count * rows.count
    var (first, second, third) = ([UInt16](), [UInt16](), [UInt16]())
    var shares: [UInt8] = []
    first.reserveCapacity(count)
    second.reserveCapacity(count)
    third.reserveCapacity(count)
    shares.reserveCapacity(count)
    canvas.bytes.withUnsafeBufferPointer { bytes in
      for row in rows {
        var at = ((row - place.y) * canvas.width + left - place.x) * 4
        for _ in columns {
          let made = colors.samples(red: bytes[at + 2], green: bytes[at + 1], blue: bytes[at])
          first.append(made.first)
          second.append(made.second)
          third.append(made.third)
          shares.append(UInt8((Int(bytes[at + 3]) * Int(share) + 127) / 255))
          at += 4
        }
      }
    }
    self.picture = picture
    (self.left, top, width, height) = (left, rows.lowerBound, columns.count, rows.count)
    samples = (first, second, third)
    alpha = shares
  }

  /// Adds what is drawn into the planes.
  func add(to strokes: inout Strokes, _ planes: [PlaneCells]) {
    for plane in planes {
      let cells = left / plane.width...(left + width - 1) / plane.width
      let size = cells.count * plane.bytes.count
      var color = [UInt8](repeating: 0, count: size)
      var shares = [UInt8](repeating: 0, count: size)
      for row in top / plane.lines...(top + height - 1) / plane.lines {
        for (index, byte) in plane.bytes.enumerated() {
          fill(&color, &shares, index, byte, plane, cells, row)
        }
        color.withUnsafeBufferPointer { color in
          shares.withUnsafeBufferPointer {
            strokes.blend(
              plane: plane.plane, row: row, column: cells.lowerBound * plane.bytes.count, color: color, alpha: $0)
          }
        }
      }
    }
  }

  /// Makes one byte of each cell of a line.
  private func fill(
    _ color: inout [UInt8], _ shares: inout [UInt8], _ index: Int, _ byte: PlaneCells.Byte, _ plane: PlaneCells,
    _ cells: ClosedRange<Int>, _ row: Int
  ) {
    let step = plane.bytes.count
    let lines = row * plane.lines..<min(picture.height, (row + 1) * plane.lines)
    let visible = max(lines.lowerBound, top)..<max(top, min(lines.upperBound, top + height))
    let right = left + width
    with(byte.sample) { values, isOpacity in
      alpha.withUnsafeBufferPointer { alpha in
        for (cell, number) in cells.enumerated() {
          let start = number * plane.width + byte.pixels.lowerBound
          let end = min(number * plane.width + byte.pixels.upperBound, picture.width)
          let at = cell * step + index
          guard start < end else {
            shares[at] = 0
            continue
          }
          var (weights, sum) = (0, 0)
          for line in visible {
            let base = (line - top) * width - left
            var x = max(start, left)
            while x < min(end, right) {
              let weight = Int(alpha[base + x])
              weights += weight
              sum += weight * (isOpacity ? 65280 : Int(values[base + x]))
              x += 1
            }
          }
          let count = (end - start) * lines.count
          shares[at] = UInt8((weights + count / 2) / count)
          color[at] = weights == 0 ? 0 : UInt8((sum / weights + 128) >> 8)
        }
      }
    }
  }

  /// - Parameter body: is told that the value is 255 everywhere where the sample is the opacity.
  private func with(_ sample: Sample, _ body: (UnsafeBufferPointer<UInt16>, Bool) -> Void) {
    switch sample {
    case .first: samples.first.withUnsafeBufferPointer { body($0, false) }
    case .second: samples.second.withUnsafeBufferPointer { body($0, false) }
    case .third: samples.third.withUnsafeBufferPointer { body($0, false) }
    case .opacity: samples.first.withUnsafeBufferPointer { body($0, true) }
    }
  }
}

/// A stretch of one axis from anywhere, as long as anything.
struct Extent {
  let start: Int
  let end: Int

  /// What is beyond all numbers ends with them.
  init(_ start: Int, _ length: Int) {
    self.start = start
    let (sum, overflow) = start.addingReportingOverflow(max(0, length))
    end = overflow ? Int.max : sum
  }

  /// The part inside `0..<size`; empty where there is none.
  func within(_ size: Int) -> Range<Int> {
    let lower = min(max(0, start), size)
    return lower..<max(lower, min(end, size))
  }
}
