// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// Bars of one colour around a picture that does not fill its frame.
struct Bars: Sendable {
  /// The picture between them, in the frame's memory.
  let inside: FrameLayout
  /// Who draws them.
  let engine: String
  private let drawings: any PreparedDrawings

  /// - Parameter place: of the picture in the frame, on even coordinates.
  /// - Throws: ENOTSUP where nothing here draws into that format.
  init(around place: Rectangle, of layout: FrameLayout, color: PaintColor, by painter: (any Painter)?) throws(Failure) {
    guard let painter, let inside = layout.part(place) else {
      throw Failure(.notSupported, "aspect", on: "\(layout.format) frame", "no bars can be drawn into it here")
    }
    let (width, height) = (Int(layout.width), Int(layout.height))
    let (right, bottom) = (place.x + place.width, place.y + place.height)
    var drawn: [PlacedDrawing] = []
    func bar(_ x: Int, _ y: Int, _ width: Int, _ height: Int) {
      guard width > 0, height > 0 else { return }
      drawn.append(
        PlacedDrawing(.cover(width: width, height: height, color: color, thickness: nil), x: x, y: y, layer: 0))
    }
    bar(0, 0, width, place.y)
    bar(0, bottom, width, height - bottom)
    bar(0, place.y, place.x, place.height)
    bar(right, place.y, width - right, place.height)
    self.inside = inside
    engine = painter.engine
    drawings = try painter.prepare(drawn, for: layout)
  }

  /// Draws them; the frame's layout is that of the whole.
  func draw(on frame: borrowing Frame) throws(Failure) -> Int { try drawings.paint(on: frame) }
}
