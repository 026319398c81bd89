// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaCore

@Suite(.ownThread) struct HierarchicalQPTests {
  private static func layers(_ counts: [Int], _ count: Int) throws -> [Int] {
    let hierarchy = try #require(HierarchicalQP(counts: counts, deltas: [0, 0, 0, 0]))
    var position = HierarchicalQP.Position()
    return (0..<count).map { _ in hierarchy.layer(&position) }
  }

  @Test func layersFollowEachOther() throws {
    #expect(try Self.layers([1, 0, 0, 1], 6) == [3, 0, 3, 0, 3, 0])
    #expect(try Self.layers([0, 0, 1, 3], 8) == [3, 3, 3, 2, 3, 3, 3, 2])
    #expect(try Self.layers([0, 1, 1, 1], 8) == [3, 2, 3, 1, 3, 2, 3, 1])
    #expect(try Self.layers([5, 0, 2, 2], 10) == [3, 3, 2, 3, 3, 2, 3, 3, 0, 3])
    #expect(try Self.layers([0, 0, 0, 2], 3) == [3, 3, 3])
    #expect(HierarchicalQP(counts: [0, 0, 0, 0], deltas: [0, 0, 0, 0]) == nil)
    #expect(HierarchicalQP(counts: [1], deltas: [1]) == nil)
  }

  /// What is planned with is what the layers cost in the long run, whatever they are.
  @Test func theMeanCostIsThatOfALongStream() throws {
    for (counts, deltas) in [
      ([1, 0, 0, 1], [3, 0, 0, 0]), ([1, 2, 1, 3], [6, 4, 2, -2]), ([0, 5, 0, 5], [0, -3, 0, 7]),
    ] {
      let hierarchy = try #require(HierarchicalQP(counts: counts, deltas: deltas))
      let seen = try Self.layers(counts, 7200)
      let mean = seen.map { CostModel.factor(of: Double(deltas[$0]), 0.2) }.reduce(0, +) / 7200
      #expect(abs(hierarchy.meanCost(slope: 0.2) / mean - 1) < 0.005, "\(counts)")
    }
  }

  /// The quantisers of the layers lie as far apart as asked, within the bounds, and the rate is held all the same.
  @Test func aRateIsHeldWithLayersToo() throws {
    var goals = RatePlanTests.goals(600, predicted: 10...40)
    goals.hierarchy = HierarchicalQP(counts: [1, 1, 0, 1], deltas: [4, 2, 0, -1])
    var plan = RatePlan(goals)
    let coded = RatePlanTests.run(&plan, 0..<500, from: 5...58)
    let (most, mean) = RatePlanTests.windows(coded, 25, of: 600)
    #expect(most <= 1.25, "\(most)")
    #expect(abs(mean - 1) <= 0.03, "\(mean)")
    let hierarchy = try #require(goals.hierarchy)
    var sums = [0: (0, 0), 1: (0, 0), 3: (0, 0)]
    for start in stride(from: 50, to: 500, by: 50) {
      var position = HierarchicalQP.Position()
      for number in start + 1..<start + 50 {
        let layer = hierarchy.layer(&position)
        let (sum, count) = sums[layer] ?? (0, 0)
        sums[layer] = (sum + coded[number].qp, count + 1)
      }
    }
    let means = sums.mapValues { Double($0.0) / Double(max(1, $0.1)) }
    #expect(abs((means[1] ?? 0) - (means[0] ?? 0) - 2) < 0.5, "\(means)")
    #expect(abs((means[3] ?? 0) - (means[0] ?? 0) - 5) < 0.5, "\(means)")
    #expect(coded.allSatisfy { (10...40).contains($0.qp) })
  }

  @Test func fixedQuantisersHaveLayersToo() {
    var goals = RatePlanTests.goals(600, .fixqp)
    goals.fixed = RateGoals.FixedQP(key: 25, predicted: 50)
    goals.hierarchy = HierarchicalQP(counts: [1, 0, 0, 1], deltas: [6, 0, 0, -5])
    var plan = RatePlan(goals)
    #expect(RatePlanTests.run(&plan, 0..<5, gop: 50).map(\.qp) == [25, 51, 44, 51, 44])
  }

  /// The pattern begins with each key picture, and a frame that is left out is none of it.
  @Test func aKeyPictureBeginsAnew() {
    var goals = RatePlanTests.goals(600, .fixqp)
    goals.fixed = RateGoals.FixedQP(key: 20, predicted: 30)
    goals.hierarchy = HierarchicalQP(counts: [1, 0, 0, 2], deltas: [5, 0, 0, 0])
    var plan = RatePlan(goals)
    #expect(RatePlanTests.run(&plan, 0..<10, gop: 5).map(\.qp) == [20, 30, 30, 25, 30, 20, 30, 30, 25, 30])
  }

  // MARK: key pictures beside the others

  private static func keysBesideOthers(_ change: (inout RateGoals) -> Void) -> (
    delta: Double, most: Double, mean: Double
  ) {
    var goals = RatePlanTests.goals(1500, gop: 25, predicted: 4...51)
    change(&goals)
    var plan = RatePlan(goals)
    let coded = RatePlanTests.run(&plan, 0..<500, from: 5...58, gop: 25)
    var deltas: [Double] = []
    for key in stride(from: 100, to: 475, by: 25) {
      let others = coded[key - 10..<key].map(\.qp) + coded[key + 1..<key + 11].map(\.qp)
      deltas.append(Double(others.reduce(0, +)) / 20 - Double(coded[key].qp))
    }
    let (most, mean) = RatePlanTests.windows(coded, 25, of: 1500)
    return (deltas.reduce(0, +) / Double(deltas.count), most, mean)
  }

  @Test func keyPicturesAreAsMuchFinerAsAsked() {
    let usual = Self.keysBesideOthers { _ in }
    let coarser = Self.keysBesideOthers { $0.keyDelta = -5 }
    #expect(coarser.delta < usual.delta - 3, "\(coarser) \(usual)")
    #expect(abs(coarser.delta + 5) <= 1.5, "\(coarser)")
    #expect(abs(coarser.mean - 1) <= 0.03)
    // Finer ones as far as a second has room: the rate goes first.
    let finer = Self.keysBesideOthers { $0.keyDelta = 6 }
    #expect(finer.delta > usual.delta - 0.5 && finer.most <= 1.25, "\(finer) \(usual)")
  }

  /// At a distance of two windows key pictures become coarser than their neighbours; the bound holds, and the window pays for it.
  @Test func keyPicturesAreNoCoarserThanTheBoundSays() {
    func run(_ rise: Int) -> (rise: Int, most: Double) {
      var goals = RatePlanTests.goals(400, predicted: 4...51)
      goals.keyRise = rise
      var plan = RatePlan(goals)
      let coded = RatePlanTests.run(&plan, 0..<400, from: 5...58)
      let rises = stride(from: 200, to: 350, by: 50).map { key in
        coded[key].qp - coded[key - 49..<key].map(\.qp).reduce(0, +) / 49
      }
      return (rises.max() ?? 0, RatePlanTests.windows(coded, 25, of: 400).most)
    }
    let (free, held) = (run(RateGoals.usualKeyRise), run(1))
    #expect(held.rise <= 2, "\(held)")
    #expect(free.rise > held.rise + 2, "\(free) \(held)")
    #expect(held.most > free.most + 0.05, "it is paid for by the window: \(free) \(held)")
  }
}
