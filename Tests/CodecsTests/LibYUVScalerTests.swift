// SPDX-License-Identifier: Apache-2.0
import KernelChecks
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// A picture as plain arrays, for reference formulas.
struct Reference: Equatable {
  var width: Int
  var height: Int
  var y: [Int]
  var u: [Int]
  var v: [Int]
  var chromaWidth: Int { (width + 1) / 2 }
  var chromaHeight: Int { (height + 1) / 2 }

  static func random(_ width: Int, _ height: Int, seed: UInt64) -> Reference {
    var random = SplitMix(state: seed)
    func plane(_ count: Int) -> [Int] { (0..<count).map { _ in Int(16 + random.next() % 220) } }
    let chroma = (width + 1) / 2 * ((height + 1) / 2)
    return Reference(width: width, height: height, y: plane(width * height), u: plane(chroma), v: plane(chroma))
  }

  /// As a frame of a 4:2:0 format.
  func frame(_ format: PixelFormat) throws -> Frame {
    let frame = try makeFrame(format, width, height)
    let p = try frame.beginPixels(write: true)
    for row in 0..<height {
      for x in 0..<width { p.plane0.at(row: row, column: x).base.pointee = UInt8(y[row * width + x]) }
    }
    for row in 0..<chromaHeight {
      for x in 0..<chromaWidth {
        let (a, b) = (UInt8(u[row * chromaWidth + x]), UInt8(v[row * chromaWidth + x]))
        switch format {
        case .i420:
          p.plane1.at(row: row, column: x).base.pointee = a
          p.plane2.at(row: row, column: x).base.pointee = b
        default:
          p.plane1.at(row: row, column: x * 2).base.pointee = format == .nv12 ? a : b
          p.plane1.at(row: row, column: x * 2 + 1).base.pointee = format == .nv12 ? b : a
        }
      }
    }
    try frame.endPixels(write: true)
    return frame
  }

  /// From a frame of a 4:2:0 format.
  init(_ frame: borrowing Frame) throws {
    let p = try frame.beginPixels(write: false)
    width = p.width
    height = p.height
    y = []
    u = []
    v = []
    for row in 0..<p.height { for x in 0..<p.width { y.append(Int(p.plane0.at(row: row, column: x).base.pointee)) } }
    for row in 0..<p.chromaHeight {
      for x in 0..<p.chromaWidth {
        if p.format == .i420 {
          u.append(Int(p.plane1.at(row: row, column: x).base.pointee))
          v.append(Int(p.plane2.at(row: row, column: x).base.pointee))
        } else {
          let pair = (
            Int(p.plane1.at(row: row, column: x * 2).base.pointee),
            Int(p.plane1.at(row: row, column: x * 2 + 1).base.pointee)
          )
          u.append(p.format == .nv12 ? pair.0 : pair.1)
          v.append(p.format == .nv12 ? pair.1 : pair.0)
        }
      }
    }
    try frame.endPixels(write: false)
  }

  init(width: Int, height: Int, y: [Int], u: [Int], v: [Int]) {
    self.width = width
    self.height = height
    self.y = y
    self.u = u
    self.v = v
  }

  private static func turned(_ plane: [Int], _ width: Int, _ height: Int, _ t: PictureTransform) -> [Int] {
    var (plane, width, height) = (plane, width, height)
    if t.mirror { plane = (0..<height).flatMap { row in (0..<width).map { plane[row * width + width - 1 - $0] } } }
    if t.flip { plane = (0..<height).flatMap { row in (0..<width).map { plane[(height - 1 - row) * width + $0] } } }
    for _ in 0..<t.rotation / 90 {
      // Clockwise: the new first line is the old first column, read upwards.
      let old = plane
      let (w, h) = (width, height)
      plane = (0..<w).flatMap { row in (0..<h).map { old[(h - 1 - $0) * w + row] } }
      (width, height) = (h, w)
    }
    return plane
  }

  func turned(_ t: PictureTransform) -> Reference {
    let swaps = t.rotation % 180 != 0
    return Reference(
      width: swaps ? height : width, height: swaps ? width : height, y: Reference.turned(y, width, height, t),
      u: Reference.turned(u, chromaWidth, chromaHeight, t), v: Reference.turned(v, chromaWidth, chromaHeight, t))
  }
}

@Suite(.ownThread) struct LibYUVScalerTests {
  static let planar: [PixelFormat] = [.i420, .nv12, .nv21]

