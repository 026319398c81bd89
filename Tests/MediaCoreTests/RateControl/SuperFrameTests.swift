// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

/// Pictures that come out larger than they may.
@Suite(.ownThread) struct SuperFrameTests {
  struct Outcome {
    var bits: [Double] = []
    var keys: [Int] = []
    var tries = 0
    var discarded: [Int] = []
  }

  /// The recorded pictures as an engine gives them: coded again where that is asked for, and after a discarded one a key picture.
  private static func run(
    _ rules: SuperFrames, kilobits: Double = 1000, gop: Int = 50, count: Int = 300, key: ClosedRange<Int> = 10...51
  ) -> Outcome {
    var goals = RatePlanTests.goals(kilobits, gop: gop, key: key)
    goals.superFrames = rules
    var plan = RatePlan(goals)
    var outcome = Outcome()
    var owesKey = false
    for number in 0..<count {
      let isKey = number % gop == 0 || owesKey
      let picture = 5 + number % 54
      var qp = plan.next(at: Int64(number) * 40_000, isKey: isKey, RecordedCosts.activity(picture)).qp
      while true {
        let bits = RecordedCosts.bits(picture, isKey: isKey, qp: qp)
        let fate = plan.fate(bits: bits)
        owesKey = fate == .discarded
        if case .again(let directive) = fate, let new = directive.qp {
          #expect(isKey && new > qp && key.contains(new), "only key pictures, and coarser")
          outcome.tries += 1
          qp = new
          continue
        }
        if fate == .kept {
          plan.coded(bits: bits)
          outcome.bits.append(bits)
          if isKey { outcome.keys.append(outcome.bits.count - 1) }
        } else {
          outcome.discarded.append(number)
        }
        break
      }
    }
    return outcome
  }

  private static func largestKey(_ outcome: Outcome) -> Double { outcome.keys.map { outcome.bits[$0] }.max() ?? 0 }

  @Test func aKeyPictureThatIsTooLargeIsCodedAgainUntilItIsNot() {
    let free = Self.run(SuperFrames())
    let limit = 0.5 * Self.largestKey(free)
    // The rate has room for them: they stay, unless their size goes first.
    let patient = Self.run(SuperFrames(.reencode, key: limit, reencodes: 3))
    #expect(patient.tries == 0 && Self.largestKey(patient) > limit)
    let strict = Self.run(SuperFrames(.reencode, key: limit, priority: .frameSize, reencodes: 3))
    #expect(strict.tries > 0 && Self.largestKey(strict) <= limit, "\(Self.largestKey(strict)) of \(limit)")
    #expect(strict.discarded.isEmpty && strict.bits.count == free.bits.count)
  }

  @Test func itIsCodedAgainSoOftenAndNotMore() {
    for times in 1...3 {
      // No QP there is makes it so small.
      let none = Self.run(
        SuperFrames(.reencode, key: 1, priority: .frameSize, reencodes: times), count: 1, key: 10...51)
      #expect(none.tries <= times && none.bits.count == 1)
    }
    let held = Self.run(SuperFrames(.reencode, key: 1, priority: .frameSize, reencodes: 3), count: 60, key: 20...20)
    #expect(held.tries == 0, "there is no coarser one")
  }

  /// Their `idr_pic_id` may have been that of the one before.
  @Test func keyPicturesRightAfterAnotherAreCodedOnce() {
    let outcome = Self.run(SuperFrames(.reencode, key: 1000, priority: .frameSize, reencodes: 1), gop: 1, count: 50)
    #expect(outcome.tries <= 1 && outcome.bits.count == 50)
  }

  @Test func aDiscardedPictureIsFollowedByAKeyPictureThatIsKept() {
    let free = Self.run(SuperFrames())
    let others = free.bits.indices.filter { !free.keys.contains($0) }.map { free.bits[$0] }
    let limit = (others.max() ?? 0) * 0.8
    let outcome = Self.run(SuperFrames(.discard, predicted: limit, priority: .frameSize))
    #expect(!outcome.discarded.isEmpty && outcome.bits.count + outcome.discarded.count == 300)
    let large = outcome.bits.indices.filter { !outcome.keys.contains($0) && outcome.bits[$0] > limit }
    #expect(large.allSatisfy { outcome.keys.contains($0 - 1) }, "right after a key picture only")
    var goals = RatePlanTests.goals(1000)
    goals.superFrames = SuperFrames(.discard, predicted: limit, priority: .frameSize)
    var plan = RatePlan(goals)
    _ = plan.next(at: 0, isKey: true, nil)
    #expect(plan.fate(bits: 50_000) == .kept)
    plan.coded(bits: 50_000)
    _ = plan.next(at: 40_000, isKey: false, nil)
    #expect(plan.fate(bits: limit * 2) == .kept, "right after a key picture")
    plan.coded(bits: limit * 2)
    _ = plan.next(at: 80_000, isKey: false, nil)
    let before = plan.window.total - plan.forecast
    #expect(plan.fate(bits: limit) == .kept && plan.fate(bits: limit * 2) == .discarded)
    #expect(abs(plan.window.total - before) < 1, "it is not in the account")
    _ = plan.next(at: 120_000, isKey: true, nil)
    #expect(plan.fate(bits: 1e9) == .kept, "the stream goes on")
  }

