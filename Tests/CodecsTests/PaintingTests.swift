// SPDX-License-Identifier: Apache-2.0
import CPainting
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// What is drawn into pictures, against a plain reference in floating point, byte by byte over the whole memory of a frame.
@Suite(.ownThread) struct PaintingTests {
  static let painter = RegionPainter()
  static let red = PaintColor(red: 220, green: 30, blue: 20)
  static let blue = PaintColor(red: 10, green: 60, blue: 250)

  static func painted(
    _ drawings: [PlacedDrawing], _ frame: borrowing Frame, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [UInt8] {
    let prepared = try painter.prepare(drawings, for: frame.layout)
    _ = try prepared.paint(on: frame)
    return try PaintPicture.memory(frame)
  }

  /// Sizes of pictures, even and odd, and where something of 37x23 lies in each.
  static let sizes = [(96, 64), (95, 63)]
  static let places = [
    (0, 0), (16, 8), (17, 9), (16, 9), (-5, -3), (-36, -22), (70, 50), (71, 51), (94, 62), (40, -7), (-8, 30),
  ]

  // MARK: canvases

  @Test(arguments: painter.formats) func aCanvasIsBlendedAsItsAlphaSaysEverywhere(_ format: PixelFormat) throws {
    let canvas = try PaintPicture.canvas(37, 23)
    for (width, height) in Self.sizes {
      for (x, y) in Self.places {
        for alpha: UInt8 in [255, 100] {
          let frame = try PaintPicture.noise(try PaintPicture.layout(format, width, height))
          let bytes = try PaintPicture.memory(frame)
          let found = try Self.painted(
            [PlacedDrawing(.canvas(canvas, alpha: alpha), x: x, y: y, layer: 0)], frame)
          var wanted = PaintReference(frame.layout, bytes)
          wanted.canvas(canvas, alpha: Int(alpha), x: x, y: y)
          // Alpha, the colour and the result are each rounded once; with a global alpha, that too.
          let distance = wanted.distance(found)
          #expect(distance <= (alpha == 255 ? 1.5 : 2), "\(width)x\(height) at \(x),\(y) alpha \(alpha): \(distance)")
        }
      }
    }
  }

  @Test(arguments: ColorConversionTests.colors) func coloursAreOfThePicturesMatrixAndRange(
    _ color: ColorDescription
  ) throws {
    let canvas = try PaintPicture.canvas(20, 12)
    let layout = try PaintPicture.layout(.nv12, 32, 16, color)
    let frame = try PaintPicture.noise(layout)
    let bytes = try PaintPicture.memory(frame)
    var wanted = PaintReference(layout, bytes)
    wanted.canvas(canvas, alpha: 255, x: 2, y: 2)
    wanted.fill(Self.red) { x, y in (24..<30).contains(x) && y < 8 }
    let found = try Self.painted(
      [
        PlacedDrawing(.canvas(canvas, alpha: 255), x: 2, y: 2, layer: 0),
        PlacedDrawing(.cover(width: 6, height: 8, color: Self.red, thickness: nil), x: 24, y: 0, layer: 0),
      ], frame)
    #expect(wanted.distance(found) <= 1.5)
  }

  @Test func longRunsOfOpaqueAndTransparentPixelsAreTheSameAsOthers() throws {
    let canvas = try PaintPicture.canvas(400, 9)
    let layout = try PaintPicture.layout(.nv12, 420, 16)
    for x in [0, 3, -11, 60] {
      let frame = try PaintPicture.noise(layout)
      let bytes = try PaintPicture.memory(frame)
      var wanted = PaintReference(layout, bytes)
      wanted.canvas(canvas, alpha: 255, x: x, y: 3)
      let found = try Self.painted([PlacedDrawing(.canvas(canvas, alpha: 255), x: x, y: 3, layer: 0)], frame)
      #expect(wanted.distance(found) <= 1.5)
    }
  }

  @Test func whatIsTransparentIsNotWritten() throws {
    var bytes = [UInt8](repeating: 90, count: 200 * 40 * 4)
    // Two opaque squares of 16 pixels in a field of nothing.
    for index in 0..<200 * 40 {
      let (x, y) = (index % 200, index / 200)
      let isOpaque = (8..<24).contains(y) && ((16..<32).contains(x) || (160..<176).contains(x))
      bytes[index * 4 + 3] = isOpaque ? 255 : 0
    }
    let canvas = try #require(CanvasPixels(width: 200, height: 40, bytes: bytes))
    let frame = try PaintPicture.noise(try PaintPicture.layout(.nv12, 256, 64))
    let prepared = try Self.painter.prepare(
      [PlacedDrawing(.canvas(canvas, alpha: 255), x: 4, y: 4, layer: 0)], for: frame.layout)
    #expect(try prepared.paint(on: frame) == 2 * 16 * 16 * 3 / 2)
  }

  // MARK: covers

  /// All the pixels of a shape, and every sample that shows any of them.
  private func compare(
    _ drawing: Drawing, x: Int, y: Int, _ format: PixelFormat, _ size: (Int, Int), _ belongs: (Int, Int) -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let frame = try PaintPicture.noise(try PaintPicture.layout(format, size.0, size.1, .bt601))
    let bytes = try PaintPicture.memory(frame)
    var wanted = PaintReference(frame.layout, bytes)
    wanted.fill(Self.red, belongs)
    let found = try Self.painted([PlacedDrawing(drawing, x: x, y: y, layer: 0)], frame)
    #expect(wanted.distance(found) == 0, "\(drawing) at \(x),\(y) in \(size)", sourceLocation: sourceLocation)
  }

  @Test(arguments: painter.formats) func aCoverHidesItsPixelsWhollyAndNoOthers(_ format: PixelFormat) throws {
    for size in Self.sizes {
      for (x, y) in Self.places {
        for thickness in [nil, 1, 3, 12, 40] {
          try compare(
            .cover(width: 37, height: 23, color: Self.red, thickness: thickness), x: x, y: y, format, size
          ) { px, py in
            let (left, top, right, bottom) = (px - x, py - y, x + 36 - px, y + 22 - py)
            let nearest = min(left, top, right, bottom)
            return nearest >= 0 && nearest < thickness ?? .max
          }
        }
      }
    }
  }

  @Test(arguments: [PixelFormat.nv12, .yuyv, .rgb24]) func aQuadrangleIsWhatIsInsideItsEdges(
    _ format: PixelFormat
  ) throws {
    let quadrangles = [
      [(0, 0), (37, 0), (37, 23), (0, 23)], [(10, 0), (40, 12), (25, 33), (-7, 20)],
      [(0, 5), (31, 2), (60, 40), (3, 9)],
      // Concave, crossing itself, flat, and a point.
      [(0, 0), (40, 20), (0, 40), (15, 20)], [(0, 0), (40, 30), (40, 0), (0, 30)], [(0, 3), (20, 3), (30, 3), (7, 3)],
      [(4, 4), (4, 4), (4, 4), (4, 4)],
    ]
    for corners in quadrangles {
      let points = corners.map { PicturePoint(x: $0.0, y: $0.1) }
      for (x, y) in [(3, 2), (-12, 43)] {
        for thickness in [nil, 3] {
          try compare(.quadrangle(points, color: Self.red, thickness: thickness), x: x, y: y, format, (95, 63)) {
            Self.isInside(
              corners.map { (Double($0.0 + x), Double($0.1 + y)) }, Double($0) + 0.5, Double($1) + 0.5, thickness)
          }
        }
      }
    }
  }

  /// By counting the edges to the left of a point, and by the distance from each.
  private static func isInside(_ corners: [(Double, Double)], _ x: Double, _ y: Double, _ thickness: Int?) -> Bool {
    var (isOdd, nearest) = (false, Double.infinity)
    for (index, a) in corners.enumerated() {
      let b = corners[(index + 1) % corners.count]
      if (a.1 > y) != (b.1 > y), x >= a.0 + (y - a.1) * (b.0 - a.0) / (b.1 - a.1) { isOdd.toggle() }
      let square = (b.0 - a.0) * (b.0 - a.0) + (b.1 - a.1) * (b.1 - a.1)
      let along =
        square == 0 ? 0 : min(1, max(0, ((x - a.0) * (b.0 - a.0) + (y - a.1) * (b.1 - a.1)) / square))
      nearest = min(nearest, hypot(x - a.0 - along * (b.0 - a.0), y - a.1 - along * (b.1 - a.1)))
    }
    return isOdd && nearest < Double(thickness ?? .max)
  }

  @Test func aQuadrangleOfARectangleIsTheCoverOfIt() throws {
    let corners = [(0, 0), (37, 0), (37, 23), (0, 23)].map { PicturePoint(x: $0.0, y: $0.1) }
    for thickness in [nil, 1, 5] {
      let layout = try PaintPicture.layout(.i420, 96, 64)
      let one = try PaintPicture.noise(layout)
      let other = try PaintPicture.noise(layout)
      let cover = Drawing.cover(width: 37, height: 23, color: Self.red, thickness: thickness)
      let quadrangle = Drawing.quadrangle(corners, color: Self.red, thickness: thickness)
      #expect(
        try Self.painted([PlacedDrawing(cover, x: 9, y: 5, layer: 0)], one)
          == Self.painted([PlacedDrawing(quadrangle, x: 9, y: 5, layer: 0)], other))
    }
  }

