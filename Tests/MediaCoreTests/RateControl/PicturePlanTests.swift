// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaCore

/// Streams whose pictures all stand alone, on recorded costs.
@Suite(.ownThread) struct PicturePlanTests {
  private typealias Coded = (bits: Double, quality: Int)

  private static func goals(
    _ kilobits: Double, _ mode: EncoderConfiguration.RateMode = .cbr, maximum: Double? = nil, fps: Double = 25,
    factors: ClosedRange<Int> = 1...99, reencodes: Int = 0
  ) -> RateGoals {
    RateGoals(
      mode: mode, target: kilobits * 1000, maximum: maximum.map { $0 * 1000 }, framesPerSecond: fps, gop: 1,
      pixels: 640 * 360, predicted: factors, scale: .quality, reencodes: reencodes)
  }

  /// The recorded pictures of a range to and fro, so that there is no cut where they begin anew.
  private static func run(
    _ plan: inout PicturePlan, _ range: Range<Int>, from pictures: ClosedRange<Int>, interval: Int64 = 40_000
  ) -> [Coded] {
    range.map { number in
      let place = number % (2 * pictures.count)
      let picture = pictures.lowerBound + (place < pictures.count ? place : 2 * pictures.count - 1 - place)
      var activity = RecordedJPEGCosts.activity(picture)
      if place == 0 || picture == pictures.lowerBound { activity.difference = 2 }
      return code(&plan, picture, activity, at: Int64(number) * interval)
    }
  }

  private static func code(
    _ plan: inout PicturePlan, _ picture: Int, _ activity: PictureActivity?, at time: Int64
  ) -> Coded {
    var quality = plan.next(at: time, activity).qp
    while let again = plan.again(bits: RecordedJPEGCosts.bits(picture, quality: quality)) { quality = again }
    let bits = RecordedJPEGCosts.bits(picture, quality: quality)
    plan.coded(bits: bits)
    return (bits, quality)
  }

  /// Every picture of the recording, with its cuts, over and over.
  private static func runAll(_ plan: inout PicturePlan, _ range: Range<Int>) -> [Coded] {
    range.map { number in
      let picture = number % RecordedJPEGCosts.count
      return code(
        &plan, picture,
        number == 0 || picture != 0 ? RecordedJPEGCosts.activity(picture) : PictureActivity(difference: 60, texture: 6),
        at: Int64(number) * 40_000)
    }
  }

  private static func windows(_ coded: [Coded], _ count: Int, of kilobits: Double) -> (most: Double, mean: Double) {
    let whole = kilobits * 1000 * Double(count) / 25
    let sums = (0...coded.count - count).map { start in coded[start..<start + count].map(\.bits).reduce(0, +) / whole }
    return (sums.max() ?? 0, coded.map(\.bits).reduce(0, +) / (kilobits * 1000 * Double(coded.count) / 25))
  }

  @Test(arguments: [4000, 8000] as [Double], [0...38, 40...78, 80...118])
  func everySecondOfASceneKeepsToTheTargetAndTheMeanIsMet(kilobits: Double, pictures: ClosedRange<Int>) {
    var plan = PicturePlan(Self.goals(kilobits))
    let coded = Self.run(&plan, 0..<300, from: pictures)
    let (most, mean) = Self.windows(coded, 25, of: kilobits)
    #expect(most <= 1.1, "\(most)")
    #expect(abs(mean - 1) <= 0.01, "\(mean)")
    #expect(plan.overflows == 0)
  }

  @Test(arguments: [4000, 8000] as [Double]) func cutsAreMetAtOnce(kilobits: Double) {
    var plan = PicturePlan(Self.goals(kilobits))
    let coded = Self.runAll(&plan, 0..<360)
    let (most, mean) = Self.windows(coded, 25, of: kilobits)
    #expect(most <= 1.15, "\(most)")
    #expect(abs(mean - 1) <= 0.01, "\(mean)")
    // The scenes are coded each as well as the rate allows.
    let (street, film) = (coded[20..<38].map(\.quality), coded[60..<78].map(\.quality))
    #expect((film.min() ?? 0) > (street.max() ?? 100))
  }

  @Test func aStepOfTheTargetIsMetByTheNextSecond() {
    var plan = PicturePlan(Self.goals(4000))
    _ = Self.run(&plan, 0..<50, from: 0...38)
    plan.change(Self.goals(12_000))
    let up = Self.run(&plan, 50..<100, from: 0...38)[..<25].map(\.bits).reduce(0, +)
    #expect(abs(up / 12_000_000 - 1) < 0.1, "\(up)")
    plan.change(Self.goals(4000))
    let down = Self.run(&plan, 100..<150, from: 0...38)[..<25].map(\.bits).reduce(0, +)
    #expect(abs(down / 4_000_000 - 1) < 0.1, "\(down)")
  }

