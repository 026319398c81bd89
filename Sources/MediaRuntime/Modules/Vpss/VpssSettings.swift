// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vpss/N` and of its outputs.
enum VpssSettings {
  static func groupRows(_ common: CommonRows) -> [Attribute] {
    [
      crop("part of the incoming picture that is used, as x,y,w,h; empty for all of it"),
      Attribute(
        "fps_src", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
        "frame-rate control: rate that arrives; -1 takes the source's own"),
      Attribute(
        "fps_dst", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
        "frame-rate control: rate given to the outputs, at most fps_src; -1 gives every frame"),
      CommonRows.backend(
        common.catalogue.scalers.map { ($0.name, $0.isHardware) }, "engine that scales; auto prefers hardware"),
      common.source(),
      CommonRows.enable("passes pictures on to its outputs"),
    ] + CommonRows.reports
  }

  static func outputRows(_ common: CommonRows) -> [Attribute] {
    [
      side("width", 1280, "width of the picture made, before rotation"),
      side("height", 720, "height of the picture made, before rotation"),
      CommonRows.format(
        common.catalogue.outputFormats, "format of the picture made; auto takes what the encoders here take as it is"),
      crop("part of the group's picture that is used, before scaling; empty for all of it"),
      Attribute(
        "aspect", .choice(PictureFit.allCases.map(\.rawValue)), default: .text(PictureFit.stretch.rawValue), .live,
        "pictures of another shape are stretched, stand between bars, or are cut"),
      Attribute(
        "bar_color", .drawing(.color()), default: .text("#000000"), .live, "colour of the bars",
        useless: { $0.text("aspect") == PictureFit.bars.rawValue ? nil : "aspect is not bars" }),
      Attribute(
        "fps", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
        "pictures a second kept of those that come; -1 keeps all"),
      Attribute(
        "rotation", .integer(0...270, step: 90), default: .integer(0), unit: "degrees", .restart,
        "turns the picture clockwise, after mirror and flip"),
      Attribute("mirror", .boolean, default: .boolean(false), .live, "exchanges left and right, before rotation"),
      Attribute("flip", .boolean, default: .boolean(false), .live, "exchanges top and bottom, before rotation"),
      common.pool(),
      CommonRows.enable("makes pictures"),
    ] + CommonRows.reports + CommonRows.snapshots
  }

  private static func crop(_ summary: String) -> Attribute {
    Attribute("crop", .part(limit: CommonRows.largestSide), default: .none, unit: "pixels", .live, summary)
  }

  private static func side(_ key: String, _ value: Int, _ summary: String) -> Attribute {
    Attribute(
      key, .integer(16...CommonRows.largestSide, step: 2), default: .integer(value), unit: "pixels", .restart, summary)
  }
}
