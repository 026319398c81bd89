// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization

/// A change of a running channel whose effect is to be looked for in the stream.
struct EffectChange: Sendable {
  var key: String
  var old: String
  var new: String
  /// What is measured.
  var measure: EffectRule.Measure
  /// The value that was asked for, in the unit of the setting.
  var wanted: Double = 1
  /// The value before, where there was one.
  var before: Int?
}

/// Watches the coded pictures of a channel and judges each accepted change by them.
///
/// The worker calls `picture` for every coded picture; it takes the lock only while something is pending or handed in.
/// Reports read an immutable list.
final class EffectTracker: Sendable {
  static let kept = 32

  private struct Watch {
    var id: UInt64
    var change: EffectChange
    var frame: UInt64?
    var attempt = 0
    var startPTS: Int64 = 0
    var lastPTS: Int64 = 0
    var pictures = 0
    var bits = 0
    var lastKey: UInt64?
    var groups = 0
    var lowest: Int?
    var highest: Int?
    var baseline: Double?
    /// The frame with which the engine was asked for a key frame.
    var requestedPTS: Int64?
  }

  private struct State {
    var watches: [Watch] = []
    var records: [(id: UInt64, record: EffectRecord)] = []
    var nextID: UInt64 = 0
    /// Number of the next coded picture.
    var next: UInt64 = 0
  }

  private let path: String
  private let list = Published<[EffectRecord]>([])
  private let state = Mutex(State())
  private let watching = Atomic<Bool>(false)
  private let coded = Atomic<UInt64>(0)

  init(path: String) { self.path = path }

  var records: [EffectRecord] { list.value }

  /// An accepted change. The first picture coded after this is the first that may show it.
  /// - Parameter baseline: what the measure was before, where it is known.
  func add(_ change: EffectChange, baseline: Double? = nil) {
    state.withLock { state in
      // A newer change of the same setting makes the older one unanswerable: its verdict stays as far as it got.
      for old in state.watches where old.change.key == change.key {
        note(old.id, &state) { $0.measured = "nothing: replaced before it could be measured" }
      }
      state.watches.removeAll { $0.change.key == change.key }
      let id = state.nextID
      state.nextID += 1
      state.watches.append(Watch(id: id, change: change, baseline: baseline))
      state.records.append(
        (
          id,
          EffectRecord(
            path: path, key: change.key, old: change.old, new: change.new,
            frame: coded.load(ordering: .acquiring))
        ))
      if state.records.count > Self.kept { state.records.removeFirst(state.records.count - Self.kept) }
      publish(state)
    }
    watching.store(true, ordering: .releasing)
  }

  /// A change whose effect is plain without the stream (a channel that was stopped).
  func addSettled(key: String, old: String, new: String, measured: String?) {
    state.withLock { state in
      let id = state.nextID
      state.nextID += 1
      var record = EffectRecord(
        path: path, key: key, old: old, new: new, frame: coded.load(ordering: .acquiring), verdict: .effective)
      record.measured = measured
      state.records.append((id, record))
      if state.records.count > Self.kept { state.records.removeFirst(state.records.count - Self.kept) }
      publish(state)
    }
  }

  /// The stream begins anew: what was being measured starts over.
  func restart() {
    state.withLock { state in
      for index in state.watches.indices {
        let old = state.watches[index]
        state.watches[index] = Watch(id: old.id, change: old.change, frame: old.frame, baseline: old.baseline)
      }
    }
  }

  /// The engine is asked for a key frame with the frame of this pts.
  func keyRequested(pts: Int64) {
    guard watching.load(ordering: .acquiring) else { return }
    state.withLock { state in
      for index in state.watches.indices
      where state.watches[index].change.measure == .keyFrame && state.watches[index].requestedPTS == nil {
        state.watches[index].requestedPTS = pts
      }
    }
  }