  @Test(arguments: [PixelFormat.nv12, .uyvy, .xrgb8888]) func aLineIsAsWideAsItSays(_ format: PixelFormat) throws {
    let ends = [
      ((3, 4), (60, 4)), ((60, 4), (3, 4)), ((5, 2), (5, 50)), ((2, 2), (50, 38)), ((50, 5), (7, 44)), ((0, 0), (4, 3)),
      ((10, 10), (10, 10)), ((-30, -20), (200, 90)), ((20, -30), (22, 130)),
    ]
    for (from, to) in ends {
      for thickness in [1, 2, 3, 8] {
        let line = Drawing.line(
          from: PicturePoint(x: from.0, y: from.1), to: PicturePoint(x: to.0, y: to.1), color: Self.red,
          thickness: thickness)
        try compare(line, x: 1, y: -1, format, (95, 63)) { px, py in
          let (dx, dy) = (Double(to.0 - from.0), Double(to.1 - from.1))
          let (x, y) = (Double(px - 1 - from.0), Double(py + 1 - from.1))
          let length = hypot(dx, dy)
          let half = Double(thickness) / 2
          guard length > 0 else { return -half < x && x <= half && -half < y && y <= half }
          let (across, along) = ((x * dy - y * dx) / length, (x * dx + y * dy) / length)
          return across >= -half && across < half && along >= -0.5 && along <= length + 0.5
        }
      }
    }
  }

