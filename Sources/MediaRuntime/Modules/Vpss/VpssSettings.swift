// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vpss/N` and of its outputs.
enum VpssSettings {
  static func groupRows(_ common: CommonRows) -> [Attribute] {
    [
      Attribute(
        "crop", .rectangle(limit: CommonRows.largestSide), default: .none, unit: "pixels", .live,
        "part of the incoming picture that is used, as x,y,w,h; empty for all of it"),
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
      Attribute(
        "fps", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
        "pictures a second kept of those that come; -1 keeps all"),
      Attribute(
        "rotation", .integer(0...270, step: 90), default: .integer(0), unit: "degrees", .restart,
        "turns the picture clockwise, after mirror and flip"),
      Attribute("mirror", .boolean, default: .boolean(false), .live, "exchanges left and right, before rotation"),
      Attribute("flip", .boolean, default: .boolean(false), .live, "exchanges top and bottom, before rotation"),
      CommonRows.enable("makes pictures"),
    ] + CommonRows.reports + CommonRows.snapshots
  }

  private static func side(_ key: String, _ value: Int, _ summary: String) -> Attribute {
    Attribute(
      key, .integer(16...CommonRows.largestSide, step: 2), default: .integer(value), unit: "pixels", .restart, summary)
  }
}
