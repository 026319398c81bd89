// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What the settings of `venc/N` mean for each other.
enum VencRules {
  /// A rate control nobody wrote follows the coding and the engine: to their usual one, unless somebody chose another one
  /// that they have too.
  static func settle(_ change: inout SettingsChange) -> Bool {
    let (catalogue, old, written) = (change.catalogue, change.old, change.written)
    // A device that was pulled out: what it cannot be asked about stays as it was until it is back.
    if catalogue.lacksEngine(old), written["codec"] == nil, written["backend"] == nil, catalogue.lacksEngine(change.new)
    {
      return false
    }
    guard written["rc_mode"] == nil else { return true }
    let mode = change.new.text("rc_mode") ?? ""
    let isChosen = mode != catalogue.usualRateMode(old)
    if !isChosen || !catalogue.rateModes(change.new).contains(mode) {
      change.new["rc_mode"] = .text(catalogue.usualRateMode(change.new))
    }
    return true
  }

  static func check(_ change: inout SettingsChange) throws(Refusal) {
    let (catalogue, new, written) = (change.catalogue, change.new, change.written)
    guard let codec = new.text("codec").flatMap(Codec.init(rawValue:)) else { return }

    let able = catalogue.encoders(for: codec)
    let backend = new.text("backend") ?? "auto"
    guard let engine = catalogue.encoder(backend: backend, for: codec) else {
      let names = able.map(\.name).joined(separator: " ")
      // The engine is named by whoever wrote; a codec alone must not silently replace an engine somebody chose.
      throw change.refusal(
        written["backend"] != nil || written["codec"] == nil ? "backend" : "codec", .notSupported,
        "\(backend) does not make \(codec.rawValue)",
        hint: names.isEmpty ? "" : "write the backend too: auto \(names)")
    }

    let modes = catalogue.rateModes(new)
    if let mode = new.text("rc_mode"), !modes.contains(mode) {
      throw change.refusal(
        "rc_mode", .notSupported,
        !catalogue.obeys(.bitrate, new)
          ? "\(engine.name) holds no bitrate" : "is not available with \(codec.rawValue) of \(engine.name)",
        hint: "only \(modes.joined(separator: " ")) is")
    }

    if let profile = new.text("profile"), profile != "auto", !engine.profiles(for: codec).contains(profile) {
      if written["profile"] == nil {
        change.new["profile"] = .text("auto")
      } else {
        let others = able.filter { $0.profiles(for: codec).contains(profile) }.map(\.name)
        throw change.refusal(
          "profile", .notSupported, "\(engine.name) has no such profile",
          hint: others.isEmpty
            ? "one of: auto \(engine.profiles(for: codec).joined(separator: " "))"
            : "backend \(others.joined(separator: " ")) has")
      }
    }

    try order(.minQP, .maxQP, in: change)
    // `auto` of key pictures' bounds is that of the others'.
    try order(new[.minKeyQP] == nil ? .minQP : .minKeyQP, new[.maxKeyQP] == nil ? .maxQP : .maxKeyQP, in: change)
    try order(.minKeyRatio, .maxKeyRatio, in: change)
    try order(.leastQuality, .mostQuality, in: change)
    let mode = SettingKey<String>.rateControl.name
    if new[.rateControl] == "vbr" || new[.rateControl] == "avbr" {
      try order(.bitrate, .maxBitrate, in: change, with: mode)
    }
    if new[.lossMode] == "normal" {
      try order(.bitrate, .lossThreshold, in: change, with: SettingKey<String>.lossMode.name)
    }
    if new[.rateControl] == "avbr" { try order(.minBitrate, .bitrate, in: change, with: mode) }

    try checkSuperFrames(change)

    try VencSyntaxRows.check(&change)
    try VencPictureRows.check(change)
    try VencLayerRows.check(change)

    try FrameControl.check(change, "code")
  }
}

extension VencRules {
  /// What is to be done with pictures that are too large needs a size, and one of the kind it can be done with.
  private static func checkSuperFrames(_ change: SettingsChange) throws(Refusal) {
    let new = change.new
    guard let mode = new[.superFrameMode].flatMap(SuperFrames.Mode.init), mode != .none, new[.superKeyBits] == nil
    else { return }
    guard mode == .reencode || new[.superPredictedBits] == nil else { return }
    let keys = [
      SettingKey<String>.superFrameMode.name, SettingKey.superKeyBits.name, SettingKey.superPredictedBits.name,
    ]
    throw change.refusal(
      keys.first { change.written[$0] != nil } ?? SettingKey.superKeyBits.name, .invalidArgument,
      mode == .reencode
        ? "reencode would have no size of key pictures, and others are coded once"
        : "discard would have no size above which a picture is too large",
      hint: mode == .reencode ? "super_i_frame first" : "super_i_frame or super_p_frame first")
  }