  static var transforms: [PictureTransform] {
    var all: [PictureTransform] = []
    for rotation in [0, 90, 180, 270] {
      for mirror in [false, true] {
        for flip in [false, true] {
          var t = PictureTransform()
          t.rotation = rotation
          t.mirror = mirror
          t.flip = flip
          all.append(t)
        }
      }
    }
    return all
  }

  static func scale(
    _ source: borrowing Frame, crop: Rectangle? = nil, _ transform: PictureTransform = PictureTransform(),
    to format: PixelFormat, _ width: Int, _ height: Int
  ) throws -> Frame {
    var target = try makeFrame(format, width, height)
    let written = try LibYUVScaler().scale(source, crop: crop, transform: transform, to: &target)
    #expect(written >= PlaneExtent.byteCount(format, width: width, height: height))
    return target
  }

  @Test(arguments: [(64, 48), (33, 21), (70, 34)], transforms)
  func everyTurnOfEveryPairOf420FormatsMovesEachSampleToItsPlace(
    _ size: (width: Int, height: Int), _ transform: PictureTransform
  ) throws {
    let picture = Reference.random(size.width, size.height, seed: 1)
    let expected = picture.turned(transform)
    for from in Self.planar {
      let source = try picture.frame(from)
      for to in Self.planar {
        let result = try Self.scale(source, transform, to: to, expected.width, expected.height)
        #expect(try Reference(result) == expected, "\(from) to \(to), \(transform)")
      }
    }
  }

  @Test(arguments: planar, planar)
  func scalingWithATurnIsScalingThenTurning(_ from: PixelFormat, _ to: PixelFormat) throws {
    // Smooth and lopsided: a wrong turn is far off, another rounding is not.
    let chroma = (0..<48 * 32).map { ($0 % 48) * 3 + $0 / 48 + 20 }
    let picture = Reference(
      width: 96, height: 64, y: (0..<96 * 64).map { ($0 % 96) * 2 + $0 / 96 / 2 + 16 }, u: chroma,
      v: chroma.map { 250 - $0 })
    for (width, height) in [(48, 32), (30, 22), (128, 100)] {
      let scaled = try Reference(try Self.scale(try picture.frame(from), to: .i420, width, height))
      for transform in Self.transforms {
        let expected = scaled.turned(transform)
        let source = try picture.frame(from)
        let result = try Reference(try Self.scale(source, transform, to: to, expected.width, expected.height))
        // Upside-down reading may round the other way.
        let worst = zip(result.y + result.u + result.v, expected.y + expected.u + expected.v).map { abs($0 - $1) }.max()
        #expect(worst ?? 255 <= 6, "\(from) to \(to) \(width)x\(height) \(transform): \(worst ?? -1)")
      }
    }
  }

