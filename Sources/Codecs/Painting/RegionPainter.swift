// SPDX-License-Identifier: Apache-2.0
import CPainting
public import MediaCore

/// Draws regions into pictures on the CPU: canvases blended straight into the samples a picture has, covers, mosaics and lines.
public struct RegionPainter: Painter {
  /// Shapes with corners farther away from a picture's are refused, pixels: arithmetic with them is exact.
  static let farthest = 1 << 16
  /// Most pixels a frame or a line is thick.
  static let thickest = 1 << 12
  static let blocks = [8, 16, 32, 64]

  public init() {}

  public var engine: String { "software" }

  public let formats: [PixelFormat] = [
    .nv12, .nv21, .i420, .nv16, .yuyv, .uyvy, .xrgb8888, .argb8888, .xbgr8888, .rgb24, .bgr24, .grey,
  ]

  /// - Throws: ENOTSUP for a format it cannot draw into, EINVAL for a drawing that cannot be.
  public func prepare(
    _ placed: [PlacedDrawing], for layout: FrameLayout
  ) throws(Failure) -> any PreparedDrawings {
    let planes = PlaneCells.of(layout.format)
    guard !planes.isEmpty, layout.width > 0, layout.height > 0 else {
      throw Failure(.notSupported, "draw", on: "\(layout.format) frame", "regions are drawn into raw pictures")
    }
    let size = PictureSize(width: Int(layout.width), height: Int(layout.height))
    let colors = SampleColors(layout)
    var strokes = Strokes()
    var steps: [PreparedRegions.Step] = []
    // The standard library's sort may change the order of equals.
    let ordered = placed.enumerated().sorted { ($0.element.layer, $0.offset) < ($1.element.layer, $1.offset) }
    for (_, item) in ordered {
      let before = strokes.spans.count
      switch item.drawing {
      case .canvas(let pixels, let alpha):
        CanvasStrokes(pixels, alpha: alpha, at: PicturePoint(x: item.x, y: item.y), in: layout)?
          .add(to: &strokes, planes)
      case .mosaic(let width, let height, let block):
        try check(width, height)
        guard RegionPainter.blocks.contains(block) else {
          throw Failure(.invalidArgument, "draw", on: "mosaic", "blocks are 8, 16, 32 or 64 pixels, not \(block)")
        }
        let place = PicturePoint(x: item.x, y: item.y)
        if let blocks = MosaicBlocks(width, height, block: block, at: place, planes, in: size) {
          steps.append(.mosaic(blocks))
        }
      case .cover(_, _, let color, _), .quadrangle(_, let color, _), .line(_, _, let color, _):
        try shape(item, size).add(colors.bytes(color), to: &strokes, planes)
      }
      let added = before..<strokes.spans.count
      guard !added.isEmpty else { continue }
      // What follows each other without a mosaic in between is done in one go.
      if case .strokes(let range)? = steps.last {
        steps[steps.count - 1] = .strokes(range.lowerBound..<added.upperBound)
      } else {
        steps.append(.strokes(added))
      }
    }
    return PreparedRegions(layout: layout, steps: steps, strokes: strokes)
  }

  private func shape(_ item: PlacedDrawing, _ picture: PictureSize) throws(Failure) -> Shape {
    switch item.drawing {
    case .cover(let width, let height, _, let thickness):
      try check(width, height)
      try check(thickness: thickness)
      let place = PicturePoint(x: item.x, y: item.y)
      return .rectangle(width, height, thickness: thickness, at: place, in: picture)
    case .quadrangle(let corners, _, let thickness):
      guard corners.count == 4 else {
        throw Failure(.invalidArgument, "draw", on: "quadrangle", "has four corners, not \(corners.count)")
      }
      try check(thickness: thickness)
      var moved: [PicturePoint] = []
      for corner in corners { moved.append(try self.moved(corner, item)) }
      return .quadrangle(moved, thickness: thickness, in: picture)
    case .line(let from, let to, _, let thickness):
      try check(thickness: thickness)
      return .line(from: try moved(from, item), to: try moved(to, item), thickness: thickness, in: picture)
    case .canvas, .mosaic: return .rectangle(0, 0, thickness: nil, at: PicturePoint(x: 0, y: 0), in: picture)
    }
  }

  private func moved(_ point: PicturePoint, _ item: PlacedDrawing) throws(Failure) -> PicturePoint {
    let (x, y) = (point.x.addingReportingOverflow(item.x), point.y.addingReportingOverflow(item.y))
    let reach = -RegionPainter.farthest...RegionPainter.farthest
    guard !x.overflow, !y.overflow, reach.contains(x.partialValue), reach.contains(y.partialValue) else {
      throw Failure(
        .invalidArgument, "draw", on: "point \(point.x),\(point.y) at \(item.x),\(item.y)",
        "lies more than \(RegionPainter.farthest) pixels away")
    }
    return PicturePoint(x: x.partialValue, y: y.partialValue)
  }

  private func check(_ width: Int, _ height: Int) throws(Failure) {
    let sizes = 1...RegionPainter.farthest
    guard sizes.contains(width), sizes.contains(height) else {
      throw Failure(
        .invalidArgument, "draw", on: "\(width)x\(height) region",
        "width and height are 1 to \(RegionPainter.farthest) pixels")
    }
  }

  private func check(thickness: Int?) throws(Failure) {
    guard let thickness, !(1...RegionPainter.thickest).contains(thickness) else { return }
    throw Failure(
      .invalidArgument, "draw", on: "region", "is 1 to \(RegionPainter.thickest) pixels thick, not \(thickness)")
  }
}