  @Test func alongTheAxesALineHasItsThicknessInPixels() throws {
    for thickness in 1...9 {
      for (to, count) in [((29, 0), 30 * thickness), ((0, 29), 30 * thickness)] {
        let line = Drawing.line(
          from: PicturePoint(x: 0, y: 0), to: PicturePoint(x: to.0, y: to.1), color: Self.red, thickness: thickness)
        let frame = try PaintPicture.noise(try PaintPicture.layout(.rgb24, 64, 64))
        let prepared = try Self.painter.prepare([PlacedDrawing(line, x: 16, y: 16, layer: 0)], for: frame.layout)
        #expect(try prepared.paint(on: frame) == count * 3)
      }
    }
  }

  // MARK: mosaics

  @Test(arguments: painter.formats) func eachBlockOfAMosaicIsTheMeanOfWhatWasThere(_ format: PixelFormat) throws {
    for (width, height) in [(96, 54), (95, 53)] {
      for (x, y) in [(0, 0), (17, 9), (-5, -3), (60, 31), (-50, -30)] {
        for block in RegionPainter.blocks {
          let frame = try PaintPicture.noise(try PaintPicture.layout(format, width, height))
          let bytes = try PaintPicture.memory(frame)
          var wanted = PaintReference(frame.layout, bytes)
          let blocks = wanted.mosaic(x: x, y: y, width: 63, height: 41, block: block)
          let found = try Self.painted(
            [PlacedDrawing(.mosaic(width: 63, height: 41, block: block), x: x, y: y, layer: 0)], frame)
          #expect(wanted.distance(found) == 0, "\(width)x\(height) at \(x),\(y) of \(block)")
          // Nothing of what was inside a block can be told from it.
          #expect(blocks.allSatisfy { offsets in offsets.allSatisfy { found[$0] == found[offsets[0]] } })
        }
      }
    }
  }

