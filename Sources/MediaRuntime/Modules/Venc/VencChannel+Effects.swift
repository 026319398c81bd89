// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// What a running encoder channel promises its `effect` to look for.
extension VencChannel {
  var effectRecords: [EffectRecord] { effects.records }

  /// Notes the changes the stream must show. Those that are still looked for are looked for with what is in force now: a bound that is
  /// written after the bitrate explains it as one that was there before.
  func record(_ changed: Set<String>, _ old: ObjectSettings, _ new: ObjectSettings) {
    for key in effects.pendingKeys.subtracting(changed).sorted() {
      guard environment.table.attribute(path.type, key)?.effect != nil else { continue }
      effects.look(for: change(of: key, new, new), inPlaceOf: key)
    }
    let figures = encoderCounters.figures()
    for key in changed.sorted() {
      // One change of the rate, seen once, even where both were written. What is started or bound tells so itself.
      if key == "fps_src" && changed.contains("fps_dst") || key == "enable" || key == "source" { continue }
      guard let change = change(of: key, old, new) else {
        effects.giveUp(key)
        // What bounds nothing any more needs no looking for.
        if let measure = measure(of: key, new)?.measure, measure == .largest || measure == .lossRun {
          effects.addSettled(key: key, old: shown(key, old), new: shown(key, new), measured: "no bound")
        }
        continue
      }
      let baseline: Double? =
        switch change.measure {
        case .bitrate: figures.bitsPerSecond.map { Double($0) / 1000 }
        case .quantiser(let ofKeys): (ofKeys ? figures.keyBytes : figures.predictedBytes).map { Double($0) }
        default: nil
        }
      if change.measure == .frameRate, let missing = missingFrames(new) {
        // Frames that do not come cannot be coded: nothing to wait for.
        log(.warning, "\(path): \(missing.remark)")
        effects.addSettled(
          key: key, old: shown(key, old), new: shown(key, new), verdict: .limited(.sourceRate),
          measured: missing.coming, unit: "fps")
        continue
      }
      effects.add(change, baseline: baseline)
    }
  }

  /// A value as its attribute reads back.
  private func shown(_ key: String, _ settings: ObjectSettings) -> String {
    settings[key].text(environment.table.attribute(path.type, key)?.type ?? .nothing)
  }

  /// What a setting's change must show; `nil` where there is nothing to look for, or another setting has put it out of use.
  private func change(of key: String, _ old: ObjectSettings, _ new: ObjectSettings) -> EffectChange? {
    guard let (rule, measure, goals) = measure(of: key, new) else { return nil }
    let obeyed = used.map { $0.factory.settings(for: $0.configuration.codec) }
    func value(_ settings: ObjectSettings) -> Int? { settings.integer(key) ?? obeyed?[key]?.usual }
    let codedRate = codedRate(new)?.framesPerSecond
    let wanted: Double? =
      switch measure {
      case .frameRate: new.integer("fps_dst").map { Double($0) } ?? codedRate
      case .syntax: 1
      case .structure, .taken: 1
      case .lowestKeyQuantiser: (new[.minKeyQP] ?? new[.minQP] ?? obeyed?[.minQP]?.usual).map { Double($0) }
      case .highestKeyQuantiser: (new[.maxKeyQP] ?? new[.maxQP] ?? obeyed?[.maxQP]?.usual).map { Double($0) }
      case .keyRise: Double(new[.breathing] ?? RateGoals.usualKeyRise)
      case .layers: 1
      case .leastRate: new[.minBitrate].map { Double($0) }
      case .slices: slices(new, keyBytes: encoderCounters.figures().keyBytes)
      case .peakRate, .lossRun, .largest: self.wanted(measure, key, new, goals)
      case .quantiser(let ofKeys) where rule.measure == .rateMode:
        (ofKeys ? goals?.fixed?.key : goals?.fixed?.predicted).map { Double($0) }
      case .bitrate: new[.bitrate].map { Double($0) }
      case .quantiser: value(new).map { Double(headerQuantiser($0, new)) }
      default: value(new).map { Double($0) }
      }
    return wanted.map { wanted in
      EffectChange(
        key: key, old: shown(key, old), new: shown(key, new), measure: measure, wanted: wanted, before: value(old),
        bounds: bounds(new, obeyed), codedRate: codedRate, savesBits: new[.rateControl].map { $0 != "cbr" } ?? false,
        isDevice: used?.factory.isHardware ?? false, goals: goals, tolerance: Double(rule.tolerancePercent) / 100)
    }
  }

  /// How a setting shows in the stream beside the others; `nil` where it does not, or another one has put it out of use.
  private func measure(
    of key: String, _ settings: ObjectSettings
  ) -> (rule: EffectRule, measure: EffectRule.Measure, goals: RateGoals?)? {
    guard let attribute = environment.table.attribute(path.type, key), let rule = attribute.effect,
      attribute.uselessness(settings) == nil
    else { return nil }
    let goals = goals(settings)
    return (rule, promise(rule.measure, key, settings, goals), goals)
  }

  /// What the runtime's own rate control is asked for with these settings; of other engines what they would be asked for.
  private func goals(_ settings: ObjectSettings) -> RateGoals? {
    guard let (engines, codec) = try? candidates(settings), let factory = used?.factory ?? engines.first else {
      return nil
    }
    return RateGoals(
      configuration(settings, factory, codec, node.input.upstream?.format?.layout), obeyed: factory.settings(for: codec)
    )
  }

