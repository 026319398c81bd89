// SPDX-License-Identifier: Apache-2.0

/// How a picture looks on a coarse grid, before it is coded: enough to tell a cut from motion and motion from a still
/// scene, and to guess what a picture costs that cannot be predicted.
public struct PictureActivity: Sendable, Equatable {
  /// Mean change of a sample since the picture before, in steps of luma; `nil` for the first one.
  public var difference: Double?
  /// Mean change from a sample to its neighbour in the line, in steps of luma.
  public var texture: Double

  public init(difference: Double?, texture: Double) {
    self.difference = difference
    self.texture = texture
  }

  /// Whether a picture shows another scene than the one before.
  /// - Parameters:
  ///   - difference: mean change of a sample.
  ///   - usual: what it is in this scene.
  static func isCut(_ difference: Double, usually usual: Double) -> Bool {
    difference > 8 && difference > 2.5 * usual + 2
  }
}

/// Looks at pictures of one size, one after the other. A value of 400 bytes; a look costs below a microsecond.
public struct PictureLook: Sendable {
  static let columns = 24
  static let rows = 16

  private var before: [UInt8] = []

  public init() {}

  /// - Parameters:
  ///   - luma: the plane's first sample.
  ///   - stride: bytes from line to line.
  /// - Returns: `nil` for pictures smaller than the grid.
  public mutating func look(
    at luma: UnsafePointer<UInt8>, stride: Int, width: Int, height: Int
  ) -> PictureActivity? {
    guard width >= Self.columns * 4, height >= Self.rows else { return nil }
    let isFirst = before.isEmpty
    if isFirst { before = [UInt8](repeating: 0, count: Self.columns * Self.rows) }
    let (stepX, stepY) = (width / Self.columns, height / Self.rows)
    var (difference, texture, index) = (0, 0, 0)
    before.withUnsafeMutableBufferPointer { before in
      for row in 0..<Self.rows {
        let line = luma + (row * stepY + stepY / 2) * stride + stepX / 2
        for column in 0..<Self.columns {
          let sample = line[column * stepX]
          // The next one but one: the samples in between are where a camera's own sharpening is.
          texture += abs(Int(sample) - Int(line[column * stepX + (column + 1 < Self.columns ? 2 : -2)]))
          difference += abs(Int(sample) - Int(before[index]))
          before[index] = sample
          index += 1
        }
      }
    }
    let count = Double(index)
    return PictureActivity(
      difference: isFirst ? nil : Double(difference) / count, texture: Double(texture) / count)
  }
}

extension PictureLook {
  /// Looks at the luma of a frame that the CPU can reach; `nil` for other formats.
  public mutating func look(at frame: borrowing Frame) -> PictureActivity? {
    do throws(Failure) {
      guard let luma = try frame.beginLuma() else { return nil }
      let seen = look(at: luma.samples, stride: luma.stride, width: luma.width, height: luma.height)
      try frame.endLuma()
      return seen
    } catch {
      // The engine will say so of the same frame.
      return nil
    }
  }
}
