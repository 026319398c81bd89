// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Which part of a picture an output shows, and where.
@Suite(.ownThread) struct VpssGeometryTests {
  private func layout(_ width: Int, _ height: Int, _ aspect: SampleAspect = .unknown) -> FrameLayout {
    FrameLayout(
      format: .i420, width: width, height: height, plane0: Plane(offset: 0, stride: Int32(width), lines: Int32(height)),
      aspect: aspect)
  }

  private func geometry(
    _ incoming: FrameLayout, _ fit: PictureFit, _ width: Int, _ height: Int, group: PicturePart? = nil,
    output: PicturePart? = nil
  ) throws -> VpssGeometry {
    try VpssGeometry(
      incoming, group: group, output: output, fit: fit,
      to: VpssGeometry.PictureExtent(width: width, height: height))
  }

  private func area(_ x: Int, _ y: Int, _ width: Int, _ height: Int) -> Rectangle {
    Rectangle(x: x, y: y, width: width, height: height)
  }

  /// Incoming size, shape of its samples, size wanted; where the picture lies, what is cut out.
  static let shapes: [(Int, Int, SampleAspect, Int, Int, Rectangle, Rectangle?)] = [
    (
      1920, 1080, .unknown, 640, 480, Rectangle(x: 0, y: 60, width: 640, height: 360),
      Rectangle(x: 240, y: 0, width: 1440, height: 1080)
    ),
    (
      640, 480, .square, 1280, 720, Rectangle(x: 160, y: 0, width: 960, height: 720),
      Rectangle(x: 0, y: 60, width: 640, height: 360)
    ),
    // PAL is 4:3 whatever its numbers say, and so is wide NTSC 16:9.
    (
      720, 576, SampleAspect(16, 15), 1280, 720, Rectangle(x: 160, y: 0, width: 960, height: 720),
      Rectangle(x: 0, y: 72, width: 720, height: 432)
    ),
    (1440, 1080, SampleAspect(4, 3), 1280, 720, Rectangle(x: 0, y: 0, width: 1280, height: 720), nil),
    // Odd sizes, and places that are odd when halved.
    (
      35, 23, .unknown, 64, 64, Rectangle(x: 0, y: 10, width: 64, height: 42),
      Rectangle(x: 4, y: 0, width: 24, height: 23)
    ),
    (
      16, 4096, .unknown, 640, 64, Rectangle(x: 318, y: 0, width: 2, height: 64),
      Rectangle(x: 0, y: 2046, width: 16, height: 2)
    ),
  ]

  @Test(arguments: shapes) func theShapeOnAScreenIsKept(
    _ width: Int, _ height: Int, _ aspect: SampleAspect, _ newWidth: Int, _ newHeight: Int, _ place: Rectangle,
    _ cut: Rectangle?
  ) throws {
    let incoming = layout(width, height, aspect)
    let whole = layout(newWidth, newHeight)
    let bars = try geometry(incoming, .bars, newWidth, newHeight)
    #expect(bars.place(in: whole, isTurned: false) == place)
    #expect(bars.hasBars == (place.width != newWidth || place.height != newHeight))
    #expect(bars.crop == nil)
    let cutOut = try geometry(incoming, .cut, newWidth, newHeight)
    #expect(cutOut.crop == cut)
    #expect(!cutOut.hasBars)
    let stretched = try geometry(incoming, .stretch, newWidth, newHeight)
    #expect(stretched.crop == nil && !stretched.hasBars && !stretched.isSquare)
  }

  @Test func aTurnedPictureLiesInATurnedFrame() throws {
    let bars = try geometry(layout(1920, 1080), .bars, 640, 480)
    #expect(bars.place(in: layout(480, 640), isTurned: true) == area(60, 0, 360, 640))
  }

  @Test func partsAreThoseOfParts() throws {
    let incoming = layout(1920, 1080)
    let quarter = PicturePart(area(125, 125, 750, 750), isPermille: true)
    #expect(try geometry(incoming, .stretch, 64, 64, group: quarter).crop == area(240, 134, 1440, 810))
    let inside = PicturePart(area(100, 100, 200, 200))
    #expect(try geometry(incoming, .stretch, 64, 64, group: quarter, output: inside).crop == area(340, 234, 200, 200))
    let half = PicturePart(area(500, 0, 500, 1000), isPermille: true)
    #expect(try geometry(incoming, .stretch, 64, 64, group: inside, output: half).crop == area(200, 100, 100, 200))
    // All of it is no part, an odd last column included.
    let all = PicturePart(area(0, 0, 1000, 1000), isPermille: true)
    #expect(try geometry(layout(35, 23), .stretch, 64, 64, group: all, output: all).crop == nil)
    // What is cut is cut out of the part.
    #expect(
      try geometry(incoming, .cut, 64, 64, group: PicturePart(area(0, 0, 1280, 720))).crop == area(280, 0, 720, 720))
  }

  @Test func whatIsNotInsideOrTooSmallIsRefused() throws {
    let incoming = layout(640, 360)
    for (group, output) in [
      (PicturePart(area(600, 0, 64, 64)), nil), (PicturePart(area(0, 300, 64, 64)), nil),
      (PicturePart(area(0, 0, 320, 180)), PicturePart(area(300, 0, 64, 64))),
      (PicturePart(area(0, 0, 20, 500), isPermille: true), nil),
      (PicturePart(area(0, 0, 32, 32)), PicturePart(area(0, 0, 400, 400), isPermille: true)),
    ] as [(PicturePart, PicturePart?)] {
      let failure = #expect(throws: Failure.self) {
        try geometry(incoming, .stretch, 64, 64, group: group, output: output)
      }
      #expect(failure?.errno == .outOfRange)
    }
  }
}
