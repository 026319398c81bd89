// SPDX-License-Identifier: Apache-2.0
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct VdecPaceTests {
  @Test func picturesAreDueAtTheirTimesAfterTheFirst() {
    var pace = FramePace()
    #expect(pace.judge(0, at: 5_000_000_000, hasWaited: false) == .now)
    #expect(pace.judge(40_000, at: 5_010_000_000, hasWaited: false) == .due(5_040_000_000))
    #expect(pace.presentation(40_000) == 5_040_000)
    // A little late: at once, and the next is where it was.
    #expect(pace.judge(80_000, at: 5_200_000_000, hasWaited: false) == .now)
    #expect(pace.judge(400_000, at: 5_210_000_000, hasWaited: false) == .due(5_400_000_000))
  }

  @Test func whatIsMuchTooLateIsLeftOutAndThenTheClockSlips() {
    var pace = FramePace()
    _ = pace.judge(0, at: 0, hasWaited: false)
    for number in 1...FramePace.patience {
      #expect(pace.judge(Int64(number) * 1000, at: 2_000_000_000, hasWaited: false) == .leaveOut)
    }
    #expect(pace.judge(6000, at: 2_000_000_000, hasWaited: false) == .now)
    #expect(pace.slips == 1)
    #expect(pace.judge(46_000, at: 2_000_000_000, hasWaited: false) == .due(2_040_000_000))
  }

  @Test func whoHadToWaitForInputLosesNothing() {
    var pace = FramePace()
    _ = pace.judge(0, at: 0, hasWaited: false)
    #expect(pace.judge(40_000, at: 3_000_000_000, hasWaited: true) == .now)
    #expect(pace.judge(80_000, at: 3_000_000_000, hasWaited: false) == .due(3_040_000_000))
    #expect(pace.slips == 0)
  }

  @Test func noTimeIsTooFarToJudge() {
    let times: [Int64] = [.min, .min / 1000, -1, 0, 1, 20_000_000_000_000_000, .max / 1000, .max]
    for first in times {
      for second in times {
        var pace = FramePace()
        #expect(pace.judge(first, at: 5_000_000_000, hasWaited: false) == .now)
        let verdict = pace.judge(second, at: 5_000_000_000, hasWaited: false)
        if second > first, case .due(let due) = verdict { #expect(due > 5_000_000_000) }
        #expect(pace.presentation(second) >= pace.presentation(min(first, second)))
        pace.set(second, at: 6_000_000_000)
        #expect(pace.presentation(second) <= 6_000_000)
      }
    }
  }

  @Test func aChannelsPicturesKeepTheirPaceWhereTheStampsLeap() throws {
    let rate = try #require(FrameRate(25))
    var work = VdecWork(codec: .h264, asked: nil, assumed: rate)
    let leaps: [Int64?] = [0, 40_000, 20_000_000_000_000_000, nil, 20_000_000_000_080_000, 0, 40_000, .max]
    var given: [Int64] = []
    for pass in 0..<2 {
      if pass > 0 { work.beginPass() }
      given += leaps.map { work.time(of: UnitLedger.Unit(pts: $0, duration: 0, takenAt: 0)) }
      // Two pictures of one unit.
      given.append(work.time(of: nil))
    }
    #expect(given == (0..<18).map { $0 * 40_000 })
  }
}
