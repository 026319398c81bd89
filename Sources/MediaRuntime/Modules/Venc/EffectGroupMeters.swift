// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// The quantiser of a key picture beside the mean of the predicted ones before and after it.
struct NeighbourMeter: Sendable {
  private var before: Mean?
  private var now = Mean()
  private var key: Int?

  private struct Mean: Sendable {
    var sum = 0
    var count = 0
  }

  /// - Returns: how much coarser the predicted pictures around the key picture before this one are than it, in steps.
  mutating func add(_ picture: CodedPicture) -> (delta: Double, key: Int)? {
    guard picture.isKey else {
      if let qp = picture.qp { (now.sum, now.count) = (now.sum + qp, now.count + 1) }
      return nil
    }
    defer {
      before = now
      now = Mean()
      key = picture.qp
    }
    guard let key, let before, before.count > 0, now.count > 0 else { return nil }
    return (Double(before.sum + now.sum) / Double(before.count + now.count) - Double(key), key)
  }
}

/// Mean quantisers of the layers of predicted pictures, over whole groups.
struct LayerMeter: Sendable {
  let hierarchy: HierarchicalQP
  /// Whole groups so far; pictures before the first key picture do not count.
  private(set) var groups = -1
  private var position = HierarchicalQP.Position()
  private var sums = SIMD4<Int>()
  private var counts = SIMD4<Int>()
  private(set) var lowest = Int.max
  private(set) var highest = Int.min

  init(_ hierarchy: HierarchicalQP) { self.hierarchy = hierarchy }

  mutating func add(_ picture: CodedPicture) {
    if picture.isKey {
      groups += 1
      position = HierarchicalQP.Position()
      return
    }
    guard groups >= 0 else { return }
    let layer = hierarchy.layer(&position)
    guard let qp = picture.qp else { return }
    sums[layer] += qp
    counts[layer] += 1
    (lowest, highest) = (min(lowest, qp), max(highest, qp))
  }

  /// Of the layers that had pictures, lowest first.
  var means: [(layer: Int, qp: Double)] {
    (0..<HierarchicalQP.layers).filter { counts[$0] > 0 }.map { ($0, Double(sums[$0]) / Double(counts[$0])) }
  }
}

/// Kilobits a second of whole groups.
struct GroupRateMeter: Sendable {
  private var tally: EffectWindow?
  private var groups = 0

  struct Rate: Sendable {
    var kilobits: Double
    var tally: EffectWindow
  }

  /// - Returns: the rate of so many groups that end before this picture.
  mutating func add(_ seen: EffectWatch.Seen, _ count: Int, bounds: QuantiserBounds) -> Rate? {
    var found: Rate?
    if seen.picture.beginsGroup {
      groups += tally == nil ? 0 : 1
      if let tally, groups >= count { found = Rate(kilobits: tally.kilobits(until: seen.pts), tally: tally) }
      if tally == nil || found != nil {
        tally = EffectWindow(start: seen.pts, arrivedBefore: 0)
        groups = 0
      }
    }
    tally?.add(seen.picture, bytes: seen.bytes, bounds: bounds)
    return found
  }
}

extension EffectChange {
  func verdict(of beside: (delta: Double, key: Int)) -> EffectFinding {
    let rounded = (beside.delta * 10).rounded() / 10
    let (lowest, highest) = (goals?.key.lowerBound ?? 0, goals?.key.upperBound ?? 51)
    if measure == .keyRise {
      let isKept = -beside.delta <= wanted + 1
      let coarser = "\(max(0, -rounded))"
      return EffectFinding(isKept ? .effective : .noEffect, coarser, unit: "steps coarser than the others")
    }
    var finding = EffectFinding(.effective, "\(rounded)", unit: "steps finer than the others")
    guard abs(beside.delta - wanted) > 1 else { return finding }
    let isShort = beside.delta < wanted
    finding.verdict =
      isShort
      ? beside.key <= lowest + 1 ? .limited(.minQP) : .limited(.bitrate)
      : beside.key >= highest - 1 ? .limited(.maxQP) : .noEffect
    return finding
  }

  func verdict(of meter: LayerMeter) -> EffectFinding {
    let means = meter.means
    let text = means.map { "\(($0.qp * 10).rounded() / 10)" }.joined(separator: ",")
    guard let first = means.first, means.count > 1 else { return EffectFinding(.applied, frame: nil) }
    var finding = EffectFinding(.effective, text, unit: "mean qp of the layers")
    let deltas = meter.hierarchy.deltas
    let isShown = means.dropFirst().allSatisfy { mean in
      let wanted = Double(deltas[first.layer] - deltas[mean.layer])
      return abs(mean.qp - first.qp - wanted) <= 1
    }
    guard !isShown else { return finding }
    let bounds = goals?.predicted ?? 0...51
    finding.verdict =
      meter.lowest <= bounds.lowerBound
      ? .limited(.minQP) : meter.highest >= bounds.upperBound ? .limited(.maxQP) : .noEffect
    return finding
  }

  func verdict(of rate: GroupRateMeter.Rate) -> EffectFinding {
    var finding = EffectFinding(.effective, "\(Int(rate.kilobits.rounded()))", unit: "kbps")
    guard rate.kilobits < wanted * (1 - tolerance) else { return finding }
    finding.verdict = rate.tally.isAtLowest ? .limited(bounds.isLowestChosen ? .minQP : .simplePicture) : .noEffect
    finding.quantisers = rate.tally.quantiserText
    return finding
  }
}
