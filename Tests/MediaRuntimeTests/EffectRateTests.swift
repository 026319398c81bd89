// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// What the bounds of a rate control are held to by `effect`.
@Suite(.ownThread) struct EffectRateTests {
  private static func goals(_ change: (inout RateGoals) -> Void = { _ in }) -> RateGoals {
    var goals = RateGoals(
      mode: .vbr, target: 400_000, maximum: 600_000, framesPerSecond: 25, gop: 25, pixels: 640 * 360,
      predicted: 10...40, key: 12...38)
    change(&goals)
    return goals
  }

  /// A change, and the pictures after it: 25 a second, a key picture each second.
  private func record(
    _ key: String, _ measure: EffectRule.Measure, wanted: Double, tolerance: Double = 0, goals: RateGoals? = goals(),
    count: Int = 200, qp: Int = 30, lostEachTen lost: Int = 0, bytes: (Int) -> Int
  ) -> EffectRecord? {
    let tracker = EffectTracker(path: "venc/0")
    var change = EffectChange(key: key, old: "1", new: "2", measure: measure, wanted: wanted)
    change.goals = goals
    change.tolerance = tolerance
    change.bounds = QuantiserBounds(lowest: 10, highest: 40)
    tracker.add(change)
    for number in 0..<count {
      tracker.picture(
        CodedPicture(type: .p, qp: qp, isKey: number % 25 == 0), bytes: bytes(number), pts: Int64(number) * 40_000,
        leftOut: UInt64(7 + number / 10 * lost))
    }
    return tracker.records.last
  }

  /// Each where it belongs: they share a block of numbered counters.
  @Test func whatTheControlDoesIsCountedApart() {
    let counters = EncoderCounters()
    counters.takenBack(.again(EncodeDirective(type: .idr, qp: 40)))
    for _ in 0..<2 { counters.takenBack(.discarded) }
    for _ in 0..<3 { counters.leftOut() }
    for number in 0..<4 {
      counters.coded(CodedPicture(recoversAfter: 5), bytes: 100, pts: Int64(number), at: Int64(number))
    }
    let figures = counters.figures()
    #expect(figures.reencoded == 1 && figures.discarded == 2)
    #expect(figures.leftOut == 3 && figures.leftOutInARow == 3 && counters.framesLeftOut == 3)
    #expect(figures.recoveryPoints == 4 && figures.keys == 0 && figures.pictures == 4)
  }

  /// An engine of a starved machine gives nothing for 0.7 s and then what there is. By the clock, windows would be of other lengths.
  @Test func ratesAreTheStreamsHoweverUnevenlyItsPicturesCome() {
    let counters = EncoderCounters()
    let second = Int64.seconds(1)
    // 25 pictures a second, of which each 26 of 1.04 s weigh more than the 26 before.
    for number in 0..<105 {
      let stamp = 100 * second + Int64(number) * 40_000_000
      let burst = Int64.milliseconds(700)
      let at = (stamp + burst - 1) / burst * burst
      counters.coded(CodedPicture(type: .p), bytes: 1000 * (1 + number / 26), pts: stamp / 1000, at: at)
      let figures = counters.figures(at: at)
      guard number >= 52 else { continue }
      #expect(figures.picturesPerSecond == 25, "after \(number)")
      #expect(figures.bitsPerSecond == 200_000 * (number / 26), "after \(number)")
      #expect(figures.previousBitsPerSecond == 200_000 * (number / 26 - 1), "after \(number)")
    }
    let last = 105 * second
    #expect(counters.figures(at: last).picturesPerSecond == 25)
    #expect(counters.figures(at: last + second + second / 10).picturesPerSecond == 0)
  }

