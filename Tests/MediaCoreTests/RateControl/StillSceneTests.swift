// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

/// A scene in which nothing moves, as an engine codes it: what is as fine as the picture before costs next to nothing, what is to become
/// finer costs nearly what it would alone.
@Suite(.ownThread) struct StillSceneTests {
  private struct Scene {
    var plan: RatePlan
    var number = 0
    private var reference = 51

    /// Some engines repeat what has not changed whatever quantiser they are told.
    private let refines: Bool

    init(_ kilobits: Double, _ mode: EncoderConfiguration.RateMode, gop: Int = 50, refines: Bool = true) {
      self.refines = refines
      plan = RatePlan(RatePlanTests.goals(kilobits, mode, gop: gop))
    }

    mutating func picture(gop: Int = 50) -> RatePlanTests.Coded {
      let isKey = number % gop == 0
      let activity = PictureActivity(difference: number == 0 ? nil : 0, texture: 6)
      let qp = plan.next(at: Int64(number) * 40_000, isKey: isKey, activity).qp
      let alone = RecordedCosts.bits(10, isKey: true, qp: qp)
      let bits = isKey ? alone : qp >= reference || !refines ? 200 : 0.7 * alone * Double(reference - qp) / 6
      reference = isKey ? qp : min(qp, reference)
      plan.coded(bits: bits)
      number += 1
      return (bits, qp)
    }

    mutating func moving(_ picture: Int) -> RatePlanTests.Coded {
      let qp = plan.next(at: Int64(number) * 40_000, isKey: false, RecordedCosts.activity(picture)).qp
      let bits = RecordedCosts.bits(picture, isKey: false, qp: qp)
      plan.coded(bits: bits)
      number += 1
      return (bits, qp)
    }
  }

  @Test(arguments: [400, 1000, 2000] as [Double])
  func aStillSceneIsHeldAtOneQuantiserAndCostsAThirdAtMost(kilobits: Double) {
    var scene = Scene(kilobits, .avbr)
    _ = (0..<100).map { _ in scene.picture() }
    let coded = (0..<500).map { _ in scene.picture() }
    #expect(Set(coded.map(\.qp)).count == 1, "key pictures too: \(Set(coded.map(\.qp)))")
    #expect(coded[0].qp >= Int(RatePlan.stillQP))
    let all = coded.map(\.bits).reduce(0, +)
    let share = all / (kilobits * 20_000)
    #expect(share < 0.37, "\(share)")
  }

  /// A longer group pays for a finer picture.
  @Test func withLongGroupsItCostsLittleAndIsFine() {
    var scene = Scene(400, .avbr, gop: 250)
    _ = (0..<250).map { _ in scene.picture(gop: 250) }
    let coded = (0..<750).map { _ in scene.picture(gop: 250) }
    #expect(coded.allSatisfy { $0.qp == Int(RatePlan.stillQP) })
    let all = coded.map(\.bits).reduce(0, +)
    #expect(all < 1_800_000, "15 % of 400 kbps in 30 s: \(all)")
  }

  /// What got as fine as can be would cost a key picture of more than a whole second.
  @Test(arguments: [400, 1000] as [Double], [true, false])
  func itsKeyPicturesDoNotOverdrawTheWindow(kilobits: Double, refines: Bool) {
    var scene = Scene(kilobits, .cbr, refines: refines)
    let coded = (0..<500).map { _ in scene.picture() }
    #expect(RatePlanTests.windows(coded, 25, of: kilobits).most <= 1.25)
  }

  /// It got as fine as can be, and what moves costs there many times of what it may.
  @Test(arguments: [400, 1000] as [Double])
  func whatMovesAgainDoesNotOverdrawTheWindow(kilobits: Double) {
    var scene = Scene(kilobits, .cbr, refines: false)
    let coded = (0..<120).map { _ in scene.picture() } + (5...58).map { scene.moving($0) }
    #expect(coded[119].qp == 10)
    #expect(RatePlanTests.windows(coded, 25, of: kilobits).most <= 1.5)
  }

  /// The second picture of motion is about as fine as where it never stood still.
  @Test(arguments: [400, 1000] as [Double])
  func fullQualityIsBackWithinTwoPicturesOfMotion(kilobits: Double) {
    var scene = Scene(kilobits, .avbr)
    _ = (0..<120).map { _ in scene.picture() }
    let woken = (5...30).map { scene.moving($0).qp }
    var always = RatePlan(RatePlanTests.goals(kilobits))
    let usual = RatePlanTests.run(&always, 0..<200, from: 5...58)[100...].map(\.qp)
    let mean = usual.reduce(0, +) / usual.count
    #expect(woken[1] <= mean + 2, "\(woken) and \(mean)")
  }
}
