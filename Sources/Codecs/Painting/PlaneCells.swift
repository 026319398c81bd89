// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What a byte of a picture says of a colour.
enum Sample: Int {
  /// Luma or red.
  case first
  /// Cb or green.
  case second
  /// Cr or blue.
  case third
  /// How opaque the pixel is, or nothing at all.
  case opacity
}

/// How the bytes of one plane's lines stand for pixels: a few bytes that repeat along the line, each for one sample of some pixels.
struct PlaneCells {
  struct Byte {
    var sample: Sample
    /// Which pixels of the cell it is for.
    var pixels: Range<Int>
  }

  /// 0, 1 or 2.
  let plane: Int
  /// Pixels a cell is wide.
  let width: Int
  /// Lines of the picture that a line of the plane is for.
  let lines: Int
  let bytes: [Byte]

  private init(_ plane: Int, width: Int, lines: Int, _ bytes: [(Sample, Range<Int>)]) {
    self.plane = plane
    self.width = width
    self.lines = lines
    self.bytes = bytes.map { Byte(sample: $0.0, pixels: $0.1) }
  }

  /// - Returns: one entry a plane; none for a format that is not drawn into.
  static func of(_ format: PixelFormat) -> [PlaneCells] {
    let luma = PlaneCells(0, width: 1, lines: 1, [(.first, 0..<1)])
    func chroma(_ plane: Int, lines: Int, _ samples: Sample...) -> PlaneCells {
      PlaneCells(plane, width: 2, lines: lines, samples.map { ($0, 0..<2) })
    }
    switch format {
    case .nv12: return [luma, chroma(1, lines: 2, .second, .third)]
    case .nv21: return [luma, chroma(1, lines: 2, .third, .second)]
    case .nv16: return [luma, chroma(1, lines: 1, .second, .third)]
    case .i420: return [luma, chroma(1, lines: 2, .second), chroma(2, lines: 2, .third)]
    case .yuyv:
      return [PlaneCells(0, width: 2, lines: 1, [(.first, 0..<1), (.second, 0..<2), (.first, 1..<2), (.third, 0..<2)])]
    case .uyvy:
      return [PlaneCells(0, width: 2, lines: 1, [(.second, 0..<2), (.first, 0..<1), (.third, 0..<2), (.first, 1..<2)])]
    case .xrgb8888, .argb8888:
      return [PlaneCells(0, width: 1, lines: 1, [.third, .second, .first, .opacity].map { ($0, 0..<1) })]
    case .xbgr8888:
      return [PlaneCells(0, width: 1, lines: 1, [.first, .second, .third, .opacity].map { ($0, 0..<1) })]
    case .bgr24: return [PlaneCells(0, width: 1, lines: 1, [.third, .second, .first].map { ($0, 0..<1) })]
    case .grey: return [luma]
    case .rgb24: return [PlaneCells(0, width: 1, lines: 1, [.first, .second, .third].map { ($0, 0..<1) })]
    default: return []
    }
  }

  /// The bytes of a line that are for any of these pixels of it, in order.
  /// - Parameter pixels: not empty, none below 0.
  func bytes(of pixels: Range<Int>) -> [Range<Int>] {
    let count = bytes.count
    guard width > 1 else { return [pixels.lowerBound * count..<pixels.upperBound * count] }
    var found: [Range<Int>] = []
    func add(_ range: Range<Int>) {
      if let last = found.last, last.upperBound == range.lowerBound {
        found[found.count - 1] = last.lowerBound..<range.upperBound
      } else {
        found.append(range)
      }
    }
    // Only the cells at the ends can be covered in part.
    let (first, last) = (pixels.lowerBound / width, (pixels.upperBound - 1) / width)
    for cell in first == last ? [first] : [first, last] {
      if cell > first, first + 1 < last { add((first + 1) * count..<last * count) }
      for (index, byte) in bytes.enumerated() {
        let covered = byte.pixels.lowerBound + cell * width..<byte.pixels.upperBound + cell * width
        if covered.overlaps(pixels) { add(cell * count + index..<cell * count + index + 1) }
      }
    }
    return found
  }
}
