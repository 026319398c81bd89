// SPDX-License-Identifier: Apache-2.0

/// Where in their lines pixels lie.
extension FrameLayout {
  private struct Sampling {
    /// Bytes of the first plane for `grid` pixels.
    var bytes: Int
    var grid = 1
    /// Pixels that share a sample of colour.
    var across = 1
    var down = 1
    /// Bytes of a plane of colour for one of those.
    var chroma = 0
  }

  private var sampling: Sampling? {
    switch format {
    case .nv12, .nv21: Sampling(bytes: 1, across: 2, down: 2, chroma: 2)
    case .nv16: Sampling(bytes: 1, across: 2, chroma: 2)
    case .p010: Sampling(bytes: 2, across: 2, down: 2, chroma: 4)
    case .i420: Sampling(bytes: 1, across: 2, down: 2, chroma: 1)
    case .yuyv, .uyvy: Sampling(bytes: 4, grid: 2, across: 2)
    case .xrgb8888, .argb8888, .xbgr8888: Sampling(bytes: 4)
    case .rgb24, .bgr24: Sampling(bytes: 3)
    case .grey: Sampling(bytes: 1)
    default: nil
    }
  }

  /// A part of it in the same memory, its planes starting there.
  /// - Returns: `nil` when it lies outside or cannot start there, and for a format without lines of pixels.
  public func part(_ part: Rectangle) -> FrameLayout? {
    guard let sampling, part.x >= 0, part.y >= 0, part.width > 0, part.height > 0, part.x + part.width <= Int(width),
      part.y + part.height <= Int(height), part.x % sampling.across == 0, part.y % sampling.down == 0
    else { return nil }
    func moved(_ plane: Plane, _ row: Int, _ bytes: Int, _ lines: Int) -> Plane {
      guard plane.lines > 0 else { return plane }
      var plane = plane
      plane.offset += Int32(clamping: row * Int(plane.stride) + bytes)
      plane.lines = Int32(clamping: lines)
      return plane
    }
    var found = self
    (found.width, found.height) = (Int32(part.width), Int32(part.height))
    found.plane0 = moved(plane0, part.y, part.x / sampling.grid * sampling.bytes, part.height)
    let (row, bytes) = (part.y / sampling.down, part.x / sampling.across * sampling.chroma)
    let lines = (part.height + sampling.down - 1) / sampling.down
    found.plane1 = moved(plane1, row, bytes, lines)
    found.plane2 = moved(plane2, row, bytes, lines)
    return found
  }

  /// Bytes of pixels in a line of each plane; `nil` for a format without lines of pixels.
  public var lineBytes: (Int, Int, Int)? {
    guard let sampling else { return nil }
    let first = (Int(width) + sampling.grid - 1) / sampling.grid * sampling.bytes
    let chroma = (Int(width) + sampling.across - 1) / sampling.across * sampling.chroma
    return (first, chroma, chroma)
  }
}