  @Test func aMaximumIsHeldAgainstTheWorstSecondSinceTheChange() {
    // 25 pictures of 2500 bytes are 500 kbps. What costs more stands where no whole second is, or in the second that counts.
    let calm = record("max_bitrate", .peakRate, wanted: 600, tolerance: 0.05) { _ in 2500 }
    #expect(calm?.verdict == .effective && calm?.measured == "500" && calm?.unit == "kbps at most")
    let over = record("max_bitrate", .peakRate, wanted: 600, tolerance: 0.05) { $0 % 25 == 10 ? 20_000 : 2500 }
    #expect(over?.verdict == .noEffect && over?.measured == "640")
    // The tries are one after the other: what went over at first only is met.
    let settles = record("max_bitrate", .peakRate, wanted: 600, tolerance: 0.05) { $0 == 40 ? 20_000 : 2500 }
    #expect(settles?.verdict == .effective && settles?.measured == "500")
    let coarse = record("max_bitrate", .peakRate, wanted: 600, tolerance: 0.05, qp: 40) {
      $0 % 25 == 10 ? 20_000 : 2500
    }
    #expect(coarse?.verdict == .limited(.maxQP) && coarse?.quantisers == "qp=40")
    #expect(record("max_bitrate", .peakRate, wanted: 600, count: 49) { _ in 2500 }?.verdict == .pending)
  }

  @Test func aWindowIsAsLongAsStatTimeSays() {
    // Each other second has 700 kbps, the others 100: 400 in any two seconds.
    func bytes(_ number: Int) -> Int { number / 25 % 2 == 0 ? 3500 : 500 }
    let long = record(
      "stat_time", .peakRate, wanted: 400, tolerance: 0.25, goals: Self.goals { $0.window = 2 }, count: 400,
      bytes: bytes)
    #expect(long?.verdict == .effective && long?.measured == "400")
    let short = record("stat_time", .peakRate, wanted: 400, tolerance: 0.25, count: 400, bytes: bytes)
    #expect(short?.verdict == .noEffect && short?.measured == "700")
  }

  @Test func framesLeftOutAreCountedBetweenTwoPictures() {
    let none = record("lost_mode", .lossRun, wanted: 0) { _ in 1000 }
    #expect(none?.verdict == .effective && none?.measured == "0" && none?.unit == "frames left out in a row")
    let two = record("enc_gap", .lossRun, wanted: 2, lostEachTen: 2) { _ in 1000 }
    #expect(two?.verdict == .effective && two?.measured == "2")
    let three = record("enc_gap", .lossRun, wanted: 2, lostEachTen: 3) { _ in 1000 }
    #expect(three?.verdict == .noEffect && three?.measured == "3")
  }

  @Test func aRatioOfKeyPicturesIsThatOfTheGroupTheyBegin() {
    func ratio(_ times: Int, isLeast: Bool, qp: Int = 30, size: Int = 1000) -> EffectRecord? {
      record(
        isLeast ? "min_iprop" : "max_iprop", .keyRatio(isLeast: isLeast), wanted: 8, tolerance: 0.25, qp: qp
      ) { $0 % 25 == 0 ? times * size : size }
    }
    #expect(ratio(10, isLeast: false)?.verdict == .effective && ratio(10, isLeast: false)?.measured == "10.0")
    #expect(ratio(11, isLeast: false)?.verdict == .noEffect)
    #expect(ratio(11, isLeast: false, qp: 38)?.verdict == .limited(.maxQP))
    #expect(ratio(6, isLeast: true)?.verdict == .effective && ratio(5, isLeast: true)?.verdict == .noEffect)
    #expect(ratio(5, isLeast: true, qp: 12)?.verdict == .limited(.minQP))
    // Pictures that cost nothing are no measure: 0.3 of a picture's share of 400 kbps are 600 bytes.
    #expect(ratio(11, isLeast: false, size: 500)?.verdict == .limited(.simplePicture))
  }

