// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// What a running encoder channel promises its `effect` to look for.
extension VencChannel {
  /// Notes the changes the stream must show.
  func record(_ changed: Set<String>, _ old: ObjectSettings, _ new: ObjectSettings) {
    let figures = encoderCounters.figures()
    for key in changed.sorted() {
      let measure: EffectChange.Measure
      var baseline: Double?
      switch key {
      case "bitrate":
        measure = .bitrate(Double(new.integer(key) ?? 0))
        baseline = figures.bitsPerSecond.map { Double($0) / 1000 }
      case "gop": measure = .gop(new.integer(key) ?? 1)
      case "quality": measure = .quality(new.integer(key) ?? 0)
      case "qp_i", "qp_p":
        let isKey = key == "qp_i"
        guard let used, let own = used.factory.usualQuantisers(for: used.configuration.codec) else { continue }
        let usual = isKey ? own.key : own.predicted
        measure = .quantiser(new.integer(key) ?? usual, before: old.integer(key) ?? usual, ofKeys: isKey)
        baseline = (isKey ? figures.keyBytes : figures.predictedBytes).map { Double($0) }
      case "fps_src", "fps_dst":
        // One change of the rate, seen once, even where both were written.
        if key == "fps_src" && changed.contains("fps_dst") { continue }
        guard let rate = codedRate(new)?.framesPerSecond else { continue }
        measure = .frameRate(rate)
      default: continue
      }
      effects.add(
        EffectChange(key: key, old: old.shown(key), new: new.shown(key), measure: measure), baseline: baseline)
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
