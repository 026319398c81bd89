// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// What `effect` holds against whole groups of pictures: quantisers of key pictures, of layers, and the least a scene costs.
@Suite(.ownThread) struct EffectGroupTests {
  /// The record of a change after pictures of these quantisers, 25 a second, a key picture each 25.
  private func record(
    _ measure: EffectRule.Measure, wanted: Double, count: Int = 300, bytes: Int = 2000,
    hierarchy: HierarchicalQP? = nil, qp: (Int, _ isKey: Bool) -> Int
  ) -> EffectRecord? {
    var all = RateGoals(
      mode: .cbr, target: 400_000, framesPerSecond: 25, gop: 25, pixels: 640 * 360, predicted: 10...40, key: 12...38)
    all.hierarchy = hierarchy
    let tracker = EffectTracker(path: "venc/0")
    var change = EffectChange(key: "a", old: "1", new: "2", measure: measure, wanted: wanted)
    change.goals = all
    change.tolerance = 0.15
    change.bounds = QuantiserBounds(lowest: 10, highest: 40)
    tracker.add(change)
    for number in 0..<count {
      let isKey = number % 25 == 0
      tracker.picture(
        CodedPicture(type: .p, qp: qp(number, isKey), isKey: isKey), bytes: bytes, pts: Int64(number) * 40_000)
    }
    return tracker.records.last
  }

  @Test func boundsOfKeyPicturesAreHeldAgainstKeyPicturesAlone() {
    let kept = record(.highestKeyQuantiser, wanted: 30) { _, isKey in isKey ? 30 : 38 }
    #expect(kept?.verdict == .effective && kept?.measured == "30", "\(kept as Any)")
    let late = record(.lowestKeyQuantiser, wanted: 28) { number, isKey in isKey ? (number < 60 ? 20 : 28) : 15 }
    #expect(late?.verdict == .effective, "\(late as Any)")
    let deaf = record(.lowestKeyQuantiser, wanted: 28) { _, isKey in isKey ? 20 : 35 }
    #expect(deaf?.verdict == .noEffect && deaf?.measured == "20", "\(deaf as Any)")
    #expect(record(.highestKeyQuantiser, wanted: 30, count: 24) { _, _ in 30 }?.verdict == .pending)
  }

  @Test func keyPicturesAreMeasuredBesideTheirNeighbours() {
    let met = record(.keyDelta, wanted: 3) { _, isKey in isKey ? 25 : 28 }
    #expect(met?.verdict == .effective && met?.measured == "3.0", "\(met as Any)")
    // The rate has no room for finer ones, or their own bound is in the way.
    #expect(record(.keyDelta, wanted: 8) { _, isKey in isKey ? 27 : 28 }?.verdict == .limited(.bitrate))
    #expect(record(.keyDelta, wanted: 8) { _, isKey in isKey ? 12 : 13 }?.verdict == .limited(.minQP))
    #expect(record(.keyDelta, wanted: -5) { _, isKey in isKey ? 38 : 37 }?.verdict == .limited(.maxQP))
    #expect(record(.keyDelta, wanted: -5) { _, isKey in isKey ? 28 : 28 }?.verdict == .noEffect)

    let calm = record(.keyRise, wanted: 2) { _, isKey in isKey ? 31 : 29 }
    #expect(calm?.verdict == .effective && calm?.measured == "2.0", "\(calm as Any)")
    #expect(record(.keyRise, wanted: 2) { _, isKey in isKey ? 36 : 29 }?.verdict == .noEffect)
  }

  @Test func layersAreMeasuredByTheirMeans() {
    let hierarchy = HierarchicalQP(counts: [1, 0, 0, 1], deltas: [4, 0, 0, 0])
    let met = record(.layers, wanted: 1, hierarchy: hierarchy) { number, _ in
      number % 25 % 2 == 1 ? 30 : 26
    }
    #expect(met?.verdict == .effective && met?.measured == "26.0,30.0", "\(met as Any)")
    let flat = record(.layers, wanted: 1, hierarchy: hierarchy) { _, _ in 30 }
    #expect(flat?.verdict == .noEffect && flat?.measured == "30.0,30.0", "\(flat as Any)")
    let bounded = record(.layers, wanted: 1, hierarchy: hierarchy) { _, _ in 10 }
    #expect(bounded?.verdict == .limited(.minQP), "\(bounded as Any)")
  }

  @Test func theLeastRateIsMeasuredOverWholeGroups() {
    // 25 pictures of 2000 bytes a second: 400 kbps.
    let met = record(.leastRate, wanted: 400) { _, _ in 30 }
    #expect(met?.verdict == .effective && met?.measured == "400" && met?.unit == "kbps", "\(met as Any)")
    #expect(record(.leastRate, wanted: 600) { _, _ in 30 }?.verdict == .noEffect)
    #expect(record(.leastRate, wanted: 600) { _, _ in 10 }?.verdict == .limited(.simplePicture))
  }

  /// The picture that was under way says nothing; from the next one on the engine has it.
  @Test func whatNoHeaderShowsIsAppliedWithAFrame() {
    let line = record(.taken, wanted: 1, count: 2) { _, _ in 30 }
    #expect(line?.verdict == .applied && line?.frame == 1 && line?.measured == nil, "\(line as Any)")
    #expect(record(.taken, wanted: 1, count: 1) { _, _ in 30 }?.verdict == .pending)
  }
}