  @Test func theBlocksOfAWideMosaicAreTheSameAsOfANarrowOne() throws {
    // More bytes of a line than are done at once.
    let frame = try PaintPicture.noise(try PaintPicture.layout(.xrgb8888, 1300, 20))
    let bytes = try PaintPicture.memory(frame)
    var wanted = PaintReference(frame.layout, bytes)
    wanted.mosaic(x: 3, y: 1, width: 1290, height: 18, block: 16)
    let found = try Self.painted(
      [PlacedDrawing(.mosaic(width: 1290, height: 18, block: 16), x: 3, y: 1, layer: 0)], frame)
    #expect(wanted.distance(found) == 0)
  }

  // MARK: together

  @Test(arguments: [PixelFormat.nv12, .i420, .yuyv, .argb8888]) func whatIsOfAHigherLayerLiesAbove(
    _ format: PixelFormat
  ) throws {
    let canvas = try PaintPicture.canvas(40, 24)
    let drawings = [
      PlacedDrawing(.mosaic(width: 50, height: 40, block: 8), x: 8, y: 8, layer: 2),
      PlacedDrawing(.cover(width: 30, height: 20, color: Self.blue, thickness: nil), x: 20, y: 20, layer: 3),
      PlacedDrawing(.canvas(canvas, alpha: 200), x: 10, y: 6, layer: 1),
      PlacedDrawing(.cover(width: 30, height: 9, color: Self.red, thickness: nil), x: 0, y: 30, layer: 3),
      PlacedDrawing(.canvas(canvas, alpha: 255), x: 32, y: 22, layer: 5),
    ]
    let frame = try PaintPicture.noise(try PaintPicture.layout(format, 96, 64))
    let bytes = try PaintPicture.memory(frame)
    var wanted = PaintReference(frame.layout, bytes)
    wanted.canvas(canvas, alpha: 200, x: 10, y: 6)
    wanted.mosaic(x: 8, y: 8, width: 50, height: 40, block: 8)
    wanted.fill(Self.blue) { x, y in (20..<50).contains(x) && (20..<40).contains(y) }
    wanted.fill(Self.red) { x, y in x < 30 && (30..<39).contains(y) }
    wanted.canvas(canvas, alpha: 255, x: 32, y: 22)
    #expect(wanted.distance(try Self.painted(drawings, frame)) <= 2.5)
  }

  @Test func whatLiesOutsideOrShowsNothingIsNothing() throws {
    let layout = try PaintPicture.layout(.nv12, 96, 64)
    let canvas = try PaintPicture.canvas(8, 8)
    let clear = try #require(CanvasPixels(width: 8, height: 8, bytes: [UInt8](repeating: 0, count: 256)))
    var nothing: [PlacedDrawing] = [
      PlacedDrawing(.canvas(canvas, alpha: 0), x: 0, y: 0, layer: 0),
      PlacedDrawing(.canvas(clear, alpha: 255), x: 0, y: 0, layer: 0),
    ]
    let point = PicturePoint(x: 0, y: 0)
    for (x, y) in [(-8, 0), (0, -8), (96, 0), (0, 64), (Int.min, 0), (0, Int.max), (Int.max, Int.min)] {
      nothing.append(PlacedDrawing(.canvas(canvas, alpha: 255), x: x, y: y, layer: 0))
      nothing.append(PlacedDrawing(.cover(width: 8, height: 8, color: Self.red, thickness: 2), x: x, y: y, layer: 0))
      nothing.append(PlacedDrawing(.mosaic(width: 8, height: 8, block: 8), x: x, y: y, layer: 0))
    }
    nothing.append(PlacedDrawing(.line(from: point, to: point, color: Self.red, thickness: 8), x: -900, y: 0, layer: 0))
    nothing.append(
      PlacedDrawing(
        .quadrangle([point, point, point, point], color: Self.red, thickness: nil), x: 900, y: 900, layer: 0))
    for drawings in [[], nothing] {
      let prepared = try Self.painter.prepare(drawings, for: layout)
      #expect(prepared.isEmpty)
      let frame = try PaintPicture.noise(layout)
      let bytes = try PaintPicture.memory(frame)
      #expect(try prepared.paint(on: frame) == 0)
      #expect(try PaintPicture.memory(frame) == bytes)
    }
    let something = try Self.painter.prepare(
      nothing + [PlacedDrawing(.mosaic(width: 8, height: 8, block: 8), x: 0, y: 0, layer: 0)], for: layout)
    #expect(!something.isEmpty)
  }

