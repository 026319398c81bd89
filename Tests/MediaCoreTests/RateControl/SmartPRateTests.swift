// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

/// Groups that begin with a picture predicted from a background: it costs nearly what a key picture does.
@Suite(.ownThread) struct SmartPRateTests {
  private static func run(_ kilobits: Double, foreseen: Bool) -> (most: Double, mean: Double) {
    var goals = RatePlanTests.goals(kilobits, gop: 50)
    goals.hasHeads = foreseen
    if !foreseen { goals.gop = 500 }
    var plan = RatePlan(goals)
    let coded = (0..<500).map { number -> RatePlanTests.Coded in
      let picture = 5 + number % 54
      let (isKey, isHead) = (number % 500 == 0, number % 50 == 0 && number % 500 != 0)
      let qp = plan.next(
        at: Int64(number) * 40_000, isKey: isKey, isHead: foreseen && isHead, RecordedCosts.activity(picture)
      ).qp
      // The background has moved on since: nine tenths of what it costs alone.
      let alone = RecordedCosts.bits(picture, isKey: true, qp: qp)
      let bits = isKey ? alone : isHead ? 0.9 * alone : RecordedCosts.bits(picture, isKey: false, qp: qp)
      plan.coded(bits: bits)
      return (bits, qp)
    }
    return RatePlanTests.windows(Array(coded.dropFirst(50)), 25, of: kilobits)
  }

  @Test(arguments: [400, 1000] as [Double]) func theWindowIsKeptOverTheirBeginnings(kilobits: Double) {
    let (most, mean) = Self.run(kilobits, foreseen: true)
    #expect(most <= 1.25, "\(most)")
    #expect(abs(mean - 1) <= 0.03, "\(mean)")
    // Not knowing of them costs far more.
    #expect(Self.run(kilobits, foreseen: false).most > most + 0.2)
  }

  /// Key pictures that are kept small leave bits, which the others get.
  @Test func theMeanIsMetWhereKeyPicturesMayNotBeLarge() {
    var goals = RatePlanTests.goals(800, gop: 20)
    goals.superFrames = SuperFrames(.reencode, key: 60_000, priority: .frameSize, reencodes: 3)
    var plan = RatePlan(goals)
    var total = 0.0
    for number in 0..<400 {
      let (picture, isKey) = (5 + number % 54, number % 20 == 0)
      var qp = plan.next(at: Int64(number) * 40_000, isKey: isKey, RecordedCosts.activity(picture)).qp
      var bits = RecordedCosts.bits(picture, isKey: isKey, qp: qp)
      while case .again(let directive) = plan.fate(bits: bits) {
        qp = directive.qp ?? qp
        bits = RecordedCosts.bits(picture, isKey: isKey, qp: qp)
      }
      plan.coded(bits: bits)
      if number >= 100 { total += bits }
    }
    #expect(abs(total / (800_000 * 300 / 25) - 1) <= 0.06, "\(total / (800_000 * 300 / 25))")
  }
}
