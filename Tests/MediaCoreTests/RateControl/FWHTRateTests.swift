// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaCore

/// The rate control of H.264 with the quantisers of FWHT, on recorded costs.
@Suite(.ownThread) struct FWHTRateTests {
  private static func goals(
    _ kilobits: Double, _ mode: EncoderConfiguration.RateMode = .cbr, range: ClosedRange<Int> = 1...31
  ) -> RateGoals {
    RateGoals(
      mode: mode, target: kilobits * 1000, framesPerSecond: 25, gop: 25, pixels: 640 * 360, predicted: range,
      scale: .threshold)
  }

  private static func run(_ plan: inout RatePlan, _ numbers: Range<Int>, from pictures: ClosedRange<Int>) -> [(
    bits: Double, qp: Int
  )] {
    numbers.map { number in
      let place = number % (2 * pictures.count)
      let picture = pictures.lowerBound + (place < pictures.count ? place : 2 * pictures.count - 1 - place)
      var activity = RecordedFWHTCosts.activity(picture)
      if picture == pictures.lowerBound { activity.difference = 2 }
      let qp = plan.next(at: Int64(number) * 40_000, isKey: number % 25 == 0, activity).qp
      let bits = RecordedFWHTCosts.bits(picture, isKey: number % 25 == 0, quantiser: qp)
      #expect(plan.coded(bits: bits) == qp)
      return (bits, qp)
    }
  }

  /// What the coding can be brought to: a street between 5 and 12, a tree between 8 and 20 megabits.
  @Test(arguments: [(5000.0, 1...29), (9000, 1...29), (9000, 31...59), (15_000, 31...59)])
  func everySecondKeepsToTheTargetAndTheMeanIsMet(kilobits: Double, pictures: ClosedRange<Int>) {
    var plan = RatePlan(Self.goals(kilobits))
    let coded = Self.run(&plan, 0..<500, from: pictures)
    let whole = kilobits * 1000
    let sums = (0...coded.count - 25).map { start in coded[start..<start + 25].map(\.bits).reduce(0, +) / whole }
    let mean = coded.map(\.bits).reduce(0, +) / (whole * 20)
    #expect(abs(mean - 1) <= 0.02, "\(mean)")
    #expect((sums.max() ?? 9) <= 1.2, "\(sums.max() ?? 9)")
  }

  @Test func aStepIsMetFromTheSecondAfterIt() {
    var plan = RatePlan(Self.goals(8000))
    _ = Self.run(&plan, 0..<100, from: 31...59)
    plan.change(Self.goals(16_000))
    let up = Self.run(&plan, 100..<150, from: 31...59)
    let (above, below) = (13_600_000.0, 18_400_000.0)
    #expect((above...below).contains(up[25...].map(\.bits).reduce(0, +)))
    plan.change(Self.goals(8000))
    let down = Self.run(&plan, 150..<200, from: 31...59)
    #expect((above / 2...below / 2).contains(down[25...].map(\.bits).reduce(0, +)))
  }

  /// Noise, which nothing predicts and the quantiser hits harder than anything: what the guest tier has a real driver code.
  @Test func noiseIsHeldToo() {
    let kilobits = [(4, 919.0), (6, 719), (8, 556), (10, 428), (12, 336), (15, 244), (20, 160), (28, 105), (31, 99)]
    func bits(_ qp: Int) -> Double {
      let above = max(1, kilobits.firstIndex { $0.0 >= qp } ?? kilobits.count - 1)
      let (low, high) = (kilobits[above - 1], kilobits[above])
      return 1000 * (low.1 + (high.1 - low.1) * Double(max(0, qp - low.0)) / Double(high.0 - low.0))
    }
    var goals = Self.goals(12_800)
    (goals.gop, goals.pixels) = (8, 320 * 240)
    var plan = RatePlan(goals)
    let coded = (0..<125).map { number in
      let cost = bits(plan.next(at: Int64(number) * 40_000, isKey: number % 8 == 0, nil).qp)
      plan.coded(bits: cost)
      return cost
    }
    let seconds = stride(from: 50, to: 125, by: 25).map { coded[$0..<$0 + 25].reduce(0, +) / 12_800_000 }
    #expect(seconds.allSatisfy { abs($0 - 1) <= 0.05 }, "\(seconds)")
  }

  @Test func theBoundsAreKeptAndWhatGoesOverIsTold() {
    var plan = RatePlan(Self.goals(2000, range: 4...20))
    let coded = Self.run(&plan, 0..<100, from: 1...29)
    #expect(coded.allSatisfy { (4...20).contains($0.qp) })
    #expect(plan.overflows > 50)
  }
}