  /// One coded picture, in order.
  /// - Parameter pts: microseconds.
  func picture(_ picture: CodedPicture, bytes: Int, pts: Int64) {
    let number = coded.load(ordering: .relaxed)
    coded.store(number &+ 1, ordering: .releasing)
    guard watching.load(ordering: .acquiring) else { return }
    state.withLock { state in
      var index = 0
      var changed = false
      while index < state.watches.count {
        if state.watches[index].frame == nil {
          state.watches[index].frame = number
          note(state.watches[index].id, &state) { $0.frame = number }
          changed = true
        }
        if let verdict = judge(&state.watches[index], picture, bytes, pts, number) {
          note(state.watches[index].id, &state) { record in
            record.verdict = verdict.effective ? .effective : .noEffect
            record.measured = verdict.measured
            record.unit = verdict.unit
          }
          state.watches.remove(at: index)
          changed = true
        } else {
          index += 1
        }
      }
      if state.watches.isEmpty { watching.store(false, ordering: .relaxed) }
      if changed { publish(state) }
    }
  }

  private struct Verdict {
    var effective: Bool
    var measured: String
    var unit: String?
  }

  private func note(_ id: UInt64, _ state: inout State, _ body: (inout EffectRecord) -> Void) {
    guard let index = state.records.firstIndex(where: { $0.id == id }) else { return }
    body(&state.records[index].record)
  }

  private func publish(_ state: borrowing State) {
    list.store(state.records.map(\.record))
  }

  private func judge(
    _ watch: inout Watch, _ picture: CodedPicture, _ bytes: Int, _ pts: Int64, _ number: UInt64
  ) -> Verdict? {
    let wanted = watch.change.wanted
    switch watch.change.measure {
    case .keyFrame:
      if picture.isKey { return Verdict(effective: true, measured: "key frame at \(number)", unit: nil) }
      // Pictures of frames from before the request was handed on say nothing.
      guard let asked = watch.requestedPTS, pts >= asked else { return nil }
      return Verdict(effective: false, measured: "no key frame", unit: nil)
    case .quality:
      let effective = picture.quality == Int(wanted)
      watch.groups += 1
      guard effective || watch.groups > 1 else { return nil }
      return Verdict(effective: effective, measured: picture.quality.map { "\($0)" } ?? "unknown", unit: nil)
    case .quantiser(let ofKeys):
      return judgeQuantiser(&watch, Int(wanted), watch.change.before ?? Int(wanted), picture, bytes, ofKeys: ofKeys)
    case .lowestQuantiser, .highestQuantiser: return judgeBound(&watch, Int(wanted), picture)
    case .groups: return judgeGroup(&watch, Int(wanted), picture, number)
    case .bitrate: return judgeRate(&watch, wanted, pts, bytes, isBitrate: true)
    case .frameRate: return judgeRate(&watch, wanted, pts, bytes, isBitrate: false)
    }
  }

  /// A window of predicted pictures that all keep the bound. The rate control may need some to get there.
  private func judgeBound(_ watch: inout Watch, _ wanted: Int, _ picture: CodedPicture) -> Verdict? {
    guard !picture.isKey, let qp = picture.qp, case .frames(let window) = EffectRule.highestQuantiser.window else {
      return nil
    }
    let isUpper = watch.change.measure == .highestQuantiser
    watch.pictures += 1
    watch.lowest = min(watch.lowest ?? qp, qp)
    watch.highest = max(watch.highest ?? qp, qp)
    guard watch.pictures >= window, let low = watch.lowest, let high = watch.highest else { return nil }
    let isKept = isUpper ? high <= wanted : low >= wanted
    watch.attempt += 1
    guard isKept || watch.attempt >= EffectRule.highestQuantiser.attempts else {
      (watch.pictures, watch.lowest, watch.highest) = (0, nil, nil)
      return nil
    }
    return Verdict(effective: isKept, measured: "\(low)..\(high)", unit: nil)
  }

