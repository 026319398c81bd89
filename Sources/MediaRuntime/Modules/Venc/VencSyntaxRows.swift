// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The rows of `venc/N` that shape the stream's syntax, and what they mean for each other. Each says which engines here obey
/// it.
enum VencSyntaxRows {
  static func rows(_ catalogue: EngineCatalogue) -> [Attribute] {
    [
      choice(
        .entropy, ["auto", "cavlc", "cabac"], "auto", "coding of the coefficients; auto is the profile's best",
        catalogue),
      number(.transform8x8, 0...1, "1 may transform blocks of 8x8 whole; auto is the profile's best", catalogue),
      number(.deblocking, 0...1, "0 switches the deblocking filter off", catalogue),
      number(.deblockingAlpha, -6...6, "moves the filter's alpha threshold, in steps of two", catalogue) {
        isUnfiltered($0)
      },
      number(.deblockingBeta, -6...6, "moves the filter's beta threshold, in steps of two", catalogue) {
        isUnfiltered($0)
      },
      number(
        .deblockingTc, -6...6, "moves the filter's tc threshold, in steps of two: H.265 has it in the place of alpha",
        catalogue
      ) { isUnfiltered($0) },
      number(.sampleAdaptiveOffset, 0...1, "0 switches H.265's sample-adaptive offset off", catalogue),
      number(.intraSmoothing, 0...1, "0 switches H.265's strong smoothing of intra prediction off", catalogue),
      number(.chromaQPOffset, -12...12, "is added to the quantiser for chroma", catalogue),
      choice(
        .sliceMode, ["none", "bytes", "rows"], "none",
        "cuts pictures into slices: of at most slice_size bytes, or of slice_size rows of macroblocks", catalogue),
      number(
        .sliceSize, 1...1_000_000, "size of a slice; auto is \(SliceMode.usualBytes) bytes or one row", catalogue
      ) { $0[.sliceMode] == nil || $0[.sliceMode] == "none" ? "slice_mode is none" : nil },
      Attribute(
        "rotation", .integer(0...270, step: 90), default: .integer(0), unit: "degrees", .live, effect: .keyFrame,
        "clockwise, after mirror, before it is coded"),
      Attribute(
        "mirror", .boolean, default: .boolean(false), .live, effect: .keyFrame,
        "exchanges left and right, before rotation"),
    ]
  }

  static let keys: Set<String> = [
    SettingKey<String>.entropy.name, SettingKey<String>.sliceMode.name, SettingKey<Int>.transform8x8.name,
    SettingKey<Int>.deblocking.name, SettingKey<Int>.deblockingAlpha.name, SettingKey<Int>.deblockingBeta.name,
    SettingKey<Int>.chromaQPOffset.name, SettingKey<Int>.sliceSize.name, SettingKey<Int>.deblockingTc.name,
    SettingKey<Int>.sampleAdaptiveOffset.name, SettingKey<Int>.intraSmoothing.name,
  ]

  private static func isUnfiltered(_ settings: ObjectSettings) -> String? {
    settings[.deblocking] == 0 ? "deblocking is 0" : nil
  }

  static func choice(
    _ key: SettingKey<String>, _ choices: [String], _ usual: String, _ summary: String, _ catalogue: EngineCatalogue,
    elsewhere: [String] = [], effect rule: EffectRule? = nil
  ) -> Attribute {
    Attribute(
      key.name, .choice(choices, elsewhere: elsewhere), default: .text(usual), .live, effect: rule ?? effect(key.name),
      "\(summary) (\(able(key.name, catalogue)))", useless: { useless(key.name, $0, catalogue) })
  }

  private static func number(
    _ key: SettingKey<Int>, _ range: ClosedRange<Int>, _ summary: String, _ catalogue: EngineCatalogue,
    useless other: @escaping @Sendable (ObjectSettings) -> String? = { _ in nil }
  ) -> Attribute {
    Attribute(
      key.name, .integer(range, off: "auto"), default: .none, .live, effect: effect(key.name),
      "\(summary) (\(able(key.name, catalogue)))", useless: { useless(key.name, $0, catalogue) ?? other($0) })
  }

  private static func effect(_ key: String) -> EffectRule? {
    key.hasPrefix("slice") ? .slices : .syntax
  }

  /// The engines that obey it, for `help`.
  static func able(_ key: String, _ catalogue: EngineCatalogue) -> String {
    let names = engines(key, catalogue)
    return names.isEmpty ? "no engine here" : names.joined(separator: ", ")
  }

  private static func engines(_ key: String, _ catalogue: EngineCatalogue) -> [String] {
    catalogue.encoders.filter { engine in engine.codecs.contains { engine.settings(for: $0)[key] != nil } }.map(\.name)
  }

  static func useless(_ key: String, _ settings: ObjectSettings, _ catalogue: EngineCatalogue) -> String? {
    guard let (engine, codec) = catalogue.engine(settings) else { return nil }
    return engine.settings(for: codec)[key] == nil ? "\(engine.name) has no \(key) for \(codec.rawValue)" : nil
  }

  // MARK: rules

  /// What was written and the engine cannot, or what contradicts the profile. Written together with the engine, as in a saved
  /// configuration, it is kept for an engine that can, like all that means nothing now.
  static func check(_ change: inout SettingsChange) throws(Refusal) {
    guard let (engine, codec) = change.catalogue.engine(change.new) else { return }
    let obeyed = engine.settings(for: codec)
    let namesEngine = change.written["backend"] != nil || change.written["codec"] != nil
    for key in keys.union(VencPictureRows.keys).sorted() where obeyed[key] == nil && !namesEngine {
      guard let value = change.written[key], !asksForNothing.contains(value) else { continue }
      let able = engines(key, change.catalogue)
      throw Refusal(
        .notSupported, path: "\(change.path)/\(key)",
        value: Array(value.text(change.table.attribute(change.path.type, key)?.type ?? .nothing).utf8),
        reason: "\(engine.name) has none for \(codec.rawValue)" + (obeyed.obstacles[key].map { ": \($0)" } ?? ""),
        hint: able.isEmpty ? "leave it as it is: no engine here has it" : "backend \(able.joined(separator: " ")) has")
    }
    let profile = change.new[.profile] ?? "auto"
    if profile == "baseline", change.new[.entropy] == "cabac", obeyed[SettingKey<String>.entropy.name] != nil {
      throw change.refusal(
        change.written["entropy"] != nil ? "entropy" : "profile", .invalidArgument, "baseline has no cabac",
        hint: "profile main or high, or entropy auto")
    }
    if profile == "baseline" || profile == "main", change.new[.transform8x8] == 1, obeyed[.transform8x8] != nil {
      throw change.refusal(
        change.written["transform_8x8"] != nil ? "transform_8x8" : "profile", .invalidArgument,
        "\(profile) has no 8x8 transform", hint: "profile high, or transform_8x8 auto")
    }
    if change.new[.sliceMode] == "bytes", let size = change.new[.sliceSize], size < Self.leastBytes {
      throw change.refusal(
        change.written["slice_size"] != nil ? "slice_size" : "slice_mode", .outOfRange,
        "a slice of \(size) bytes cannot hold a macroblock", hint: "at least \(leastBytes) bytes")
    }
  }

  /// Values that every engine can be said to obey.
  private static let asksForNothing: [SettingValue] = [
    .none, .text("auto"), .text("none"), .text("off"), .text("normalp"),
  ]

  /// A macroblock takes 3200 bits at most (ITU-T H.264, A.3.1), with a header.
  private static let leastBytes = 450
}
