// SPDX-License-Identifier: Apache-2.0
import Foundation
import KernelChecks
import MediaCore
import Testing

@testable import Codecs

/// What drawings make of a picture, in floating point and pixel by pixel, over all bytes of its memory.
struct PaintReference {
  /// Luma or red, Cb or green, Cr or blue, and the fourth byte of 32-bit pixels.
  static let kinds = 0..<4

  let layout: FrameLayout
  private(set) var bytes: [Double]
  /// Bytes that may be different from before.
  private(set) var touched: [Bool]
  /// Bytes beyond a picture of odd width, which may be anything.
  private var nobodys: Set<Int> = []
  var width: Int { Int(layout.width) }
  var height: Int { Int(layout.height) }

  init(_ layout: FrameLayout, _ memory: [UInt8]) {
    self.layout = layout
    bytes = memory.map(Double.init)
    touched = memory.map { _ in false }
  }

  // MARK: where samples are

  private var isPlanar420: Bool { [.nv12, .nv21, .i420].contains(layout.format) }

  /// Pixels a sample of a kind is for, across and down.
  func size(_ kind: Int) -> (Int, Int) {
    if kind == 0 || layout.format.isRGB || layout.format == .grey { return (1, 1) }
    return (2, isPlanar420 ? 2 : 1)
  }

  /// Where the sample for a pixel is; `nil` where the format has no such kind.
  func offset(_ kind: Int, _ x: Int, _ y: Int) -> Int? {
    func at(_ plane: Plane, _ row: Int, _ column: Int) -> Int {
      Int(plane.offset) + row * Int(plane.stride) + column
    }
    switch (layout.format, kind) {
    case (.nv12, 0), (.nv21, 0), (.nv16, 0), (.i420, 0): return at(layout.plane0, y, x)
    case (.nv12, 1), (.nv21, 2): return at(layout.plane1, y / 2, x / 2 * 2)
    case (.nv12, 2), (.nv21, 1): return at(layout.plane1, y / 2, x / 2 * 2 + 1)
    case (.nv16, 1): return at(layout.plane1, y, x / 2 * 2)
    case (.nv16, 2): return at(layout.plane1, y, x / 2 * 2 + 1)
    case (.i420, 1): return at(layout.plane1, y / 2, x / 2)
    case (.i420, 2): return at(layout.plane2, y / 2, x / 2)
    case (.yuyv, 0): return at(layout.plane0, y, x * 2)
    case (.yuyv, 1): return at(layout.plane0, y, x / 2 * 4 + 1)
    case (.yuyv, 2): return at(layout.plane0, y, x / 2 * 4 + 3)
    case (.uyvy, 0): return at(layout.plane0, y, x * 2 + 1)
    case (.uyvy, 1): return at(layout.plane0, y, x / 2 * 4)
    case (.uyvy, 2): return at(layout.plane0, y, x / 2 * 4 + 2)
    case (.xrgb8888, _), (.argb8888, _): return at(layout.plane0, y, x * 4 + [2, 1, 0, 3][kind])
    case (.xbgr8888, _): return at(layout.plane0, y, x * 4 + kind)
    case (.bgr24, 0...2): return at(layout.plane0, y, x * 3 + 2 - kind)
    case (.grey, 0): return at(layout.plane0, y, x)
    case (.rgb24, 0...2): return at(layout.plane0, y, x * 3 + kind)
    default: return nil
    }
  }

  /// Calls for each sample of a kind: where it is, and the pixels of the picture it is for.
  func each(_ kind: Int, _ body: (Int, [(x: Int, y: Int)]) -> Void) {
    let (across, down) = size(kind)
    for y in stride(from: 0, to: height, by: down) {
      for x in stride(from: 0, to: width, by: across) {
        guard let offset = offset(kind, x, y) else { return }
        let pixels = (y..<min(height, y + down)).flatMap { y in (x..<min(width, x + across)).map { ($0, y) } }
        body(offset, pixels)
      }
    }
  }

  /// A colour's sample of a kind, not rounded.
  func sample(_ kind: Int, _ r: Double, _ g: Double, _ b: Double) -> Double {
    if kind == 3 { return 255 }
    if layout.format.isRGB { return [r, g, b][kind] }
    let (kr, kb) = layout.color.matrix.weights
    let y = kr * r + (1 - kr - kb) * g + kb * b
    let full = layout.color.isFullRange
    switch kind {
    case 0: return full ? y : 16 + y * 219 / 255
    case 1: return 128 + (b - y) / (2 * (1 - kb)) * (full ? 1 : 224.0 / 255)
    default: return 128 + (r - y) / (2 * (1 - kr)) * (full ? 1 : 224.0 / 255)
    }
  }

  // MARK: drawings

