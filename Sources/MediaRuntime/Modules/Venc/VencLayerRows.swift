// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows of `venc/N` that say how the quantisers of key pictures and of layers of predicted ones lie to each other: the vendor's
/// `IpQpDelta`, `debreath_effect` and `HierarchicalQp`.
enum VencLayerRows {
  static let names =
    [SettingKey.keyQPDelta, .breathing, .hasLayers].map(\.name) + [SettingKey.layerCounts, .layerDeltas].map(\.name)

  static func rows(_ catalogue: EngineCatalogue) -> [Attribute] {
    [
      Attribute(
        SettingKey.keyQPDelta.name, .integer(-10...30), default: .integer(RateGoals.usualKeyDelta), .live,
        effect: .keyDelta,
        "quantiser of predicted pictures minus that of key pictures, as far as stat_time has room for it",
        useless: { ofKeys(.keyQPDelta, $0, catalogue) }),
      Attribute(
        SettingKey.breathing.name, .integer(0...RateGoals.usualKeyRise, off: "off"), default: .none, .live,
        effect: .keyRise,
        "how much coarser key pictures may be than the predicted ones around them, at the price of a larger key picture; off is "
          + "\(RateGoals.usualKeyRise) steps",
        useless: { ofKeys(.breathing, $0, catalogue) }),
      Attribute(
        SettingKey.hasLayers.name, .boolean, default: .boolean(false), .live, effect: .layers,
        "1: predicted pictures have layers of unlike quantisers (hier_frame_num, hier_qp_delta)",
        useless: { ofLayers(SettingKey.hasLayers, $0, catalogue) }),
      Attribute(
        SettingKey.layerCounts.name, .numbers(count: HierarchicalQP.layers, HierarchicalQP.counts),
        default: .numbers([1, 0, 0, 1]), .live, effect: .layers,
        "pictures of each layer, lowest first, between two of the layer below; 0 is no such layer",
        useless: { ofLayers(SettingKey.layerCounts, $0, catalogue) ?? isOff($0) }),
      Attribute(
        SettingKey.layerDeltas.name, .numbers(count: HierarchicalQP.layers, HierarchicalQP.deltas),
        default: .numbers([2, 0, 0, 0]), .live, effect: .layers,
        "what is taken off the quantiser of each layer's pictures, lowest layer first",
        useless: { ofLayers(SettingKey.layerDeltas, $0, catalogue) ?? isOff($0) }),
    ]
  }

  /// Layers without a picture are none.
  static func check(_ change: SettingsChange) throws(Refusal) {
    guard change.new[.hasLayers] == 1, let counts = change.new[.layerCounts], counts.allSatisfy({ $0 == 0 }) else {
      return
    }
    let isCounts = change.written[SettingKey.layerCounts.name] != nil
    throw change.refusal(
      isCounts ? SettingKey.layerCounts.name : SettingKey.hasLayers.name, .invalidArgument,
      "no layer would have a picture", hint: "hier_frame_num 1,0,0,1: every second picture is of the lowest layer")
  }

  private static func isOff(_ settings: ObjectSettings) -> String? {
    settings[.hasLayers] == 1 ? nil : "hier_qp is 0"
  }

  private static func ofKeys(
    _ key: SettingKey<Int>, _ settings: ObjectSettings, _ catalogue: EngineCatalogue
  ) -> String? {
    VencRateRows.useless(key, settings, catalogue) ?? hasNoOthers(settings)
  }

  /// They are added to fixed quantisers too, where the runtime gives those with each picture.
  private static func ofLayers<Value>(
    _ key: SettingKey<Value>, _ settings: ObjectSettings, _ catalogue: EngineCatalogue
  ) -> String? {
    if VencRows.isFixed(settings), !VencRows.isPictures(settings), catalogue.obeys(key, settings) {
      return catalogue.obeys(SettingKey<String>.rateControl, settings)
        ? hasNoOthers(settings) : "fixqp is the engine's own here, one quantiser for all"
    }
    return VencRateRows.useless(key, settings, catalogue) ?? hasNoOthers(settings)
  }

  private static func hasNoOthers(_ settings: ObjectSettings) -> String? {
    settings[.gop] == 1 ? "gop is 1: there are no predicted pictures" : nil
  }
}
