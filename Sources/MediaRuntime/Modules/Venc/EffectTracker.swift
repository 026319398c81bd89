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
  /// For a bitrate: what the rate control may use, the frames a second it counts on, and whether its mode spends less than asked
  /// where the picture allows it.
  var bounds = QuantiserBounds()
  var codedRate: Double?
  var savesBits = false
  /// The engine is hardware.
  var isDevice = false
  /// What the runtime's own rate control is asked for, where it holds the rate.
  var goals: RateGoals?
  /// Part of what was asked by which it may be missed, where the setting's own rule says it.
  var tolerance = 0.0

  /// The stream must show the same.
  func promises(as other: EffectChange) -> Bool {
    guard measure == other.measure, wanted == other.wanted else { return false }
    switch measure {
    case .bitrate, .frameRate, .peakRate, .lossRun, .keyRatio, .largest:
      return bounds == other.bounds && codedRate == other.codedRate && savesBits == other.savesBits
        && goals == other.goals
    default: return true
    }
  }
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
    /// Where a rate is measured, the worst of it, or sizes.
    var window: EffectWindow?
    var peak: PeakMeter?
    var ratio = KeyRatioMeter()
    var largest = LargestMeter()
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

  /// Frames that have come to the channel so far.
  private let arrivals: @Sendable () -> UInt64
  /// What the stream's headers say.
  private let syntax: @Sendable () -> StreamSyntax?

  init(
    path: String, arrivals: @escaping @Sendable () -> UInt64 = { 0 },
    syntax: @escaping @Sendable () -> StreamSyntax? = { nil }
  ) {
    self.path = path
    self.arrivals = arrivals
    self.syntax = syntax
  }

  var records: [EffectRecord] { list.value }

  /// An accepted change. The first picture coded after this is the first that may show it.
  /// - Parameter baseline: what the measure was before, where it is known.
  func add(_ change: EffectChange, baseline: Double? = nil) {
    state.withLock { state in
      drop(change.key, &state)
      let id = append(
        EffectRecord(
          path: path, key: change.key, old: change.old, new: change.new, frame: coded.load(ordering: .acquiring)),
        &state)
      state.watches.append(Watch(id: id, change: change, baseline: baseline))
      publish(state)
    }
    watching.store(true, ordering: .releasing)
  }

  /// Settings whose change is still looked for.
  var pendingKeys: Set<String> {
    guard watching.load(ordering: .acquiring) else { return [] }
    return state.withLock { state in Set(state.watches.map(\.change.key)) }
  }

  /// Nothing is to be looked for any more.
  func giveUp(_ key: String) {
    state.withLock { state in
      guard state.watches.contains(where: { $0.change.key == key }) else { return }
      drop(key, &state)
      publish(state)
    }
  }

  /// Other settings have changed: what was looked for is measured anew against what is in force, where that makes a difference.
  /// - Parameter change: `nil` where it means nothing beside the others now.
  func look(for change: EffectChange?, inPlaceOf key: String) {
    guard let change else { return giveUp(key) }
    state.withLock { state in
      for index in state.watches.indices where state.watches[index].change.key == key {
        let old = state.watches[index]
        guard !change.promises(as: old.change) else { continue }
        var new = old.change
        (new.measure, new.wanted, new.bounds) = (change.measure, change.wanted, change.bounds)
        (new.codedRate, new.savesBits, new.goals) = (change.codedRate, change.savesBits, change.goals)
        state.watches[index] = Watch(id: old.id, change: new, frame: old.frame, baseline: old.baseline)
      }
    }
  }

  /// The newest record; the oldest goes where there are too many.
  private func append(_ record: EffectRecord, _ state: inout State) -> UInt64 {
    defer { state.nextID += 1 }
    state.records.append((state.nextID, record))
    if state.records.count > Self.kept { state.records.removeFirst(state.records.count - Self.kept) }
    return state.nextID
  }

  /// A newer change makes an older one unanswerable: its verdict stays as far as it got.
  private func drop(_ key: String, _ state: inout State) {
    for old in state.watches where old.change.key == key {
      note(old.id, &state) { $0.measured = "nothing: replaced before it could be measured" }
    }
    state.watches.removeAll { $0.change.key == key }
  }

  /// A change whose effect is plain without the stream: a channel that was stopped, or what cannot come true.
  func addSettled(
    key: String, old: String, new: String, verdict: EffectVerdict = .effective, measured: String?, unit: String? = nil
  ) {
    state.withLock { state in
      drop(key, &state)
      var record = EffectRecord(
        path: path, key: key, old: old, new: new, frame: coded.load(ordering: .acquiring), verdict: verdict)
      record.measured = measured
      record.unit = unit
      _ = append(record, &state)
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
  /// - Parameters:
  ///   - pts: microseconds.
  ///   - leftOut: frames that the rate control has left out so far.
  func picture(_ picture: CodedPicture, bytes: Int, pts: Int64, leftOut: @autoclosure () -> UInt64 = 0) {
    let number = coded.load(ordering: .relaxed)
    coded.store(number &+ 1, ordering: .releasing)
    guard watching.load(ordering: .acquiring) else { return }
    let leftOut = leftOut()
    state.withLock { state in
      var index = 0
      var changed = false
      while index < state.watches.count {
        if state.watches[index].frame == nil {
          state.watches[index].frame = number
          note(state.watches[index].id, &state) { $0.frame = number }
          changed = true
        }
        if let finding = judge(&state.watches[index], picture, bytes, pts, number, leftOut) {
          note(state.watches[index].id, &state) { record in
            record.verdict = finding.verdict
            record.measured = finding.measured
            record.unit = finding.unit
            record.quantisers = finding.quantisers
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

  private func finding(_ isEffective: Bool, _ measured: String, unit: String? = nil) -> EffectFinding {
    EffectFinding(isEffective ? .effective : .noEffect, measured, unit: unit)
  }

  private func note(_ id: UInt64, _ state: inout State, _ body: (inout EffectRecord) -> Void) {
    guard let index = state.records.firstIndex(where: { $0.id == id }) else { return }
    body(&state.records[index].record)
  }

  private func publish(_ state: borrowing State) {
    list.store(state.records.map(\.record))
  }

  private func judge(
    _ watch: inout Watch, _ picture: CodedPicture, _ bytes: Int, _ pts: Int64, _ number: UInt64, _ leftOut: UInt64
  ) -> EffectFinding? {
    let wanted = watch.change.wanted
    switch watch.change.measure {
    case .keyFrame:
      if picture.isKey { return finding(true, "key frame at \(number)") }
      // Pictures of frames from before the request was handed on say nothing.
      guard let asked = watch.requestedPTS, pts >= asked else { return nil }
      return finding(false, "no key frame")
    case .quality:
      let effective = picture.quality == Int(wanted)
      watch.groups += 1
      guard effective || watch.groups > 1 else { return nil }
      return finding(effective, picture.quality.map { "\($0)" } ?? "unknown")
    case .quantiser(let ofKeys):
      return judgeQuantiser(&watch, Int(wanted), watch.change.before ?? Int(wanted), picture, bytes, ofKeys: ofKeys)
    case .lowestQuantiser, .highestQuantiser: return judgeBound(&watch, Int(wanted), picture.isKey ? nil : picture.qp)
    case .lowestQuality, .highestQuality: return judgeBound(&watch, Int(wanted), picture.quality)
    case .syntax: return judgeSyntax(&watch, picture, syntax())
    case .slices: return judgeSlices(&watch, picture)
    case .groups: return judgeGroup(&watch, Int(wanted), picture.beginsGroup, number)
    case .backgrounds: return judgeGroup(&watch, Int(wanted), picture.isKey, number)
    case .structure: return judgeStructure(&watch, picture, number)
    case .bitrate: return judgeRate(&watch, picture, pts, bytes, .bitrate)
    case .frameRate: return judgeRate(&watch, picture, pts, bytes, .frameRate)
    case .peakRate, .lossRun: return judgePeak(&watch, picture, bytes, pts, leftOut)
    case .keyRatio(let isLeast):
      guard let group = watch.ratio.add(picture, bytes: bytes) else { return nil }
      return last(watch.change.verdict(of: group, isLeast: isLeast), &watch, .keyRatio(isLeast: isLeast))
    case .largest: return judgeLargest(&watch, picture, bytes)
    // The channel says which of the others it is.
    case .rateMode: return nil
    }
  }

  /// A finding that counts: it is effective, or there are no more tries.
  private func last(_ found: EffectFinding, _ watch: inout Watch, _ rule: EffectRule) -> EffectFinding? {
    watch.attempt += 1
    return found.verdict == .effective || watch.attempt >= rule.attempts ? found : nil
  }

  private func judgePeak(
    _ watch: inout Watch, _ picture: CodedPicture, _ bytes: Int, _ pts: Int64, _ leftOut: UInt64
  ) -> EffectFinding? {
    let rule = EffectRule.peakRate
    var meter = watch.peak ?? PeakMeter(length: Int64((watch.change.goals?.window ?? 1) * 1e6), start: pts)
    if meter.isFull(rule.rateWindows ?? 1, at: pts) {
      if let found = last(watch.change.verdict(of: meter), &watch, rule) { return found }
      meter.begin(at: pts)
    }
    meter.add(picture, bytes: bytes, at: pts, leftOut: leftOut, bounds: watch.change.bounds)
    watch.peak = meter
    return nil
  }

  private func judgeLargest(_ watch: inout Watch, _ picture: CodedPicture, _ bytes: Int) -> EffectFinding? {
    if picture.isKey, watch.largest.groups + 1 >= EffectRule.largest.groups ?? 1 {
      if let found = last(watch.change.verdict(of: watch.largest), &watch, .largest) { return found }
      watch.largest = LargestMeter()
    }
    watch.largest.add(picture, bytes: bytes)
    return nil
  }

  /// A window of pictures that all keep the bound. The rate control may need some to get there.
  /// - Parameter number: what is bounded, of a picture; `nil` where it does not count.
  private func judgeBound(_ watch: inout Watch, _ wanted: Int, _ number: Int?) -> EffectFinding? {
    guard let number, case .frames(let window) = EffectRule.highestQuantiser.window else {
      return nil
    }
    let isUpper = watch.change.measure == .highestQuantiser || watch.change.measure == .highestQuality
    watch.pictures += 1
    watch.lowest = min(watch.lowest ?? number, number)
    watch.highest = max(watch.highest ?? number, number)
    guard watch.pictures >= window, let low = watch.lowest, let high = watch.highest else { return nil }
    let isKept = isUpper ? high <= wanted : low >= wanted
    watch.attempt += 1
    guard isKept || watch.attempt >= EffectRule.highestQuantiser.attempts else {
      (watch.pictures, watch.lowest, watch.highest) = (0, nil, nil)
      return nil
    }
    return finding(isKept, "\(low)..\(high)")
  }

  /// The headers come with a key picture; the first may have been under way. Slices' own say so with the next picture.
  private func judgeSyntax(_ watch: inout Watch, _ picture: CodedPicture, _ syntax: StreamSyntax?) -> EffectFinding? {
    if picture.isKey { watch.groups += 1 }
    let found = syntax?.text(of: watch.change.key)
    let isEffective = found == watch.change.new
    guard isEffective || watch.groups > 1 else { return nil }
    return finding(isEffective, found ?? "unknown")
  }

  private func judgeSlices(_ watch: inout Watch, _ picture: CodedPicture) -> EffectFinding? {
    if picture.isKey { watch.groups += 1 }
    guard let slices = picture.slices else { return nil }
    let isEffective = (slices > 1) == (watch.change.wanted > 1)
    guard picture.isKey, isEffective || watch.groups > 1 else { return nil }
    return finding(isEffective, "\(slices)", unit: slices == 1 ? "slice" : "slices")
  }

  /// The first group after the change is one that began before it or with it; the next two count.
  private func judgeGroup(_ watch: inout Watch, _ wanted: Int, _ begins: Bool, _ number: UInt64) -> EffectFinding? {
    guard begins else {
      watch.pictures += 1
      guard let key = watch.lastKey else {
        // No key frame at all within two of the longer groups.
        guard watch.pictures > 2 * max(wanted, watch.change.before ?? 0) else { return nil }
        return finding(false, "more than \(watch.pictures)", unit: "frames")
      }
      guard number - key > UInt64(wanted) else { return nil }
      return finding(false, "more than \(number - key)", unit: "frames")
    }
    defer { watch.lastKey = number }
    guard let key = watch.lastKey else { return nil }
    watch.groups += 1
    let distance = number - key
    if distance == UInt64(wanted) { return finding(true, "\(distance)", unit: "frames") }
    return watch.groups < EffectRule.groups.groups ?? 1
      ? nil : finding(false, "\(distance)", unit: "frames")
  }

  /// The engine is opened anew, so a key picture comes; what the next group begins with tells.
  private func judgeStructure(_ watch: inout Watch, _ picture: CodedPicture, _ number: UInt64) -> EffectFinding? {
    guard picture.beginsGroup else { return nil }
    guard watch.lastKey != nil else {
      if picture.isKey { watch.lastKey = number }
      return nil
    }
    watch.groups += 1
    let found =
      watch.change.key == SettingKey<String>.gopMode.name
      ? (picture.isVirtualKey ? "smartp" : "normalp") : (picture.isKey ? "off" : "column")
    let isEffective = found == watch.change.new
    guard isEffective || watch.groups >= EffectRule.structure.groups ?? 1 else { return nil }
    return finding(isEffective, found)
  }

  /// The stream's own word where it has one; else the mean size of such pictures, which a coarser quantiser makes smaller.
  /// The first may have been under way.
  private func judgeQuantiser(
    _ watch: inout Watch, _ wanted: Int, _ before: Int, _ picture: CodedPicture, _ bytes: Int, ofKeys: Bool
  ) -> EffectFinding? {
    guard picture.isKey == ofKeys else { return nil }
    watch.pictures += 1
    watch.bits += bytes * 8
    if let found = picture.qp {
      // Means over slices are rounded.
      let isEffective = abs(found - wanted) <= 1
      return isEffective || watch.pictures > 2
        ? finding(isEffective, "\(found)") : nil
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
    return finding(isEffective, "\(Int(mean)) bytes a picture, \(against)")
  }

  /// Pictures whose sizes are looked at before a quantiser is called without effect.
  private static let keySizes = 3
  private static let sizes = 16

  /// Rates are measured over whole windows of the stream, the last of which counts.
  private func judgeRate(
    _ watch: inout Watch, _ picture: CodedPicture, _ pts: Int64, _ bytes: Int, _ rule: EffectRule
  ) -> EffectFinding? {
    var finding: EffectFinding?
    if let window = watch.window, window.isFull(rule, at: pts) {
      let found = watch.change.verdict(of: window, until: pts, arrived: arrivals(), baseline: watch.baseline)
      watch.attempt += 1
      if found.verdict == .effective || watch.attempt >= rule.attempts { finding = found }
      watch.window = nil
    }
    var window = watch.window ?? EffectWindow(start: pts, arrivedBefore: arrivals())
    window.add(picture, bytes: bytes, bounds: watch.change.bounds)
    watch.window = window
    return finding
  }
}
