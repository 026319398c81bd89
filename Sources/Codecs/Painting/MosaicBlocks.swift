// SPDX-License-Identifier: Apache-2.0
import CPainting
import MediaCore

/// Where a mosaic cuts the planes of a picture into blocks.
///
/// Where samples of colour are for several pixels the rectangle grows to whole ones: each block is one colour then, and nothing of
/// what the rectangle covers is left. The blocks begin at its corner, be it outside the picture, and are cut at its edges and at the picture's.
struct MosaicBlocks {
  struct Cuts {
    let plane: Int
    let cell: mpifs_cell
    /// Bytes of a line.
    let columns: [Int32]
    let rows: [Int32]
  }

  let cuts: [Cuts]
  /// Bytes of pixels that are written.
  let byteCount: Int

  /// - Returns: `nil` where nothing of it is in the picture.
  init?(
    _ width: Int, _ height: Int, block: Int, at place: PicturePoint, _ planes: [PlaneCells], in picture: PictureSize
  ) {
    let wide = planes.map(\.width).max() ?? 1
    let high = planes.map(\.lines).max() ?? 1
    let across = MosaicBlocks.cuts(place.x, width, block, whole: wide, size: picture.width)
    let down = MosaicBlocks.cuts(place.y, height, block, whole: high, size: picture.height)
    guard across.count > 1, down.count > 1 else { return nil }
    var byteCount = 0
    cuts = planes.map { plane in
      // What the picture ends with may be half a cell.
      let columns = across.map { ($0 + plane.width - 1) / plane.width * plane.bytes.count }
      let rows = down.map { ($0 + plane.lines - 1) / plane.lines }
      byteCount += (columns[columns.count - 1] - columns[0]) * (rows[rows.count - 1] - rows[0])
      let isPair = plane.bytes.count == 4 && plane.width == 2
      let cell = mpifs_cell(
        bytes: Int32(plane.bytes.count), twice: isPair ? (plane.bytes[0].sample == .first ? 0 : 1) : -1,
        lastIsHalf: across[across.count - 1] % plane.width == 0 ? 0 : 1)
      return Cuts(plane: plane.plane, cell: cell, columns: columns.map { Int32($0) }, rows: rows.map { Int32($0) })
    }
    self.byteCount = byteCount
  }

  /// The ends of the blocks along one axis, in pixels of the picture.
  private static func cuts(_ start: Int, _ length: Int, _ block: Int, whole: Int, size: Int) -> [Int] {
    let extent = Extent(start, length)
    let visible = extent.within(size)
    guard !visible.isEmpty else { return [] }
    let lower = visible.lowerBound / whole * whole
    let upper = min(size, (visible.upperBound + whole - 1) / whole * whole)
    // The corner, grown to a whole sample outwards: the rest of a division of what may be below 0.
    let rest = ((extent.start % whole) + whole) % whole
    let phase = (((extent.start % block) - rest) % block + block) % block
    let next = lower + block - ((lower - phase) % block + block) % block
    return [lower] + Array(stride(from: next, to: upper, by: block)) + [upper]
  }
}