  /// Two settings that bound the same from below and from above.
  /// - Parameter mode: the setting that makes them do so, where one does; it may be what was written.
  private static func order(
    _ least: SettingKey<Int>, _ most: SettingKey<Int>, in change: SettingsChange, with mode: String? = nil
  ) throws(Refusal) {
    guard let low = change.new[least], let high = change.new[most], low > high else { return }
    if let mode, change.written[mode] != nil, change.written[least.name] == nil, change.written[most.name] == nil {
      throw change.refusal(
        mode, .outOfRange, "\(least.name) would be above \(most.name) (\(low) and \(high))",
        hint: "change \(most.name) first, or write both")
    }
    let isMost = change.written[least.name] == nil
    throw change.refusal(
      isMost ? most.name : least.name, .outOfRange, "\(least.name) would be above \(most.name) (\(low) and \(high))",
      hint: isMost ? "at least \(low)" : "at most \(high), or change \(most.name) first")
  }
}

extension Codec {
  /// Scenes that stand still cost next to nothing in it, at any quantiser.
  fileprivate var hasStillScenes: Bool { self != .mjpeg && self != .fwht }
}

/// What the engines here obey.
extension EngineCatalogue {
  /// Whether the engine these settings mean is gone: it was there when they were made.
  func lacksEngine(_ settings: ObjectSettings) -> Bool {
    settings.text("codec").flatMap(Codec.init(rawValue:)) != nil && engine(settings) == nil
  }

  /// The engine these settings mean, with the coding; `nil` when it is gone or there never was one.
  func engine(_ settings: ObjectSettings) -> (any EncoderFactory, Codec)? {
    guard let codec = settings.text("codec").flatMap(Codec.init(rawValue:)),
      let engine = encoder(backend: settings.text("backend") ?? "auto", for: codec)
    else { return nil }
    return (engine, codec)
  }

  /// Whether the engine these settings mean obeys a setting.
  func obeys<Value>(_ key: SettingKey<Value>, _ settings: ObjectSettings) -> Bool {
    engine(settings).map { engine, codec in engine.settings(for: codec)[key.name] != nil } ?? false
  }

  /// Whether the engine these settings mean has its rate held by the runtime, by the QP of each picture.
  private func isHeldByQP(_ settings: ObjectSettings) -> Bool {
    engine(settings).map { engine, codec in engine.capabilities(for: codec).contains(.heldByQP) } ?? false
  }

  /// What the engines here make of a setting, for all their codings; empty where none obeys it.
  func engineSettings(_ key: String) -> [EngineSetting] {
    codecs.flatMap { codec in encoders(for: codec).compactMap { $0.settings(for: codec)[key] } }
  }

  /// The rate controls of all engines here.
  var everyRateMode: [String] {
    let streams = codecs.filter { $0 != .mjpeg }
    let hasQuantiser =
      codecs.contains(.mjpeg) || !engineSettings(SettingKey.keyQP.name).isEmpty
      || streams.contains { codec in encoders(for: codec).contains { $0.settings(for: codec)[.bitrate] == nil } }
    let hasOwn = codecs.contains { codec in
      encoders(for: codec).contains { $0.capabilities(for: codec).contains(.heldByQP) }
    }
    // What saves where nothing moves needs pictures that are predicted.
    let saves = streams.contains { codec in
      codec.hasStillScenes && encoders(for: codec).contains { $0.capabilities(for: codec).contains(.heldByQP) }
    }
    return (streams.isEmpty && !hasOwn ? [] : ["cbr"]) + (hasOwn ? ["vbr"] : []) + (saves ? ["avbr"] : [])
      + (hasQuantiser ? ["fixqp"] : [])
  }

  /// The rate controls these settings' coding and engine have, the usual one first.
  func rateModes(_ settings: ObjectSettings) -> [String] {
    let usual = usualRateMode(settings)
    guard obeys(.bitrate, settings), isHeldByQP(settings) || !VencRows.isPictures(settings) else { return [usual] }
    let saves = settings.text("codec").flatMap(Codec.init(rawValue:))?.hasStillScenes ?? false
    let held = ["cbr"] + (isHeldByQP(settings) ? saves ? ["vbr", "avbr"] : ["vbr"] : [])
    guard obeys(.keyQP, settings) || obeys(.quality, settings) else { return held }
    return usual == "fixqp" ? ["fixqp"] + held : held + ["fixqp"]
  }

  /// The rate control these settings' coding and engine have unasked: `fixqp` where the engine holds no bitrate, or the coding is one of which
  /// hardly anybody wants one held (motion JPEG, the kernel's FWHT); else `cbr`.
  func usualRateMode(_ settings: ObjectSettings) -> String {
    let codec = settings.text("codec").flatMap(Codec.init(rawValue:))
    return codec == .mjpeg || codec == .fwht || engine(settings) != nil && !obeys(.bitrate, settings) ? "fixqp" : "cbr"
  }
}