  /// What is inside a device cannot be taken back.
  @Test func picturesBehindOthersAreKept() {
    var goals = RatePlanTests.goals(400)
    goals.superFrames = SuperFrames(.reencode, key: 1, priority: .frameSize)
    var plan = RatePlan(goals)
    for number in 0..<2 { _ = plan.next(at: Int64(number) * 40_000, isKey: true, nil) }
    #expect(plan.fate(bits: 1_000_000) == .kept)
  }

  // MARK: through the control

  private final class Held: Encoder, @unchecked Sendable {
    let engine = "held"
    let capabilities: EncoderCapabilities = [.forceType, .perFrameQP, .heldByQP]
    let inputFormats: [PixelFormat] = []
    func submit<Sink: PacketSink & ~Copyable>(
      _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
    ) throws(Failure) {}
    func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool { true }
    func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
  }

  private static func control(_ settings: ObjectSettings) -> (OwnRate, (ObjectSettings) -> EncoderConfiguration) {
    func configuration(_ settings: ObjectSettings) -> EncoderConfiguration {
      EncoderConfiguration(codec: .h264, width: 640, height: 360, format: .i420, frameRate: .thirty, settings: settings)
    }
    let control = OwnRate(
      Held(),
      obeyed: [EngineSetting(.keyQP, live: true, usual: 20), EngineSetting(.predictedQP, live: true, usual: 23)])
    control.configure(configuration(settings))
    return (control, configuration)
  }

  @Test func theControlAsksForAKeyPictureAfterADiscardedOne() {
    let (control, _) = Self.control([
      "bitrate": .integer(400), "gop": .integer(50), "super_frame_mode": .text("discard"),
      "super_p_frame": .integer(20_000), "rc_priority": .text("framebits"),
    ])
    var types: [PictureType?] = []
    for number in 0..<6 {
      let directive = control.directive(wantsKey: false, pts: Int64(number) * 33_333, activity: nil)
      types.append(directive?.type)
      let bytes = number == 3 ? 100_000 : 1000
      guard control.fate(bytes: bytes) == .kept else {
        #expect(number == 3)
        continue
      }
      control.coded(directive?.type ?? .p, isKey: directive?.type == .idr, qp: directive?.qp, bytes: bytes)
    }
    #expect(types == [.idr, nil, nil, nil, .idr, nil])
  }

  /// From the next picture on, and with what pictures cost known.
  @Test func theModeChangesWhileItRuns() {
    let (control, configuration) = Self.control(["rc_mode": .text("fixqp"), "qp_p": .integer(33), "gop": .integer(50)])
    func next(_ number: Int) -> EncodeDirective? {
      let directive = control.directive(wantsKey: false, pts: Int64(number) * 40_000, activity: nil)
      let isKey = directive?.type == .idr
      control.coded(
        isKey ? .idr : .p, isKey: isKey, qp: directive?.qp,
        bytes: Int(RecordedCosts.bits(5 + number % 54, isKey: isKey, qp: directive?.qp ?? 51) / 8))
      return directive
    }
    #expect(control.status == nil)
    let fixed = (0..<100).map { next($0) }
    #expect(fixed.enumerated().allSatisfy { $1?.qp == ($0 % 50 == 0 ? 20 : 33) })
    control.configure(configuration(["rc_mode": .text("cbr"), "bitrate": .integer(1000), "gop": .integer(50)]))
    #expect(control.status?.target == 1_000_000)
    let held = (100..<150).map { next($0) }
    #expect(held[0]?.type == .idr && held[1...].allSatisfy { $0?.type == nil }, "no key picture but that of the group")
    #expect(Set(held.compactMap { $0?.qp }) != [33])
    control.configure(configuration(["rc_mode": .text("fixqp"), "qp_i": .integer(30), "gop": .integer(50)]))
    #expect((150..<200).map { next($0)?.qp } == [30] + Array(repeating: 23, count: 49))
  }

  /// The vendor's `EncGap`: so many in a row at most.
  @Test func noMoreFramesAreLeftOutInARowThanTheGap() {
    func longest(_ gap: Int?) -> (run: Int, all: Int) {
      var goals = RatePlanTests.goals(100, predicted: 10...26)
      goals.lossThreshold = 130_000
      goals.lossGap = gap
      var plan = RatePlan(goals)
      var (run, longest, all) = (0, 0, 0)
      for number in 0..<250 {
        let decision = plan.next(
          at: Int64(number) * 40_000, isKey: number == 0, RecordedCosts.activity(5 + number % 54))
        run = decision.isLeftOut ? run + 1 : 0
        longest = max(longest, run)
        guard !decision.isLeftOut else {
          all += 1
          continue
        }
        plan.coded(bits: RecordedCosts.bits(5 + number % 54, isKey: number == 0, qp: decision.qp))
      }
      return (longest, all)
    }
    #expect(longest(nil).run > 3)
    for gap in [1, 3] { #expect(longest(gap).run == gap && longest(gap).all > 20) }
  }
}
