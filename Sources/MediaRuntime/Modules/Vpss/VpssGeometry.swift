// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What becomes of a picture whose shape is not that of an output (the vendors' aspect ratio: none, auto, manual).
enum PictureFit: String, CaseIterable {
  /// It is drawn out to the output's.
  case stretch
  /// It lies in the middle, with bars at two sides.
  case bars
  /// What is too much at two sides is left out.
  case cut
}

/// Which part of an incoming picture an output shows, and where in its own.
struct VpssGeometry: Equatable {
  /// Part of the incoming picture, in its pixels; `nil` for all.
  let crop: Rectangle?
  /// Size of what is made of that, before it is turned.
  let size: PictureExtent
  /// It does not fill the output: there are bars.
  let hasBars: Bool
  /// Samples of what is made have the shape of the screen's, where the source says what shape its own have.
  let isSquare: Bool

  /// A smaller part than this is none.
  static let least = 16

  struct PictureExtent: Equatable {
    var width: Int
    var height: Int
  }

  /// - Parameters:
  ///   - group: part of the incoming picture that all outputs are made of; `nil` for all of it.
  ///   - output: part of that.
  ///   - wanted: size of the output's picture, before it is turned.
  /// - Throws: ERANGE for a part that is not inside, or too small.
  init(
    _ incoming: FrameLayout, group: PicturePart?, output: PicturePart?, fit: PictureFit, to wanted: PictureExtent
  ) throws(Failure) {
    let whole = Rectangle(x: 0, y: 0, width: Int(incoming.width), height: Int(incoming.height))
    var part = try VpssGeometry.part(
      "crop", output, of: try VpssGeometry.part("the group's crop", group, of: whole))
    var size = wanted
    // Their shapes on a screen, as products of at most 14, 14 and 16 bits.
    let shape = incoming.aspect == .unknown ? SampleAspect.square : incoming.aspect
    let across = part.width * wanted.height * Int(shape.width)
    let down = part.height * wanted.width * Int(shape.height)
    func even(_ value: Int, _ numerator: Int, _ denominator: Int, most: Int) -> Int {
      min(most, max(2, (value * numerator + denominator) / (2 * denominator) * 2))
    }
    switch fit {
    case .stretch: break
    case .bars:
      if across > down {
        size.height = even(wanted.height, down, across, most: wanted.height)
      } else {
        size.width = even(wanted.width, across, down, most: wanted.width)
      }
    case .cut:
      var inner = part
      if across > down {
        inner.width = even(part.width, down, across, most: part.width)
      } else {
        inner.height = even(part.height, across, down, most: part.height)
      }
      inner.x += (part.width - inner.width) / 2 & ~1
      inner.y += (part.height - inner.height) / 2 & ~1
      part = inner
    }
    crop = part == whole ? nil : part
    self.size = size
    hasBars = size != wanted
    isSquare = fit != .stretch
  }

  /// A part of a part, in the pixels of the whole picture.
  private static func part(
    _ name: String, _ part: PicturePart?, of outer: Rectangle
  ) throws(Failure) -> Rectangle {
    guard let part else { return outer }
    var area = part.pixels(width: outer.width, height: outer.height)
    if let obstacle = obstacle(part, width: outer.width, height: outer.height) {
      throw Failure(.outOfRange, name, on: part.text, obstacle)
    }
    area.x += outer.x
    area.y += outer.y
    return area
  }

  /// Why a part is none of a picture of this size; `nil` where it is one.
  static func obstacle(_ part: PicturePart, width: Int, height: Int) -> String? {
    let area = part.pixels(width: width, height: height)
    if area.x + area.width > width || area.y + area.height > height {
      return "outside the picture of \(width)x\(height)"
    }
    if area.width < least || area.height < least {
      return "only \(area.width)x\(area.height) of a picture of \(width)x\(height), less than \(least)x\(least)"
    }
    return nil
  }

  /// Where in the output's picture it lies.
  /// - Parameter layout: of the whole picture, turned as it leaves.
  func place(in layout: FrameLayout, isTurned: Bool) -> Rectangle {
    let (width, height) = isTurned ? (size.height, size.width) : (size.width, size.height)
    return Rectangle(
      x: (Int(layout.width) - width) / 2 & ~1, y: (Int(layout.height) - height) / 2 & ~1, width: width, height: height)
  }
}
