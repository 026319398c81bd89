// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// What a running encoder channel promises its `effect` to look for.
extension VencChannel {
  var effectRecords: [EffectRecord] { effects.records }

  /// Notes the changes the stream must show.
  func record(_ changed: Set<String>, _ old: ObjectSettings, _ new: ObjectSettings) {
    let figures = encoderCounters.figures()
    let obeyed = used.map { $0.factory.settings(for: $0.configuration.codec) }
    for key in changed.sorted() {
      // One change of the rate, seen once, even where both were written. What is started or bound tells so itself.
      if key == "fps_src" && changed.contains("fps_dst") || key == "enable" || key == "source" { continue }
      guard let measure = environment.table.attribute(path.type, key)?.effect?.measure else { continue }
      func value(_ settings: ObjectSettings) -> Int? { settings.integer(key) ?? obeyed?[key]?.usual }
      let wanted =
        switch measure {
        case .frameRate: codedRate(new)?.framesPerSecond
        default: value(new).map { Double($0) }
        }
      guard let wanted else { continue }
      let baseline: Double? =
        switch measure {
        case .bitrate: figures.bitsPerSecond.map { Double($0) / 1000 }
        case .quantiser(let ofKeys): (ofKeys ? figures.keyBytes : figures.predictedBytes).map { Double($0) }
        default: nil
        }
      effects.add(
        EffectChange(
          key: key, old: old.shown(key), new: new.shown(key), measure: measure, wanted: wanted, before: value(old)),
        baseline: baseline)
    }
  }

  /// The graph is about to bind the channel to another source; its first frame becomes a key frame.
  func sourceChanges(from old: ObjectPath?, to new: ObjectPath?) {
    guard state.value.isRunning, new != nil else { return }
    effects.add(
      EffectChange(
        key: "source", old: old.map { "\($0)" } ?? "", new: new.map { "\($0)" } ?? "", measure: .keyFrame))
  }
}
