// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The quantisers of a picture's regions, as x264 and x265 take them: for each block of 16x16 what is added to that of the picture.
///
/// A block that a region touches is the region's. Allocates when regions change, never for a picture. Used by one thread at a time.
final class QuantiserMap {
  static let side = 16

  private struct Blocks {
    var region: PictureRegion
    var columns: Range<Int>
    var rows: Range<Int>
  }

  /// Row by row.
  let offsets: UnsafeMutablePointer<Float>
  private let columns: Int
  private let rows: Int
  private var regions: [Blocks]

  /// - Parameter regions: the one that holds over the others last. What of them is outside the picture has no blocks.
  init(_ regions: [PictureRegion], width: Int, height: Int) {
    let side = QuantiserMap.side
    columns = (width + side - 1) / side
    rows = (height + side - 1) / side
    offsets = .allocate(capacity: columns * rows)
    offsets.initialize(repeating: 0, count: columns * rows)
    self.regions = []
    for region in regions {
      let area = region.area
      let across = min(columns, area.x / side)..<min(columns, (area.x + area.width + side - 1) / side)
      let down = min(rows, area.y / side)..<min(rows, (area.y + area.height + side - 1) / side)
      self.regions.append(Blocks(region: region, columns: across, rows: down))
    }
  }

  deinit { offsets.deallocate() }

  /// Writes the offsets for a picture.
  /// - Parameters:
  ///   - qp: the picture's.
  ///   - bounds: of the quantisers in it.
  ///   - spread: what the engine itself adds for the texture of a block: it is taken off where a block has a quantiser of its own.
  ///     `nil` where it adds nothing.
  func fill(qp: Int, within bounds: ClosedRange<Int>, spread: TextureSpread?) {
    for blocks in regions {
      let offset = Float(blocks.region.quantiser(in: qp, within: bounds) - qp)
      let spread = blocks.region.isAbsolute ? spread : nil
      for row in blocks.rows {
        for column in blocks.columns {
          offsets[row * columns + column] = offset - (spread?.added(column: column, row: row) ?? 0)
        }
      }
    }
  }
}
