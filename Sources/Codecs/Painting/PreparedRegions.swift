// SPDX-License-Identifier: Apache-2.0
import CPainting
import MediaCore

/// Regions as bytes and places for pictures of one layout. Owns its memory, which lies as the loops want it, so that drawing neither
/// allocates nor counts references.
final class PreparedRegions: PreparedDrawings, @unchecked Sendable {
  enum Step {
    /// Which of the spans.
    case strokes(Range<Int>)
    case mosaic(MosaicBlocks)
  }

  let layout: FrameLayout
  private let byteCount: Int
  private let stepCount: Int
  private let steps: UnsafePointer<mpifs_step>
  private let color: UnsafePointer<UInt8>
  private let alpha: UnsafePointer<UInt8>
  private let memory: Memory

  init(layout: FrameLayout, steps: [Step], strokes: Strokes) {
    self.layout = layout
    var memory = Memory()
    color = memory.keep(strokes.color)
    alpha = memory.keep(strokes.alpha)
    let spans = memory.keep(strokes.spans)
    var byteCount = strokes.byteCount
    var made: [mpifs_step] = []
    for step in steps {
      switch step {
      case .strokes(let range):
        made.append(
          mpifs_step(spans: spans + range.lowerBound, spanCount: range.count, blocks: nil, blocksCount: 0))
      case .mosaic(let mosaic):
        byteCount += mosaic.byteCount
        var blocks: [mpifs_blocks] = []
        for cut in mosaic.cuts {
          blocks.append(
            mpifs_blocks(
              plane: Int32(cut.plane), cell: cut.cell, columns: memory.keep(cut.columns),
              columnCount: cut.columns.count, rows: memory.keep(cut.rows), rowCount: cut.rows.count))
        }
        made.append(
          mpifs_step(spans: nil, spanCount: 0, blocks: memory.keep(blocks), blocksCount: blocks.count))
      }
    }
    self.steps = memory.keep(made)
    stepCount = made.count
    self.byteCount = byteCount
    self.memory = memory
  }

  deinit { memory.free() }

  var isEmpty: Bool { stepCount == 0 }

  func paint(on frame: borrowing Frame) throws(Failure) -> Int {
    guard frame.layout == layout else {
      throw Failure(
        .invalidArgument, "draw", on: "\(frame.layout.format) \(frame.layout.width)x\(frame.layout.height) frame",
        "regions were prepared for \(layout.format) \(layout.width)x\(layout.height), or another memory layout or colour"
      )
    }
    guard !isEmpty else { return 0 }
    let pixels = try frame.beginPixels(write: true)
    var planes = mpifs_planes(
      base: (pixels.plane0.base, pixels.plane1.base, pixels.plane2.base),
      stride: (pixels.plane0.stride, pixels.plane1.stride, pixels.plane2.stride))
    mpifs_paint(&planes, steps, stepCount, color, alpha)
    try frame.endPixels(write: true)
    return byteCount
  }

  /// Copies of arrays at places that stay.
  private struct Memory {
    private var kept: [UnsafeMutableRawPointer] = []

    mutating func keep<T>(_ values: [T]) -> UnsafePointer<T> {
      let place = UnsafeMutablePointer<T>.allocate(capacity: max(1, values.count))
      place.initialize(from: values, count: values.count)
      kept.append(UnsafeMutableRawPointer(place))
      return UnsafePointer(place)
    }

    /// All are values without references.
    func free() { for place in kept { place.deallocate() } }
  }
}
