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
    case .bitrate, .frameRate, .peakRate, .lossRun, .keyRatio, .largest, .keyDelta, .keyRise, .layers, .leastRate:
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

  private struct State {
    var watches: [EffectWatch] = []
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
      state.watches.append(EffectWatch(id: id, change: change, baseline: baseline))
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
        state.watches[index] = EffectWatch(id: old.id, change: new, frame: old.frame, baseline: old.baseline)
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
        state.watches[index] = EffectWatch(id: old.id, change: old.change, frame: old.frame, baseline: old.baseline)
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
    let seen = EffectWatch.Seen(picture: picture, bytes: bytes, pts: pts, number: number, leftOut: leftOut())
    state.withLock { state in
      var index = 0
      var changed = false
      while index < state.watches.count {
        if state.watches[index].frame == nil {
          state.watches[index].frame = number
          note(state.watches[index].id, &state) { $0.frame = number }
          changed = true
        }
        if let finding = state.watches[index].judge(seen, arrivals: arrivals, syntax: syntax) {
          note(state.watches[index].id, &state) { record in
            record.verdict = finding.verdict
            record.measured = finding.measured
            record.unit = finding.unit
            record.quantisers = finding.quantisers
            record.frame = finding.frame ?? record.frame
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

  private func note(_ id: UInt64, _ state: inout State, _ body: (inout EffectRecord) -> Void) {
    guard let index = state.records.firstIndex(where: { $0.id == id }) else { return }
    body(&state.records[index].record)
  }

  private func publish(_ state: borrowing State) {
    list.store(state.records.map(\.record))
  }
}