  @Test func bytesWrittenAreCounted() throws {
    let layout = try PaintPicture.layout(.nv12, 96, 64)
    let frame = try PaintPicture.noise(layout)
    func count(_ drawing: Drawing, x: Int = 0) throws -> Int {
      try Self.painter.prepare([PlacedDrawing(drawing, x: x, y: 0, layer: 0)], for: layout).paint(on: frame)
    }
    #expect(try count(.cover(width: 32, height: 16, color: Self.red, thickness: nil)) == 32 * 16 * 3 / 2)
    #expect(try count(.mosaic(width: 32, height: 16, block: 8), x: -8) == 24 * 16 * 3 / 2)
    let opaque = try #require(CanvasPixels(width: 32, height: 16, bytes: [UInt8](repeating: 255, count: 2048)))
    #expect(try count(.canvas(opaque, alpha: 255), x: 80) == 16 * 16 * 3 / 2)
  }

  // MARK: refusals

  private static func errno(_ body: () throws -> Void) -> CInt? {
    do {
      try body()
      return nil
    } catch { return (error as? Failure)?.errno.rawValue }
  }

  @Test func whatCannotBeDrawnIsRefused() throws {
    let layout = try PaintPicture.layout(.nv12, 96, 64)
    let (near, far) = (PicturePoint(x: 0, y: 0), PicturePoint(x: 1 << 20, y: 0))
    let refused: [Drawing] = [
      .cover(width: 0, height: 5, color: Self.red, thickness: nil),
      .cover(width: 5, height: -5, color: Self.red, thickness: nil),
      .cover(width: 1 << 40, height: 5, color: Self.red, thickness: nil),
      .cover(width: 5, height: 5, color: Self.red, thickness: 0),
      .mosaic(width: 64, height: 64, block: 0), .mosaic(width: 64, height: 64, block: 12),
      .mosaic(width: 64, height: Int.max, block: 8),
      .quadrangle([near, near, near], color: Self.red, thickness: nil),
      .quadrangle([near, near, near, far], color: Self.red, thickness: nil),
      .quadrangle([near, near, near, near], color: Self.red, thickness: -1),
      .line(from: near, to: far, color: Self.red, thickness: 1),
      .line(from: near, to: PicturePoint(x: Int.min, y: 0), color: Self.red, thickness: 1),
      .line(from: near, to: near, color: Self.red, thickness: 0),
      .line(from: near, to: near, color: Self.red, thickness: 1 << 40),
    ]
    for drawing in refused {
      let errno = Self.errno {
        _ = try Self.painter.prepare([PlacedDrawing(drawing, x: -1, y: 0, layer: 0)], for: layout)
      }
      #expect(errno == EINVAL, "\(drawing)")
    }
    let jpeg = FrameLayout(
      format: .mjpeg, width: 64, height: 64, plane0: Plane(offset: 0, stride: 4096, lines: 1))
    #expect(Self.errno { _ = try Self.painter.prepare([], for: jpeg) } == ENOTSUP)
  }

  @Test func aFrameOfAnotherLayoutIsRefusedAndStays() throws {
    let layout = try PaintPicture.layout(.nv12, 96, 64, .bt601)
    let prepared = try Self.painter.prepare(
      [PlacedDrawing(.mosaic(width: 64, height: 64, block: 8), x: 0, y: 0, layer: 0)], for: layout)
    for other in [
      try PaintPicture.layout(.nv12, 96, 62, .bt601), try PaintPicture.layout(.nv21, 96, 64, .bt601),
      try PaintPicture.layout(.nv12, 96, 64, .jfif),
    ] {
      let frame = try PaintPicture.noise(other)
      let bytes = try PaintPicture.memory(frame)
      var errno: CInt?
      do { _ = try prepared.paint(on: frame) } catch { errno = error.errno.rawValue }
      #expect(errno == EINVAL)
      #expect(try PaintPicture.memory(frame) == bytes)
    }
  }
}
