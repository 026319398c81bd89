// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What x264's adaptive quantisation by variance (`aq-mode` 1, its `ratecontrol.c`) adds to the quantiser of a block of one picture:
/// more where the block is busy, less where it is flat. A block that is to have a quantiser of its own gets so much less.
struct TextureSpread {
  /// `aq-strength` as the library scales it.
  private let strength: Float
  /// I420 or NV12.
  private let pixels: Pixels
  /// Where it adds nothing: the library's own constant.
  private static let middle: Float = 14.427

  init(strength: Float, of pixels: Pixels) {
    self.strength = strength * 1.0397
    self.pixels = pixels
  }

  /// Of the block of 16x16 in this column and row; beyond the picture's edge its last samples go on.
  func added(column: Int, row: Int) -> Float {
    let (width, height) = (pixels.width, pixels.height)
    let luma = Samples(plane: pixels.plane0, width: width, height: height, step: 1, offset: 0)
    var energy = luma.variance(side: 16, column, row, shift: 8)
    let isInterleaved = pixels.format == .nv12
    for part in 0...1 {
      let plane = isInterleaved || part == 0 ? pixels.plane1 : pixels.plane2
      let chroma = Samples(
        plane: plane, width: pixels.chromaWidth, height: pixels.chromaHeight, step: isInterleaved ? 2 : 1,
        offset: isInterleaved ? part : 0)
      energy += chroma.variance(side: 8, column, row, shift: 6)
    }
    return strength * (log2(Float(max(1, energy))) - TextureSpread.middle)
  }

  /// Samples of one kind.
  private struct Samples {
    var plane: PlanePointer
    var width: Int
    var height: Int
    /// Bytes from one to the next, of which the first is `offset`.
    var step: Int
    var offset: Int

    /// The sum of squared distances from the mean in a block.
    /// - Parameter shift: the binary logarithm of the number of samples.
    func variance(side: Int, _ column: Int, _ row: Int, shift: Int) -> Int {
      var (sum, squares) = (0, 0)
      let (left, top) = (column * side, row * side)
      for y in top..<top + side {
        let line = plane.at(row: min(y, height - 1), column: offset).base
        for x in left..<left + side {
          let sample = Int(line[min(x, width - 1) * step])
          sum &+= sample
          squares &+= sample &* sample
        }
      }
      return squares - ((sum * sum) >> shift)
    }
  }
}
