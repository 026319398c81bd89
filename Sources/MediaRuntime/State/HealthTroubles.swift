// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports

/// What is wrong with objects that move: they lose frames, are slower than they were asked to be, or work longer on a
/// frame than it takes until the next one. All of it is of the last seconds and goes away by itself.
extension MediaGraph {
  /// Below this part of the rate it was asked for an object is slow.
  private static let enough = 0.9

  func troubles(at now: Int64) -> [HealthTrouble] {
    let running = all.filter { $0.state.value.kind == .running }
    var found = running.flatMap { object in
      [lost(object, now), slow(object, now)].compactMap { $0 }.map { HealthTrouble(path: "\(object.path)", kind: $0) }
    }
    // Long work alone is nobody's trouble; where frames are lost or late it tells whose fault that is.
    guard !found.isEmpty else { return [] }
    found += running.compactMap { object in
      overworked(object, now).map { HealthTrouble(path: "\(object.path)", kind: $0) }
    }
    return found
  }

  private func lost(_ object: any Channel, _ now: Int64) -> HealthTrouble.Kind? {
    let counts = object.node.losses.counts(at: now, seconds: environment.options.lossSeconds)
    return counts.total > 0 ? .loses(counts, seconds: environment.options.lossSeconds) : nil
  }

  /// Sources alone: whoever takes frames loses those it is too slow for.
  private func slow(_ object: any Channel, _ now: Int64) -> HealthTrouble.Kind? {
    guard object.isSource, now - object.state.value.since > .seconds(2),
      let asked = object.node.output.format?.rate.framesPerSecond,
      let reached = object.node.output.counters.rate(at: now)?.framesPerSecond, reached < asked * Self.enough
    else { return nil }
    // A file's pictures may be further apart than its rate says: one that is paced is slow when it fell behind.
    let lookedBack = Int64.seconds(Int64(environment.options.lossSeconds))
    guard object.isLive || (object.lostPaceAt > 0 && now - object.lostPaceAt < lookedBack) else { return nil }
    return .isSlow(reached: reached, asked: asked)
  }

  private func overworked(_ object: any Channel, _ now: Int64) -> HealthTrouble.Kind? {
    let work = object.node.figures().work
    guard !object.overlapsWork, object.core.ownsSession, now - work.lastEnd < .seconds(2),
      let rate = object.isSource ? object.node.output.format?.rate : object.node.input.upstream?.format?.rate
    else { return nil }
    // Frames that its table leaves out are no work.
    let table = object.node.input.control
    let kept = table.count { $0 == 0 }
    let interval =
      table.isEmpty || kept == 0
      ? rate.intervalNanoseconds : rate.intervalNanoseconds * Int64(table.count) / Int64(kept)
    guard interval > 0, work.recentRun > interval else { return nil }
    return .isOverworked(workMicroseconds: Int(work.recentRun / 1000), intervalMicroseconds: Int(interval / 1000))
  }
}
