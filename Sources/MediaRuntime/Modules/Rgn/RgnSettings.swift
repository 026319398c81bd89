// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// The settings of `rgn/N` and of what attaches it.
enum RgnSettings {
  /// Pixels a bitmap or a line of text may have.
  static let largestBitmap = 4096 * 4096

  static func shape(_ settings: ObjectSettings) -> RegionShape {
    settings.text("type").flatMap { RegionShape(rawValue: $0) } ?? .overlay
  }

  /// None in a build that draws nothing.
  static func rows(_ common: CommonRows) -> [Attribute] {
    guard common.catalogue.painter != nil else { return [] }
    var rows = [
      Attribute(
        "type", .choice(RegionShape.allCases.map(\.rawValue)), default: .text(RegionShape.overlay.rawValue), .live,
        "what it draws; overlay and overlay_ex show a bitmap or a text"),
      side("width", "width; auto takes that of the bitmap or text, of a cover or mosaic all up to the picture's edge"),
      side("height", "height, as width"),
      Attribute(
        "format", .choice(CanvasFormat.allCases.map(\.rawValue)), default: .text(CanvasFormat.argb8888.rawValue), .live,
        "format of a raw bitmap that is written next", useless: { isOverlay($0) ? nil : noBitmap }),
      Attribute(
        "palette", .drawing(.palette(count: 4)), default: .text("#000000,#FFFFFF,#FF0000,#0000FF"), .live,
        "the four colours of a 2bpp bitmap", useless: { isOverlay($0) ? nil : noBitmap }),
      alpha("alpha", 255, "of the whole: multiplied with that of each pixel"),
      alpha("fg_alpha", 255, "of pixels of argb1555 whose bit is 1, and of colours 1 to 3 of 2bpp"),
      alpha("bg_alpha", 0, "of pixels of argb1555 whose bit is 0, and of colour 0 of 2bpp"),
      Attribute(
        "color", .drawing(.color()), default: .text("#000000"), .live, "colour of a cover or line",
        useless: { isDrawn($0) ? nil : "only a cover and a line have a colour of their own" }),
      Attribute(
        "block", .choice(["8", "16", "32", "64"]), default: .text("16"), unit: "pixels", .live,
        "side of the squares of a mosaic, each of one colour",
        useless: { shape($0) == .mosaic ? nil : "only a mosaic has blocks" }),
      Attribute(
        "thickness", .integer(1...256, off: "off"), default: .none, unit: "pixels", .live,
        "of a line (2 where it is off), or of the edges of a cover that is hollow; off fills it",
        useless: { isDrawn($0) ? nil : "only a cover and a line have a thickness" }),
      Attribute(
        "points", .drawing(.points([2, 4])), default: .none, unit: "pixels", .live,
        "ends of a line, or corners of a cover in order around it, from where the region lies",
        useless: { isDrawn($0) ? nil : "only a cover and a line have points" }),
    ]
    if common.catalogue.textRenderer != nil { rows += textRows }
    rows += [
      Attribute(
        "bitmap_file", .drawing(.path), default: .none, .prepared,
        "a file of a bitmap, read at each start, and when it is written meanwhile",
        useless: { isOverlay($0) ? nil : noBitmap }),
      CommonRows.enable("is drawn where it is attached"),
      Attribute("bitmap", .blob, "takes a \(Self.files(common)) of the declared format and size"),
    ]
    return rows + [
      Attribute("state", .info, "stopped, running, waiting for a bitmap, or failed: why"),
      Attribute("active", .info, "what it shows, and where"),
      Attribute("stats", .info, "bitmaps and texts shown and refused"),
    ]
  }

  private static func files(_ common: CommonRows) -> String {
    (common.catalogue.pictureReaders.map { "\($0.format) file" } + ["raw bitmap"]).joined(separator: ", or ")
  }

  private static let textRows = [
    Attribute(
      "text", .drawing(.line(limit: 256)), default: .none, .live,
      "a line that is shown in place of the bitmap, with the fields of strftime(3), as %H:%M:%S",
      useless: { isOverlay($0) ? nil : noText }),
    Attribute(
      "text_size", .integer(8...512), default: .integer(32), unit: "pixels", .live, "height of the line",
      useless: { isOverlay($0) ? nil : noText }),
    Attribute(
      "text_color", .drawing(.color()), default: .text("#FFFFFF"), .live, "colour of the letters",
      useless: { isOverlay($0) ? nil : noText }),
    Attribute(
      "text_outline", .drawing(.color(off: "off")), default: .text("#000000"), .live, "colour around each letter",
      useless: { isOverlay($0) ? nil : noText }),
  ]