  @Test func sizesAreTheLargestOfWholeGroupsAndWhatLetsThemPassIsNamed() {
    func sizes(
      _ key: String, _ rules: SuperFrames, qp: Int = 30, keyBytes: Int = 9000, bytes: Int = 1000
    ) -> EffectRecord? {
      record(key, .largest, wanted: 1, goals: Self.goals { $0.superFrames = rules }, qp: qp) {
        // The picture of before the change says nothing.
        $0 % 25 == 0 ? keyBytes : $0 < 25 ? 1000 : bytes
      }
    }
    let strict = SuperFrames(.reencode, key: 80_000, predicted: 16_000, priority: .frameSize)
    let key = sizes("super_i_frame", strict, keyBytes: 10_000)
    #expect(key?.verdict == .effective && key?.measured == "80000" && key?.unit == "bits at most")
    #expect(sizes("super_i_frame", strict, keyBytes: 10_001)?.verdict == .limited(.reencodes))
    #expect(sizes("super_i_frame", strict, qp: 38, keyBytes: 10_001)?.verdict == .limited(.maxQP))
    #expect(sizes("super_p_frame", strict, bytes: 2001)?.verdict == .limited(.engine), "others are coded once")
    #expect(sizes("super_frame_mode", strict)?.measured == "72000 for key pictures and 8000 for others")
    let patient = SuperFrames(.discard, key: 80_000, predicted: 16_000)
    #expect(sizes("super_p_frame", patient, bytes: 2001)?.verdict == .limited(.ratePriority))
    let deaf = SuperFrames(.discard, key: 80_000, predicted: 16_000, priority: .frameSize)
    #expect(sizes("super_p_frame", deaf, bytes: 2001)?.verdict == .noEffect)
    #expect(sizes("super_p_frame", deaf, bytes: 2000)?.verdict == .effective)
  }

  /// A bound, and then another one that explains it: both ways round the same is said.
  @Test func whatIsStillLookedForIsHeldAgainstWhatIsInForce() throws {
    let tracker = EffectTracker(path: "venc/0")
    func change(_ wanted: Double, _ maximum: Double) -> EffectChange {
      var change = EffectChange(key: "max_bitrate", old: "1", new: "2", measure: .peakRate, wanted: wanted)
      change.goals = Self.goals { $0.maximum = maximum }
      return change
    }
    func pictures(_ range: Range<Int>, _ bytes: Int) {
      for number in range {
        tracker.picture(
          CodedPicture(type: .p, qp: 30, isKey: number % 25 == 0), bytes: bytes, pts: Int64(number) * 40_000)
      }
    }
    tracker.add(change(600, 600_000))
    pictures(0..<40, 5000)
    #expect(tracker.pendingKeys == ["max_bitrate"])
    tracker.look(for: change(1200, 1_200_000), inPlaceOf: "max_bitrate")
    pictures(40..<200, 5000)
    #expect(tracker.records.last?.verdict == .effective && tracker.records.last?.measured == "1000")
    #expect(tracker.pendingKeys.isEmpty)
    // What other settings have put out of use is not judged.
    tracker.add(change(600, 600_000))
    tracker.look(for: nil, inPlaceOf: "max_bitrate")
    pictures(200..<400, 5000)
    #expect(tracker.records.last?.verdict == .pending && tracker.records.last?.measured?.contains("replaced") == true)
    // Nor what was set back.
    tracker.add(change(600, 600_000))
    tracker.addSettled(key: "max_bitrate", old: "2", new: "1", measured: "no bound")
    pictures(400..<600, 5000)
    #expect(tracker.records.suffix(2).map(\.verdict) == [.pending, .effective])
  }

  /// A picture that stays because the one before it was left out is not what the bound is about.
  @Test func whatFollowsADiscardedPictureDoesNotCountAgainstTheBound() {
    let goals = Self.goals { $0.superFrames = SuperFrames(.discard, predicted: 20_000, priority: .frameSize) }
    // Each tenth frame is discarded, and the key picture in its place is large.
    let line = record("super_frame_mode", .largest, wanted: 1, goals: goals, lostEachTen: 1) { number in
      number % 10 == 0 ? 9000 : 2000
    }
    #expect(line?.verdict == .effective, "\(line as Any)")
    #expect(line?.unit?.contains("left out") ?? false, "\(line as Any)")
    let over = record("super_frame_mode", .largest, wanted: 1, goals: goals) { $0 % 10 == 5 ? 9000 : 2000 }
    #expect(over?.verdict == .noEffect, "\(over as Any)")
  }
}