  /// What shows a setting, where that depends on the others.
  private func promise(
    _ measure: EffectRule.Measure, _ key: String, _ settings: ObjectSettings, _ goals: RateGoals?
  ) -> EffectRule.Measure {
    switch measure {
    case .rateMode:
      switch goals?.mode {
      case .fixqp: .quantiser(ofKeys: goals?.gop == 1)
      case .vbr, .avbr: .peakRate
      default: .bitrate
      }
    // What the engine takes by itself is not known.
    case .syntax where self.shown(key, settings) == "auto": .taken
    // Without layers there is nothing to compare; with them no picture need have the common quantiser.
    case .layers where goals?.hierarchy == nil: .taken
    case .quantiser(ofKeys: false) where goals?.hierarchy != nil: .taken
    // Without loss none is left out.
    case .peakRate where key == SettingKey<String>.lossMode.name && goals?.lossThreshold == nil: .lossRun
    default: measure
    }
  }

  /// The bound that a measure is held against; `nil` where there is none to hold.
  private func wanted(
    _ measure: EffectRule.Measure, _ key: String, _ settings: ObjectSettings, _ goals: RateGoals?
  ) -> Double? {
    guard let goals else { return nil }
    switch (measure, key) {
    case (.lossRun, SettingKey.lossGap.name): return goals.lossGap.map { Double($0) }
    case (.lossRun, _): return 0
    case (.peakRate, SettingKey<String>.lossMode.name), (.peakRate, SettingKey.lossThreshold.name):
      return goals.lossThreshold.map { $0 / 1000 }
    case (.peakRate, SettingKey.rateWindow.name) where goals.mode == .cbr: return goals.target / 1000
    case (.peakRate, _): return goals.maximum / 1000
    // What is set back holds nothing.
    case (.largest, SettingKey.superKeyBits.name): return goals.superFrames.key
    case (.largest, SettingKey.superPredictedBits.name): return goals.superFrames.predicted
    default: return goals.superFrames.mode == .none ? nil : 1
    }
  }

  /// The frames a second that come where more are asked for, and a remark on it; `nil` where that is not so.
  func missingFrames(_ settings: ObjectSettings) -> (coming: String, remark: String)? {
    FrameControl.missing("fps_dst", settings.integer("fps_dst"), coming: codedRate(settings))
  }

  /// The quantiser in the header of a picture that is coded with `qp`: with some engines that of its first block, which may lie in a
  /// region.
  private func headerQuantiser(_ qp: Int, _ settings: ObjectSettings) -> Int {
    guard let used, used.factory.capabilities(for: used.configuration.codec).contains(.headerHasFirstBlock) else {
      return qp
    }
    let first = SettingKey<PictureRegion>.regions.compactMap { settings[$0] }.last { $0.area.x < 16 && $0.area.y < 16 }
    return first?.quantiser(in: qp, within: PictureRegion.quantisers) ?? qp
  }

  /// Slices that a key picture must have, as far as it is known; 1 or more of them. `nil` where it may have one or several.
  private func slices(_ settings: ObjectSettings, keyBytes: Int?) -> Double? {
    guard let used else { return nil }
    var configuration = used.configuration
    configuration.settings[.sliceMode] = settings[.sliceMode]
    configuration.settings[.sliceSize] = settings[.sliceSize]
    switch configuration.slices {
    case .none: return 1
    case .rows(let rows): return Double(configuration.slices(ofRows: rows))
    // Twice as large as one slice may be: not by chance.
    case .bytes(let size): return keyBytes.flatMap { $0 > 2 * size ? Double(2) : nil }
    }
  }

  /// What the rate control may use with these settings.
  private func bounds(_ settings: ObjectSettings, _ obeyed: EngineSettings?) -> QuantiserBounds {
    if used?.configuration.codec.isEachPictureKey ?? false {
      let (low, high) = (
        settings[.leastQuality] ?? obeyed?[.leastQuality]?.usual, settings[.mostQuality] ?? obeyed?[.mostQuality]?.usual
      )
      return QuantiserBounds(
        lowest: high.map { 100 - $0 }, highest: low.map { 100 - $0 },
        isLowestChosen: (obeyed?[.mostQuality]?.range?.upperBound ?? 99) > high ?? 99, isQuality: true)
    }
    let isVideo = used.map { $0.configuration.codec == .h264 || $0.configuration.codec == .h265 } ?? false
    let codec = isVideo ? 0...51 : nil
    let lowest = settings[.minQP] ?? obeyed?[.minQP]?.usual ?? codec?.lowerBound
    let able = obeyed?[.minQP]?.range?.lowerBound ?? lowest
    return QuantiserBounds(
      lowest: lowest, highest: settings[.maxQP] ?? obeyed?[.maxQP]?.usual ?? codec?.upperBound,
      isLowestChosen: (able ?? 0) < lowest ?? 0)
  }

  /// The graph is about to bind the channel to another source; its first frame becomes a key frame.
  func sourceChanges(from old: ObjectPath?, to new: ObjectPath?) {
    guard state.value.isRunning else { return }
    let before = old.map { "\($0)" } ?? ""
    guard let new else {
      if old != nil { effects.addSettled(key: "source", old: before, new: "", measured: "unbound") }
      return
    }
    effects.add(EffectChange(key: "source", old: before, new: "\(new)", measure: .keyFrame))
  }
}