  /// The first group after the change is one that began before it or with it; the next two count.
  private func judgeGroup(_ watch: inout Watch, _ wanted: Int, _ picture: CodedPicture, _ number: UInt64) -> Verdict? {
    guard picture.isKey else {
      watch.pictures += 1
      guard let key = watch.lastKey else {
        // No key frame at all within two of the longer groups.
        guard watch.pictures > 2 * max(wanted, watch.change.before ?? 0) else { return nil }
        return Verdict(effective: false, measured: "more than \(watch.pictures)", unit: "frames")
      }
      guard number - key > UInt64(wanted) else { return nil }
      return Verdict(effective: false, measured: "more than \(number - key)", unit: "frames")
    }
    defer { watch.lastKey = number }
    guard let key = watch.lastKey else { return nil }
    watch.groups += 1
    let distance = number - key
    if distance == UInt64(wanted) { return Verdict(effective: true, measured: "\(distance)", unit: "frames") }
    return watch.groups < EffectRule.groups.groups ?? 1
      ? nil : Verdict(effective: false, measured: "\(distance)", unit: "frames")
  }

  /// The stream's own word where it has one; else the mean size of such pictures, which a coarser quantiser makes smaller.
  /// The first may have been under way.
  private func judgeQuantiser(
    _ watch: inout Watch, _ wanted: Int, _ before: Int, _ picture: CodedPicture, _ bytes: Int, ofKeys: Bool
  ) -> Verdict? {
    guard picture.isKey == ofKeys else { return nil }
    watch.pictures += 1
    watch.bits += bytes * 8
    if let found = picture.qp {
      // Means over slices are rounded.
      let isEffective = abs(found - wanted) <= 1
      return isEffective || watch.pictures > 2
        ? Verdict(effective: isEffective, measured: "\(found)", unit: nil) : nil
    }
    let mean = Double(watch.bits) / 8 / Double(watch.pictures)
    let isLast = watch.pictures >= (ofKeys ? EffectTracker.keySizes : EffectTracker.sizes)
    var isEffective = wanted == before
    var against = "none before to compare with"
    if let baseline = watch.baseline, baseline > 0 {
      against = "\(Int(baseline)) before"
      if wanted != before { isEffective = wanted > before ? mean < baseline * 0.99 : mean > baseline * 1.01 }
    }
    guard isLast || isEffective && (ofKeys || watch.pictures > 2) else { return nil }
    return Verdict(effective: isEffective, measured: "\(Int(mean)) bytes a picture, \(against)", unit: nil)
  }

  /// Pictures whose sizes are looked at before a quantiser is called without effect.
  private static let keySizes = 3
  private static let sizes = 16

  /// Rates are measured over whole windows of the stream. A rate that has moved at least half way to what
  /// was asked is an effect, even where the picture needs fewer bits than it may have.
  private func judgeRate(
    _ watch: inout Watch, _ wanted: Double, _ pts: Int64, _ bytes: Int, isBitrate: Bool
  ) -> Verdict? {
    let rule = isBitrate ? EffectRule.bitrate : .frameRate
    if watch.pictures == 0 { watch.startPTS = pts }
    let elapsed = pts - watch.startPTS
    if elapsed < rule.microseconds ?? 0 || watch.pictures < 2 {
      watch.pictures += 1
      watch.bits += bytes * 8
      watch.lastPTS = pts
      return nil
    }
    let seconds = Double(elapsed) / 1e6
    let measured = isBitrate ? Double(watch.bits) / 1000 / seconds : Double(watch.pictures) / seconds
    let tolerance = Double(rule.tolerancePercent) / 100
    var effective = abs(measured - wanted) <= wanted * tolerance
    if isBitrate, !effective, let baseline = watch.baseline, abs(wanted - baseline) > wanted * tolerance {
      effective = (measured - baseline) / (wanted - baseline) >= 0.5
    }
    watch.attempt += 1
    if !effective && watch.attempt < rule.attempts {
      watch.pictures = 1
      watch.bits = bytes * 8
      watch.startPTS = pts
      return nil
    }
    let tenths = (measured * 10).rounded() / 10
    return Verdict(
      effective: effective, measured: isBitrate ? "\(Int(measured.rounded()))" : "\(tenths)",
      unit: isBitrate ? "kbps" : "fps")
  }
}