  @Test func aRateThatMayVaryKeepsToItsMaximumAndToItsMeanInTheLongRun() {
    var plan = PicturePlan(Self.goals(4000, .vbr, maximum: 6000))
    let coded = Self.runAll(&plan, 0..<1200)
    #expect(Self.windows(coded, 25, of: 6000).most <= 1.05)
    let (most, mean) = Self.windows(coded, 25, of: 4000)
    #expect(most > 1.05, "it varies")
    #expect(abs(mean - 1) <= 0.02, "\(mean)")
  }

  /// Whatever pictures cost and look like, and whatever the limits change to; coded again or not.
  @Test func theQualityNeverLeavesItsLimits() {
    var numbers = SystemRandomNumberGenerator()
    for _ in 0..<60 {
      func goals() -> RateGoals {
        let low = Int.random(in: 1...99, using: &numbers)
        return Self.goals(
          Double.random(in: 2...200_000, using: &numbers), Bool.random(using: &numbers) ? .cbr : .vbr,
          factors: low...Int.random(in: low...99, using: &numbers), reencodes: Int.random(in: 0...3, using: &numbers))
      }
      var now = goals()
      var plan = PicturePlan(now)
      var time: Int64 = 0
      for _ in 0..<300 {
        if Int.random(in: 0..<40, using: &numbers) == 0 {
          now = goals()
          plan.change(now)
        }
        time += Int64.random(in: -50_000...1_200_000, using: &numbers)
        let activity =
          Bool.random(using: &numbers)
          ? nil
          : PictureActivity(
            difference: Double.random(in: 0...255, using: &numbers),
            texture: Double.random(in: 0...255, using: &numbers))
        var quality = plan.next(at: time, activity).qp
        #expect(now.predicted.contains(quality))
        let bits = Double.random(in: 0...8_000_000, using: &numbers)
        var times = 0
        while let again = plan.again(bits: bits) {
          #expect(now.predicted.contains(again) && again < quality, "coarser each time")
          (quality, times) = (again, times + 1)
        }
        #expect(times <= now.reencodes)
        if Int.random(in: 0..<10, using: &numbers) == 0 { plan.lost() } else { plan.coded(bits: bits) }
      }
    }
  }

  /// A picture a second: a cut is a window of its own, and only what is coded again keeps to it.
  @Test(arguments: [0, 1, 2]) func whatCameOutTooLargeIsCodedAgain(reencodes: Int) {
    var plan = PicturePlan(Self.goals(150, fps: 1, reencodes: reencodes))
    // A film, then a street that looks no different to who looks at so few samples.
    let pictures = [Int](repeating: 50, count: 10) + [Int](repeating: 10, count: 10)
    let coded = pictures.enumerated().map { number, picture in
      Self.code(&plan, picture, PictureActivity(difference: 1, texture: 2), at: Int64(number) * 1_000_000)
    }
    let cut = coded[10].bits / 150_000
    #expect(reencodes == 0 ? cut > 1.5 : cut <= 1.15, "\(cut)")
    #expect(plan.reencoded >= (reencodes == 0 ? 0 : 1) && plan.reencoded <= UInt64(reencodes * 2))
    #expect((plan.overflows > 0) == (reencodes == 0))
    // What does not move any more is coded once.
    let before = plan.reencoded
    for number in 20..<30 {
      _ = Self.code(&plan, 10, PictureActivity(difference: 0, texture: 2), at: Int64(number) * 1_000_000)
    }
    #expect(plan.reencoded == before)
  }

  /// What goes over is told, picture by picture.
  @Test func noWindowIsOverdrawnSilently() {
    var plan = PicturePlan(Self.goals(2000, factors: 60...99, reencodes: 3))
    var coded: [Coded] = []
    var expected: UInt64 = 0
    for number in 0..<120 {
      coded += Self.run(&plan, number..<number + 1, from: 0...38)
      if coded.suffix(25).map(\.bits).reduce(0, +) > 1.15 * 2_000_000 { expected += 1 }
    }
    #expect(plan.overflows == expected && expected > 50)
    #expect(coded.allSatisfy { $0.quality >= 60 })
  }

  @Test func withFrameLossTheRateHoldsWhereNoQualityHelps() {
    var held = Self.goals(2000, factors: 60...99)
    held.lossThreshold = 2_600_000
    var plan = PicturePlan(held)
    var left = 0
    let bits = (0..<250).map { number -> Double in
      let decision = plan.next(at: Int64(number) * 40_000, RecordedJPEGCosts.activity(number % 38 + 1))
      guard !decision.isLeftOut else {
        left += 1
        return 0
      }
      let cost = RecordedJPEGCosts.bits(number % 38 + 1, quality: decision.qp)
      plan.coded(bits: cost)
      return cost
    }
    #expect(left > 50 && left < 200, "\(left)")
    for start in 30..<225 { #expect(bits[start..<start + 25].reduce(0, +) < 1.1 * 2_600_000) }
  }
}