  @Test(arguments: planar) func halvingAveragesFourSamples(_ format: PixelFormat) throws {
    let picture = Reference.random(64, 48, seed: 3)
    let half = try Reference(try Self.scale(try picture.frame(format), to: format, 32, 24))
    func average(_ plane: [Int], _ width: Int, _ x: Int, _ y: Int) -> Int {
      let at = y * 2 * width + x * 2
      return (plane[at] + plane[at + 1] + plane[at + width] + plane[at + width + 1] + 2) / 4
    }
    for y in 0..<24 { for x in 0..<32 { #expect(abs(half.y[y * 32 + x] - average(picture.y, 64, x, y)) <= 1) } }
    for y in 0..<12 {
      for x in 0..<16 {
        #expect(abs(half.u[y * 16 + x] - average(picture.u, 32, x, y)) <= 1)
        #expect(abs(half.v[y * 16 + x] - average(picture.v, 32, x, y)) <= 1)
      }
    }
  }

  @Test func shrinkingByMoreThanTwoAveragesAllSamples() throws {
    let picture = Reference.random(96, 72, seed: 4)
    for format in Self.planar {
      let small = try Reference(try Self.scale(try picture.frame(format), to: format, 32, 24))
      for y in 0..<24 {
        for x in 0..<32 {
          var sum = 0
          for dy in 0..<3 { for dx in 0..<3 { sum += picture.y[(y * 3 + dy) * 96 + x * 3 + dx] } }
          #expect(abs(small.y[y * 32 + x] - sum / 9) <= 2)
        }
      }
      for y in 0..<12 {
        for x in 0..<16 {
          var sum = 0
          for dy in 0..<3 { for dx in 0..<3 { sum += picture.u[(y * 3 + dy) * 48 + x * 3 + dx] } }
          #expect(abs(small.u[y * 16 + x] - sum / 9) <= 2)
        }
      }
    }
  }

  @Test func aCropIsTheSamePartOfThePicture() throws {
    let picture = Reference.random(64, 48, seed: 5)
    let crop = Rectangle(x: 10, y: 6, width: 40, height: 30)
    for from in Self.planar {
      for to in Self.planar {
        let part = try Reference(try Self.scale(try picture.frame(from), crop: crop, to: to, 40, 30))
        for y in 0..<30 { for x in 0..<40 { #expect(part.y[y * 40 + x] == picture.y[(y + 6) * 64 + x + 10]) } }
        for y in 0..<15 { for x in 0..<20 { #expect(part.v[y * 20 + x] == picture.v[(y + 3) * 32 + x + 5]) } }
      }
    }
    // Packed formats too: through a format that keeps luma exactly.
    for packed in [PixelFormat.yuyv, .uyvy, .nv16] {
      let source = try Self.scale(try picture.frame(.i420), to: packed, 64, 48)
      let part = try Reference(try Self.scale(source, crop: crop, to: .nv12, 40, 30))
      for y in 0..<30 { for x in 0..<40 { #expect(part.y[y * 40 + x] == picture.y[(y + 6) * 64 + x + 10]) } }
    }
  }

  @Test func cropsOutsideOrOnOddCoordinatesAreRefused() throws {
    let source = try makeFrame(.nv12, 64, 48)
    for crop in [
      Rectangle(x: 1, y: 0, width: 10, height: 10), Rectangle(x: 0, y: 3, width: 10, height: 10),
      Rectangle(x: 60, y: 0, width: 10, height: 10), Rectangle(x: 0, y: 0, width: 0, height: 10),
      Rectangle(x: -2, y: 0, width: 10, height: 10), Rectangle(x: 0, y: 0, width: Int.max, height: 10),
      Rectangle(x: Int.max - 1, y: 0, width: 10, height: 10),
    ] {
      #expect(throws: Failure.self) { _ = try Self.scale(source, crop: crop, to: .nv12, 32, 32) }
    }
  }

  @Test(arguments: [PixelFormat.yuyv, .uyvy, .nv16])
  func packedAnd422FormatsKeepLumaAndAverageChromaLines(_ packed: PixelFormat) throws {
    let (width, height) = (32, 16)
    let source = try makeFrame(packed, width, height)
    var random = SplitMix(state: 6)
    var luma: [Int] = []
    var u = [[Int]](repeating: [], count: height)
    var v = u
    let p = try source.beginPixels(write: true)
    for row in 0..<height {
      for x in 0..<width / 2 {
        let values = (0..<4).map { _ in UInt8(16 + random.next() % 220) }
        luma += [Int(values[0]), Int(values[1])]
        u[row].append(Int(values[2]))
        v[row].append(Int(values[3]))
        func put(_ plane: PlanePointer, _ column: Int, _ value: UInt8) {
          plane.at(row: row, column: column).base.pointee = value
        }
        switch packed {
        case .yuyv:
          for (index, value) in [values[0], values[2], values[1], values[3]].enumerated() {
            put(p.plane0, x * 4 + index, value)
          }
        case .uyvy:
          for (index, value) in [values[2], values[0], values[3], values[1]].enumerated() {
            put(p.plane0, x * 4 + index, value)
          }
        default:
          put(p.plane0, x * 2, values[0])
          put(p.plane0, x * 2 + 1, values[1])
          put(p.plane1, x * 2, values[2])
          put(p.plane1, x * 2 + 1, values[3])
        }
      }
    }
    try source.endPixels(write: true)
    for format in Self.planar {
      let result = try Reference(try Self.scale(source, to: format, width, height))
      #expect(result.y == luma)
      for row in 0..<height / 2 {
        for x in 0..<width / 2 {
          #expect(abs(result.u[row * width / 2 + x] - (u[row * 2][x] + u[row * 2 + 1][x] + 1) / 2) <= 1)
          #expect(abs(result.v[row * width / 2 + x] - (v[row * 2][x] + v[row * 2 + 1][x] + 1) / 2) <= 1)
        }
      }
    }
  }

  /// BT.601, limited range: the kernels work in six to eight bits of fraction.
  @Test(arguments: [PixelFormat.xrgb8888, .argb8888, .xbgr8888, .rgb24, .bgr24], planar)
  func coloursFollowBT601BothWays(_ rgb: PixelFormat, _ planar: PixelFormat) throws {
    for (r, g, b) in [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 100, 50), (12, 34, 56)] {
      let source = try makeFrame(rgb, 16, 16)
      let p = try source.beginPixels(write: true)
      let bytes = (rgb.startsWithRed ? [r, g, b] : [b, g, r]) + (rgb.is32 ? [255] : [])
      for row in 0..<16 {
        for x in 0..<16 {
          for (index, value) in bytes.enumerated() {
            p.plane0.at(row: row, column: x * bytes.count + index).base.pointee = UInt8(value)
          }
        }
      }
      try source.endPixels(write: true)
      let middle = try Self.scale(source, to: planar, 16, 16)
      let yuv = try Reference(middle)
      let (red, green, blue) = (Double(r), Double(g), Double(b))
      let y = 16 + 0.25679 * red + 0.50413 * green + 0.09791 * blue
      let u = 128 - 0.14822 * red - 0.29099 * green + 0.43922 * blue
      let v = 128 + 0.43922 * red - 0.36779 * green - 0.07143 * blue
      #expect(abs(Double(yuv.y[0]) - y) <= 1.5 && abs(Double(yuv.u[0]) - u) <= 2 && abs(Double(yuv.v[0]) - v) <= 2)
      let back = try Self.scale(middle, to: rgb, 16, 16)
      let q = try back.beginPixels(write: false)
      for (index, value) in bytes.enumerated() where index < 3 {
        #expect(abs(Int(q.plane0.at(row: 5, column: 5 * bytes.count + index).base.pointee) - value) <= 6)
      }
      try back.endPixels(write: false)
    }
  }

  @Test(arguments: PixelConverter.formats, PixelConverter.formats)
  func everyPairOfFormatsWorksAtAnySizeAndTurn(_ from: PixelFormat, _ to: PixelFormat) throws {
    let factory = LibYUVScalerFactory()
    // Grey stays grey whatever is done to it.
    for (width, height) in [(35, 23)] {
      let grey = Reference(
        width: width, height: height, y: [Int](repeating: 126, count: width * height),
        u: [Int](repeating: 128, count: (width + 1) / 2 * ((height + 1) / 2)),
        v: [Int](repeating: 128, count: (width + 1) / 2 * ((height + 1) / 2)))
      let source = try Self.scale(try grey.frame(.i420), to: from, width, height)
      // The turns themselves are tested sample by sample above.
      for transform in [Self.transforms[0], Self.transforms[5], Self.transforms[8], Self.transforms[14]] {
        #expect(factory.supports(from: from, to: to, transform: transform))
        for (w, h) in [(width, height), (height, width), (20, 30), (101, 77)] {
          let result = try Self.scale(source, transform, to: to, w, h)
          let back = try Reference(try Self.scale(result, to: .i420, w, h))
          #expect(back.y.allSatisfy { abs($0 - 126) <= 3 }, "\(from) to \(to) \(w)x\(h) \(transform)")
          #expect((back.u + back.v).allSatisfy { abs($0 - 128) <= 3 }, "\(from) to \(to) \(w)x\(h) \(transform)")
        }
      }
    }
  }

  @Test func aLayoutThatDoesNotFitItsMemoryIsRefused() throws {
    let layout = try #require(FrameLayout(.nv12, width: 64, height: 48))
    var hostile: [FrameLayout] = []
    var bad = layout
    bad.plane1.offset = 1 << 30
    hostile.append(bad)
    bad = layout
    bad.plane0.stride = 32
    hostile.append(bad)
    bad = layout
    bad.plane0.offset = -64
    hostile.append(bad)
    bad = layout
    bad.height = 16000
    hostile.append(bad)
    bad = layout
    bad.plane0.memory = 3
    hostile.append(bad)
    bad = layout
    bad.format = .mjpeg
    hostile.append(bad)
    for layout in hostile {
      var frame = try makeFrame(.nv12, 64, 48)
      frame.layout = layout
      #expect(throws: Failure.self) { _ = try Self.scale(frame, to: .i420, 32, 24) }
      let good = try makeFrame(.i420, 64, 48)
      #expect(throws: Failure.self) {
        _ = try LibYUVScaler().scale(good, crop: nil, transform: PictureTransform(), to: &frame)
      }
    }
  }
}
