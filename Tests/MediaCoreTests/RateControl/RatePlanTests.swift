// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@Suite(.ownThread) struct RatePlanTests {
  /// Bits of each picture, and its QP.
  typealias Coded = (bits: Double, qp: Int)

  static func goals(
    _ kilobits: Double, _ mode: EncoderConfiguration.RateMode = .cbr, maximum: Double? = nil, gop: Int = 50,
    predicted: ClosedRange<Int> = 10...51, key: ClosedRange<Int>? = nil
  ) -> RateGoals {
    RateGoals(
      mode: mode, target: kilobits * 1000, maximum: maximum.map { $0 * 1000 }, framesPerSecond: 25, gop: gop,
      pixels: 768 * 576, predicted: predicted, key: key)
  }

  /// The recorded pictures, over and over, 25 a second.
  static func run(
    _ plan: inout RatePlan, _ range: Range<Int>, from pictures: ClosedRange<Int> = 0...149, gop: Int = 50
  ) -> [Coded] {
    range.map { number in
      let picture = pictures.lowerBound + number % pictures.count
      let isKey = number % gop == 0
      let qp = plan.next(at: Int64(number) * 40_000, isKey: isKey, RecordedCosts.activity(picture)).qp
      let bits = RecordedCosts.bits(picture, isKey: isKey, qp: qp)
      plan.coded(bits: bits)
      return (bits, qp)
    }
  }

  /// The most and the mean of windows of so many pictures, as parts of a target in kbps.
  static func windows(_ coded: [Coded], _ count: Int, of kilobits: Double) -> (most: Double, mean: Double) {
    let whole = kilobits * 1000 * Double(count) / 25
    let sums = (0...coded.count - count).map { start in coded[start..<start + count].map(\.bits).reduce(0, +) / whole }
    return (sums.max() ?? 0, coded.map(\.bits).reduce(0, +) / (kilobits * 1000 * Double(coded.count) / 25))
  }

  /// One scene: no second is more than 15 % over, and the mean is met.
  @Test(arguments: [400, 1000, 2000] as [Double], [5...58, 60...117])
  func everySecondOfASceneKeepsToTheTarget(kilobits: Double, pictures: ClosedRange<Int>) {
    var plan = RatePlan(Self.goals(kilobits))
    let coded = Self.run(&plan, 0..<500, from: pictures)
    let (most, mean) = Self.windows(coded, 25, of: kilobits)
    #expect(most <= 1.2, "\(most)")
    #expect(abs(mean - 1) <= 0.03, "\(mean)")
  }

  /// Five hard cuts, one each two seconds.
  @Test(arguments: [400, 1000] as [Double])
  func aCutIsForeseenAndTheSecondOfItStaysBelowAQuarterTooMuch(kilobits: Double) {
    var plan = RatePlan(Self.goals(kilobits))
    let coded = Self.run(&plan, 0..<450)
    let (most, mean) = Self.windows(coded, 25, of: kilobits)
    #expect(most <= 1.35, "\(most)")
    #expect(abs(mean - 1) <= 0.03, "\(mean)")
    // Not knowing what is coming costs more.
    var blind = RatePlan(Self.goals(kilobits))
    let unseen = (0..<450).map { number -> Coded in
      let qp = blind.next(at: Int64(number) * 40_000, isKey: number % 50 == 0, nil).qp
      let bits = RecordedCosts.bits(number % 150, isKey: number % 50 == 0, qp: qp)
      blind.coded(bits: bits)
      return (bits, qp)
    }
    #expect(Self.windows(unseen, 25, of: kilobits).most > most)
  }

  @Test func aStepOfTheTargetIsMetFromTheSecondAfterIt() {
    var plan = RatePlan(Self.goals(500))
    _ = Self.run(&plan, 0..<100, from: 5...58)
    plan.change(Self.goals(4000))
    let up = Self.run(&plan, 100..<200, from: 5...58)
    #expect(up[25..<50].map(\.bits).reduce(0, +) > 0.8 * 4_000_000)
    #expect(up[0..<25].map(\.bits).reduce(0, +) < 1.2 * 4_000_000)
    plan.change(Self.goals(500))
    let down = Self.run(&plan, 200..<300, from: 5...58)
    #expect(down[0..<25].map(\.bits).reduce(0, +) < 1.3 * 500_000)
    #expect(down[25..<50].map(\.bits).reduce(0, +) < 1.2 * 500_000)
  }

  /// Whatever pictures cost and look like, and whatever the limits change to.
  @Test func theQuantiserNeverLeavesItsLimits() {
    var numbers = SystemRandomNumberGenerator()
    for _ in 0..<60 {
      func range() -> ClosedRange<Int> {
        let low = Int.random(in: 0...51, using: &numbers)
        return low...Int.random(in: low...51, using: &numbers)
      }
      let mode = [EncoderConfiguration.RateMode.cbr, .vbr, .avbr].randomElement(using: &numbers) ?? .cbr
      let gop = Int.random(in: 1...80, using: &numbers)
      func goals() -> RateGoals {
        Self.goals(
          Double.random(in: 2...20_000, using: &numbers), mode, gop: gop, predicted: range(), key: range())
      }
      var now = goals()
      var plan = RatePlan(now)
      var time: Int64 = 0
      for number in 0..<300 {
        if Int.random(in: 0..<40, using: &numbers) == 0 {
          now = goals()
          plan.change(now)
        }
        // Time stamps that stand still or go back, too.
        time += Int64.random(in: -50_000...120_000, using: &numbers)
        let isKey = number % gop == 0
        let activity =
          Bool.random(using: &numbers)
          ? nil
          : PictureActivity(
            difference: Double.random(in: 0...255, using: &numbers),
            texture: Double.random(in: 0...255, using: &numbers))
        let qp = plan.next(at: time, isKey: isKey, activity).qp
        #expect((isKey ? now.key : now.predicted).contains(qp))
        switch Int.random(in: 0..<10, using: &numbers) {
        case 0: plan.lost()
        default: plan.coded(bits: Double.random(in: 0...4_000_000, using: &numbers))
        }
      }
    }
  }

  /// What goes over is told, picture by picture.
  @Test func noWindowIsOverdrawnSilently() {
    var plan = RatePlan(Self.goals(400, predicted: 10...24))
    var coded: [Coded] = []
    var expected: UInt64 = 0
    for number in 0..<120 {
      coded += Self.run(&plan, number..<number + 1, from: 5...58)
      if coded.suffix(25).map(\.bits).reduce(0, +) > 1.15 * 400_000 { expected += 1 }
    }
    #expect(plan.overflows == expected && expected > 50)
  }

  @Test(arguments: [EncoderConfiguration.RateMode.vbr, .avbr])
  func aRateThatMayVaryKeepsToItsMaximumInAnyTwoSeconds(mode: EncoderConfiguration.RateMode) {
    var plan = RatePlan(Self.goals(600, mode, maximum: 900))
    let coded = Self.run(&plan, 0..<900)
    #expect(Self.windows(coded, 50, of: 900).most <= 1.05)
    #expect(Self.windows(coded, 25, of: 600).most > 1.2, "it varies")
  }

  /// A picture that does not move is not made ever finer.
  @Test func aStillSceneSavesWithAVBR() {
    func bits(_ mode: EncoderConfiguration.RateMode) -> Double {
      var plan = RatePlan(Self.goals(2000, mode))
      return (0..<500).map { number in
        let isKey = number % 50 == 0
        let activity = PictureActivity(difference: number == 0 ? nil : 0, texture: 6)
        let qp = plan.next(at: Int64(number) * 40_000, isKey: isKey, activity).qp
        // What is already fine costs next to nothing; what is to become finer costs.
        let cost = RecordedCosts.bits(10, isKey: isKey, qp: qp) * (isKey || qp < 22 ? 1 : 0.01)
        plan.coded(bits: cost)
        return cost
      }.reduce(0, +)
    }
    #expect(bits(.avbr) < 0.5 * bits(.cbr))
  }

  /// Pictures that are inside a device count with what is expected of them.
  @Test func whatIsInsideIsCountedAsForecastAndSettledWhenItComes() {
    var plan = RatePlan(Self.goals(400))
    for number in 0..<4 { _ = plan.next(at: Int64(number) * 40_000, isKey: number == 0, nil) }
    #expect(plan.window.pictures == 4 && plan.window.total > 0)
    for _ in 0..<3 { plan.coded(bits: 1000) }
    plan.lost()
    #expect(abs(plan.window.total - 3000) < 1)
    plan.coded(bits: 1_000_000)
    #expect(abs(plan.window.total - 3000) < 1, "nobody asked for that one")
  }

  @Test func withFrameLossTheRateHoldsWhereNoQuantiserHelps() {
    var held = Self.goals(100, predicted: 10...26)
    held.lossThreshold = 130_000
    var plan = RatePlan(held)
    var left = 0
    let bits = (0..<250).map { number -> Double in
      let decision = plan.next(at: Int64(number) * 40_000, isKey: number == 0, RecordedCosts.activity(5 + number % 54))
      if decision.isLeftOut {
        left += 1
        return 0
      }
      let cost = RecordedCosts.bits(5 + number % 54, isKey: number == 0, qp: decision.qp)
      plan.coded(bits: cost)
      return cost
    }
    #expect(left > 50 && left < 250)
    for start in 30..<225 { #expect(bits[start..<start + 25].reduce(0, +) < 1.6 * 130_000) }
  }
}
