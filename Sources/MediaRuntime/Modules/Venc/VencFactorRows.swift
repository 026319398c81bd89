// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows of `venc/N` that only codings have whose every picture stands alone (mjpeg): what bounds the quality factor where it is
/// chosen for a bitrate.
enum VencFactorRows {
  static let names = [SettingKey.leastQuality, .mostQuality].map(\.name)

  static func rows(_ catalogue: EngineCatalogue) -> [Attribute] {
    [
      factor(.leastQuality, 30, effect: .lowestQuality, "least JPEG quality factor a rate control chooses", catalogue),
      factor(
        .mostQuality, 99, effect: .highestQuality, "largest JPEG quality factor a rate control chooses", catalogue),
    ]
  }

  private static func factor(
    _ key: SettingKey<Int>, _ value: Int, effect: EffectRule, _ summary: String, _ catalogue: EngineCatalogue
  ) -> Attribute {
    Attribute(
      key.name, .integer(1...99), default: .integer(value), .live, effect: effect, "\(summary) (mjpeg)",
      useless: {
        !VencRows.isPictures($0)
          ? VencRows.hasNoFactor($0)
          : VencRows.isFixed($0)
            ? "fixqp holds quality" : catalogue.obeys(key, $0) ? nil : "this engine takes no \(key.name)"
      })
  }
}
