// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows of `venc/N` that bound a rate control. Some are any engine's, most are obeyed by the runtime's own rate control, with
/// the engines that take a QP with each picture.
enum VencRateRows {
  static let names =
    [
      SettingKey.minQP, .maxQP, .minKeyQP, .maxKeyQP, .maxBitrate, .rateWindow, .minKeyRatio, .maxKeyRatio,
      .lossThreshold,
    ].map(\.name) + [SettingKey.lossMode.name]

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
        .minKeyQP, "least quantiser of key pictures", meaning: "that of min_qp", catalogue, useless: fixed),
      VencRows.quantiser(
        .maxKeyQP, "largest quantiser of key pictures", meaning: "that of max_qp", catalogue, useless: fixed),
      Attribute(
        SettingKey.maxBitrate.name, .integer(2...400_000, off: "auto"), default: .none, unit: "kbps", .live,
        "rate that no stat_time goes over with vbr and avbr; auto is 1.5 times bitrate",
        useless: {
          useless(.maxBitrate, $0, catalogue)
            ?? ($0[.rateControl] == "cbr" ? "cbr holds bitrate; vbr and avbr have a maximum" : nil)
        }),
      Attribute(
        SettingKey.rateWindow.name, .integer(1...60), default: .integer(1), unit: "s", .live,
        "time over which the rate is held", useless: { useless(.rateWindow, $0, catalogue) }),
      ratio(.minKeyRatio, 1, "least size of key pictures over that of predicted ones", catalogue),
      ratio(.maxKeyRatio, 100, "largest size of key pictures over that of predicted ones", catalogue),
      Attribute(
        SettingKey.lossMode.name, .choice(["none", "normal"]), default: .text("none"), .live,
        "normal leaves frames out where the rate would go over lost_threshold at the largest quantiser",
        useless: { useless(.lossMode, $0, catalogue) }),
      Attribute(
        SettingKey.lossThreshold.name, .integer(2...400_000, off: "auto"), default: .none, unit: "kbps", .live,
        "rate over which lost_mode leaves frames out; auto is 1.3 times bitrate",
        useless: {
          useless(.lossThreshold, $0, catalogue) ?? ($0[.lossMode] == "normal" ? nil : "lost_mode is none")
        }),
    ]
  }

  private static func ratio(
    _ key: SettingKey<Int>, _ value: Int, _ summary: String, _ catalogue: EngineCatalogue
  ) -> Attribute {
    Attribute(
      key.name, .integer(1...100), default: .integer(value), .live, summary,
      useless: { useless(key, $0, catalogue) })
  }

  private static func useless<Value>(
    _ key: SettingKey<Value>, _ settings: ObjectSettings, _ catalogue: EngineCatalogue
  ) -> String? {
    if VencRows.isFixed(settings) { return VencRows.fixedSize(settings) }
    return catalogue.obeys(key, settings) ? nil : "this engine holds its rate by itself and takes no \(key.name)"
  }
}
