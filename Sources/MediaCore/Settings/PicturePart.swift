// SPDX-License-Identifier: Apache-2.0

/// A part of a picture as `crop` names it: in pixels, or in thousandths of the picture's width and height, as the vendors' ratio
/// coordinates are.
public struct PicturePart: Sendable, Hashable {
  public var area: Rectangle
  public var isPermille: Bool

  public init(_ area: Rectangle, isPermille: Bool = false) {
    self.area = area
    self.isPermille = isPermille
  }

  /// Its pixels in a picture of this size, on even coordinates: thousandths are rounded down to them. What is larger than the
  /// picture stays so.
  public func pixels(width: Int, height: Int) -> Rectangle {
    guard isPermille else { return area }
    func even(_ part: Int, _ whole: Int) -> Int { whole * part / 1000 & ~1 }
    // A whole side is that, an odd last line too.
    return Rectangle(
      x: even(area.x, width), y: even(area.y, height), width: area.width == 1000 ? width : even(area.width, width),
      height: area.height == 1000 ? height : even(area.height, height))
  }

  /// As it is written: `0,0,640,360`, `125,125,750,750 permille`.
  public var text: String {
    "\(area.x),\(area.y),\(area.width),\(area.height)" + (isPermille ? " permille" : "")
  }
}
