// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows of `venc/N` that bound a rate control. Some are any engine's, most are obeyed by the runtime's own rate control, with
/// the engines that take a QP with each picture.
enum VencRateRows {
  static let names =
    [
      SettingKey.minQP, .maxQP, .minKeyQP, .maxKeyQP, .maxBitrate, .rateWindow, .minKeyRatio, .maxKeyRatio,
      .lossThreshold, .lossGap, .superKeyBits, .superPredictedBits, .maxReencodes, .minBitrate,
    ].map(\.name) + [SettingKey.lossMode, .superFrameMode, .ratePriority].map(\.name) + VencLayerRows.names

  static func rows(_ catalogue: EngineCatalogue) -> [Attribute] {
    let fixed: @Sendable (ObjectSettings) -> String? = {
      VencRows.isFixed($0) ? "fixqp holds qp_i and qp_p" : nil
    }
    return [
      VencRows.quantiser(
        .minQP, effect: .lowestQuantiser, "least quantiser of predicted pictures", catalogue, useless: fixed),
      VencRows.quantiser(
        .maxQP, effect: .highestQuantiser, "largest quantiser of predicted pictures", catalogue, useless: fixed),
      VencRows.quantiser(
        .minKeyQP, effect: .lowestKeyQuantiser, "least quantiser of key pictures", meaning: "that of min_qp", catalogue,
        useless: fixed),
      VencRows.quantiser(
        .maxKeyQP, effect: .highestKeyQuantiser, "largest quantiser of key pictures", meaning: "that of max_qp",
        catalogue, useless: fixed),
      Attribute(
        SettingKey.maxBitrate.name, .integer(2...400_000, off: "auto"), default: .none, unit: "kbps", .live,
        effect: .peakRate, "rate that no stat_time goes over with vbr and avbr; auto is 1.5 times bitrate",
        useless: {
          useless(.maxBitrate, $0, catalogue)
            ?? ($0[.rateControl] == "cbr" ? "cbr holds bitrate; vbr and avbr have a maximum" : nil)
        }),
      Attribute(
        SettingKey.minBitrate.name, .integer(2...200_000, off: "auto"), default: .none, unit: "kbps", .live,
        effect: .leastRate,
        "what a scene that stands still costs at least with avbr, over whole groups; auto is a third of bitrate or less",
        useless: {
          useless(.minBitrate, $0, catalogue) ?? ($0[.rateControl] == "avbr" ? nil : "rc_mode is not avbr")
        }),
      Attribute(
        SettingKey.rateWindow.name, .integer(1...60), default: .integer(1), unit: "s", .live, effect: .rateWindow,
        "time over which the rate is held", useless: { useless(.rateWindow, $0, catalogue) }),
      ratio(.minKeyRatio, 1, isLeast: true, "least size of key pictures over that of predicted ones", catalogue),
      ratio(.maxKeyRatio, 100, isLeast: false, "largest size of key pictures over that of predicted ones", catalogue),
      Attribute(
        SettingKey.lossMode.name, .choice(["none", "normal"], elsewhere: ["pskip"]), default: .text("none"), .live,
        effect: .rateWindow,
        "normal leaves frames out where the rate would go over lost_threshold at the largest quantiser; pskip, which repeats "
          + "the last one instead, no engine here has",
        useless: { useless(.lossMode, $0, catalogue) }),
      Attribute(
        SettingKey.lossThreshold.name, .integer(2...400_000, off: "auto"), default: .none, unit: "kbps", .live,
        effect: .rateWindow, "rate over which lost_mode leaves frames out; auto is 1.3 times bitrate",
        useless: {
          useless(.lossThreshold, $0, catalogue) ?? ($0[.lossMode] == "normal" ? nil : "lost_mode is none")
        }),
      Attribute(
        SettingKey.lossGap.name, .integer(1...65535, off: "auto"), default: .none, unit: "frames", .live,
        effect: .lossRun, "most frames that lost_mode leaves out one after the other; auto is as many as it takes",
        useless: {
          useless(.lossGap, $0, catalogue) ?? ($0[.lossMode] == "normal" ? nil : "lost_mode is none")
        }),
    ] + superFrames(catalogue) + VencLayerRows.rows(catalogue)
  }

  private static func superFrames(_ catalogue: EngineCatalogue) -> [Attribute] {
    func bits(_ key: SettingKey<Int>, _ which: String) -> Attribute {
      Attribute(
        key.name, .integer(1...1_000_000_000, off: "auto"), default: .none, unit: "bits", .live, effect: .largest,
        "size from which \(which) picture is too large; auto: none is", useless: { unused(key, $0, catalogue) })
    }
    return [
      Attribute(
        SettingKey.superFrameMode.name, .choice(["none", "reencode", "discard"]), default: .text("none"), .live,
        effect: .largest,
        "what becomes of pictures that are too large: reencode codes key pictures again, coarser (others are coded once: no "
          + "engine here takes back what it predicted from); discard leaves them out, and the next becomes a key picture",
        useless: { useless(.superFrameMode, $0, catalogue) }),
      bits(.superKeyBits, "a key"), bits(.superPredictedBits, "a predicted"),
      Attribute(
        SettingKey.ratePriority.name, .choice(["bitrate", SuperFrames.framesFirst]), default: .text("bitrate"), .live,
        effect: .largest,
        "what goes first: with bitrate a picture that is too large stays where the rate has room, with framebits never",
        useless: { unused(SettingKey.ratePriority, $0, catalogue) }),
      Attribute(
        SettingKey.maxReencodes.name, .integer(1...3), default: .integer(1), .live, effect: .largest,
        "how often a picture is coded again: one larger than super_frame_mode lets it be, or an mjpeg picture that stat_time has no "
          + "room for",
        useless: {
          // Pictures that stand alone need no other reason than the rate.
          if VencRows.isPictures($0) { return useless(SettingKey.maxReencodes, $0, catalogue) }
          return unused(SettingKey.maxReencodes, $0, catalogue)
            ?? ($0[.superFrameMode] == "discard" ? "super_frame_mode is discard" : nil)
        }),
    ]
  }

  private static func unused<Value>(
    _ key: SettingKey<Value>, _ settings: ObjectSettings, _ catalogue: EngineCatalogue
  ) -> String? {
    let mode = settings[.superFrameMode] ?? SuperFrames.Mode.none.rawValue
    return useless(key, settings, catalogue)
      ?? (mode == SuperFrames.Mode.none.rawValue ? "super_frame_mode is none" : nil)
  }

  private static func ratio(
    _ key: SettingKey<Int>, _ value: Int, isLeast: Bool, _ summary: String, _ catalogue: EngineCatalogue
  ) -> Attribute {
    Attribute(
      key.name, .integer(1...100), default: .integer(value), .live, effect: .keyRatio(isLeast: isLeast), summary,
      useless: {
        useless(key, $0, catalogue) ?? ($0[.gop] == 1 ? "gop is 1: there are no predicted pictures" : nil)
      })
  }

  static func useless<Value>(
    _ key: SettingKey<Value>, _ settings: ObjectSettings, _ catalogue: EngineCatalogue
  ) -> String? {
    if VencRows.isFixed(settings) { return VencRows.fixedSize(settings) }
    if catalogue.obeys(key, settings) { return nil }
    return VencRows.isPictures(settings)
      ? "no use for mjpeg's pictures" : "this engine holds its rate by itself and takes no \(key.name)"
  }
}
