// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows of `venc/N` about what a picture refers to and which of its parts are coded better than others. Each says which engines
/// here obey it.
enum VencPictureRows {
  /// Rectangles lie within this in both directions: no coding here has larger pictures.
  static let limit = 16384

  static func rows(_ catalogue: EngineCatalogue) -> [Attribute] {
    [
      VencSyntaxRows.choice(
        .intraRefresh, ["off", "column"], "off",
        "column: in the place of key frames, columns of blocks that need no other picture go over the picture, one refresh "
          + "every gop frames; readers begin there", catalogue, elsewhere: ["row"], effect: .structure),
      VencSyntaxRows.choice(
        .gopMode, ["normalp", "smartp"], "normalp",
        "smartp: a key frame stays the background of many groups, each of which begins with a frame predicted from it alone",
        catalogue, effect: .structure),
      Attribute(
        SettingKey<Int>.backgroundInterval.name, .integer(2...65536, off: "auto"), default: .none, unit: "frames",
        .live,
        effect: .backgrounds,
        "distance from one background frame to the next with smartp, a multiple of gop; auto is "
          + "\(EncoderConfiguration.usualGroups) times gop (\(VencSyntaxRows.able(SettingKey<Int>.backgroundInterval.name, catalogue)))",
        useless: {
          VencSyntaxRows.useless(SettingKey<Int>.backgroundInterval.name, $0, catalogue)
            ?? ($0[.gopMode] == "smartp" ? nil : "gop_mode is normalp")
        }),
    ] + SettingKey<PictureRegion>.regions.map { region($0, catalogue) }
  }

  static let regions = Set(SettingKey<PictureRegion>.regions.map(\.name))
  static let keys = regions.union([
    SettingKey<String>.intraRefresh.name, SettingKey<String>.gopMode.name, SettingKey<Int>.backgroundInterval.name,
  ])

  /// What contradicts another setting.
  static func check(_ change: SettingsChange) throws(Refusal) {
    let (gop, interval) = (change.new[.gop] ?? 60, change.new[.backgroundInterval])
    if change.new[.gopMode] == "smartp", let interval, interval <= gop || interval % gop != 0 {
      let isWritten = change.written[SettingKey<Int>.backgroundInterval.name] != nil
      throw change.refusal(
        isWritten ? SettingKey<Int>.backgroundInterval.name : SettingKey<Int>.gop.name, .invalidArgument,
        "bg_interval would be no multiple of gop above it (\(interval) and \(gop))",
        hint: isWritten ? "\(gop * 2), \(gop * 3), ..." : "change bg_interval first, or make it auto")
    }
    if change.new[.intraRefresh] == "column", gop < 2 {
      throw change.refusal(
        change.written[SettingKey<Int>.gop.name] != nil
          ? SettingKey<Int>.gop.name : SettingKey<String>.intraRefresh.name, .invalidArgument,
        "with a gop of 1 every picture is a key picture", hint: "a gop of 2 or more")
    }
  }

  private static func region(_ key: SettingKey<PictureRegion>, _ catalogue: EngineCatalogue) -> Attribute {
    Attribute(
      key.name, .region(limit: limit), default: .none, .live, effect: .taken,
      "region of the coded picture with a quantiser of its own, or so much added to the picture's; a later one holds over an "
        + "earlier one (\(VencSyntaxRows.able(key.name, catalogue)))",
      useless: { VencSyntaxRows.useless(key.name, $0, catalogue) })
  }
}