  /// Of `rgn/N/attach/M`.
  static func attachmentRows(_ common: CommonRows) -> [Attribute] {
    guard common.catalogue.painter != nil else { return [] }
    return [
      Attribute(
        "x", .integer(DrawingSetting.distance), default: .integer(0), unit: "pixels", .live,
        "its left edge in the picture"),
      Attribute(
        "y", .integer(DrawingSetting.distance), default: .integer(0), unit: "pixels", .live,
        "its top edge in the picture"),
      Attribute(
        "layer", .integer(0...7), default: .integer(0), .live,
        "higher lies above, and of one layer the region of the higher number; a mosaic's are 0..3"),
    ]
  }

  private static func side(_ key: String, _ summary: String) -> Attribute {
    Attribute(
      key, .integer(1...CommonRows.largestSide, off: "auto"), default: .none, unit: "pixels", .live, summary)
  }

  private static func alpha(_ key: String, _ value: Int, _ summary: String) -> Attribute {
    Attribute(
      key, .integer(0...255), default: .integer(value), .live, summary, useless: { isOverlay($0) ? nil : noBitmap })
  }

  private static let noBitmap = "only an overlay has a bitmap"
  private static let noText = "only an overlay shows text"

  private static func isOverlay(_ settings: ObjectSettings) -> Bool {
    let shape = shape(settings)
    return shape == .overlay || shape == .overlayExtended
  }

  private static func isDrawn(_ settings: ObjectSettings) -> Bool {
    let shape = shape(settings)
    return shape == .cover || shape == .line
  }

  /// A line has two points, a cover none or four.
  static func check(_ change: inout SettingsChange) throws(Refusal) {
    let shape = shape(change.new)
    let count = change.new.points("points").count
    if isDrawn(change.new), count > 0, count != (shape == .line ? 2 : 4) {
      guard change.written["points"] == nil else {
        throw change.refusal(
          "points", .invalidArgument,
          shape == .line ? "is not the two ends of a line" : "is not the four corners of a cover",
          hint: shape == .line ? "x,y x,y" : "x,y x,y x,y x,y")
      }
      change.new["points"] = .none
    }
    if shape == .line, change.new.flag("enable"), change.new.points("points").isEmpty {
      throw change.refusal("points", .invalidArgument, "a line needs its two ends", hint: "x,y x,y")
    }
  }

  /// A mosaic has fewer layers.
  static func checkAttachment(_ change: inout SettingsChange) throws(Refusal) {
    guard shape(change.group) == .mosaic, let layer = change.new.integer("layer"), layer > 3 else { return }
    throw change.refusal("layer", .outOfRange, "is no layer of a mosaic", hint: "0..3")
  }

  /// What it draws.
  /// - Parameter canvas: what an overlay shows.
  static func drawing(_ settings: ObjectSettings, canvas: CanvasPixels?) -> Drawing? {
    let width = settings.integer("width") ?? CommonRows.largestSide
    let height = settings.integer("height") ?? CommonRows.largestSide
    let color = settings.color("color") ?? PaintColor(red: 0, green: 0, blue: 0)
    let thickness = settings.integer("thickness")
    let points = settings.points("points")
    switch shape(settings) {
    case .overlay, .overlayExtended:
      let alpha = UInt8(clamping: settings.integer("alpha") ?? 255)
      return canvas.map { .canvas($0, alpha: alpha) }
    case .cover where points.count == 4: return .quadrangle(points, color: color, thickness: thickness)
    case .cover: return .cover(width: width, height: height, color: color, thickness: thickness)
    case .mosaic:
      return .mosaic(width: width, height: height, block: settings.text("block").flatMap { Int($0) } ?? 16)
    case .line:
      guard points.count == 2 else { return nil }
      return .line(from: points[0], to: points[1], color: color, thickness: thickness ?? 2)
    }
  }
}