  mutating func canvas(_ canvas: CanvasPixels, alpha: Int, x left: Int, y top: Int) {
    for kind in PaintReference.kinds {
      var made: [(Int, Double)] = []
      each(kind) { offset, pixels in
        var (sum, weights) = (0.0, 0.0)
        for (x, y) in pixels where x >= left && y >= top && x < left + canvas.width && y < top + canvas.height {
          let at = ((y - top) * canvas.width + x - left) * 4
          let share = Double(canvas.bytes[at + 3]) / 255 * Double(alpha) / 255
          weights += share
          sum +=
            share
            * sample(
              kind, Double(canvas.bytes[at + 2]), Double(canvas.bytes[at + 1]), Double(canvas.bytes[at]))
        }
        guard weights > 0 else { return }
        let share = weights / Double(pixels.count)
        made.append((offset, bytes[offset] * (1 - share) + sum / weights * share))
      }
      for (offset, value) in made { set(offset, value) }
    }
  }

  /// Everything that shows a pixel of the shape becomes the colour.
  mutating func fill(_ color: PaintColor, _ belongs: (Int, Int) -> Bool) {
    let shape = (0..<height).map { y in (0..<width).map { belongs($0, y) } }
    for kind in PaintReference.kinds {
      let value = sample(kind, Double(color.red), Double(color.green), Double(color.blue)).rounded()
      var found: [Int] = []
      each(kind) { offset, pixels in
        if pixels.contains(where: { shape[$0.y][$0.x] }) { found.append(offset) }
      }
      for offset in found { set(offset, min(255, max(0, value))) }
    }
  }

  /// - Returns: the offsets of each block's samples.
  @discardableResult
  mutating func mosaic(x: Int, y: Int, width: Int, height: Int, block: Int) -> [[Int]] {
    func down(_ value: Int, _ step: Int) -> Int { Int((Double(value) / Double(step)).rounded(.down)) * step }
    // The whole rectangle grows to whole samples of colour.
    let (across, lines) = size(1)
    let (left, top) = (down(x, across), down(y, lines))
    let (right, bottom) = (-down(-(x + width), across), -down(-(y + height), lines))
    var blocks: [[Int]] = []
    for kind in PaintReference.kinds {
      var groups: [Int: [Int]] = [:]
      each(kind) { offset, pixels in
        let (px, py) = pixels[0]
        guard px >= left, py >= top, px < right, py < bottom else { return }
        groups[(py - top) / block * 10000 + (px - left) / block, default: []].append(offset)
      }
      for offsets in groups.values {
        let mean = (offsets.map { bytes[$0] }.reduce(0, +) / Double(offsets.count) + 0.5).rounded(.down)
        for offset in offsets { set(offset, mean) }
        blocks.append(offsets)
      }
    }
    // Half a cell of packed pixels beyond an odd picture is nobody's.
    if [.yuyv, .uyvy].contains(layout.format), self.width % 2 == 1 {
      for row in max(0, top)..<min(self.height, bottom) {
        if let offset = offset(0, self.width, row) { nobodys.insert(offset) }
      }
    }
    return blocks
  }

  private mutating func set(_ offset: Int, _ value: Double) {
    bytes[offset] = value
    touched[offset] = true
  }

  // MARK: comparing

  /// The farthest any byte is from what it should be; bytes nothing was drawn on have to be the same.
  func distance(_ found: [UInt8]) -> Double {
    var farthest = 0.0
    for (index, byte) in found.enumerated() where !nobodys.contains(index) {
      let distance = abs(Double(byte) - bytes[index])
      if touched[index] { farthest = max(farthest, distance) } else if distance != 0 { return .infinity }
    }
    return farthest
  }
}

/// Pictures to draw into.
enum PaintPicture {
  /// A frame whose memory is all noise, what is between the lines included.
  static func noise(_ layout: FrameLayout, seed: UInt64 = 7) throws -> Frame {
    let frame = try makeFrame(layout)
    var random = SplitMix(state: seed)
    let size = layout.byteCount
    let bytes = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next() >> 13) }
    let memory = try frame.buffer.memory.map()
    bytes.withUnsafeBytes { if let base = $0.baseAddress { memory.copyMemory(from: base, byteCount: size) } }
    return frame
  }

  static func memory(_ frame: borrowing Frame) throws -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: try frame.buffer.memory.map(), count: frame.layout.byteCount))
  }

  static func layout(
    _ format: PixelFormat, _ width: Int, _ height: Int, _ color: ColorDescription = .unspecified
  ) throws -> FrameLayout {
    var layout = try #require(FrameLayout(format, width: width, height: height, alignment: 32))
    layout.color = format.isRGB ? .rgb : color
    return layout
  }

  /// A canvas of noise: a third of it transparent, a third opaque.
  static func canvas(_ width: Int, _ height: Int, seed: UInt64 = 3) throws -> CanvasPixels {
    var random = SplitMix(state: seed)
    var bytes: [UInt8] = []
    for index in 0..<width * height {
      let word = random.next()
      for shift: UInt64 in [0, 8, 16] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
      // In stretches, so that lines have runs of each.
      switch index / 70 % 3 {
      case 0: bytes.append(0)
      case 1: bytes.append(255)
      default: bytes.append(UInt8(truncatingIfNeeded: word >> 24))
      }
    }
    return try #require(CanvasPixels(width: width, height: height, bytes: bytes))
  }
}
