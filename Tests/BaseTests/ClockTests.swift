// SPDX-License-Identifier: Apache-2.0
import Base
import CPretence
import TestSupport
import Testing

@Suite(.ownThread) struct ClockTests {
  @Test func spansAreNanoseconds() {
    #expect(Int64.seconds(2) == 2_000_000_000)
    #expect(Int64.milliseconds(3) == 3_000_000)
    #expect(Int64.microseconds(4) == 4000)
  }

  @Test func timesInsideDoNotFollowTheWallClock() {
    let before = Clock.now()
    let wall = Clock.realtime()
    pretend_wall_clock_ahead(3600)
    defer { pretend_wall_clock_ahead(0) }
    #expect(Clock.realtime() >= wall + .seconds(3600))
    #expect(Clock.realtimeMicroseconds() >= wall / 1000 + 3_600_000_000)
    #expect((before..<before + .seconds(3000)).contains(Clock.now()))
  }

  @Test func aDurationIsClampedToWhatFits() {
    #expect(Duration.milliseconds(1500).nanoseconds == .milliseconds(1500))
    #expect(Duration.nanoseconds(-1).nanoseconds == -1)
    #expect(Duration.seconds(Int64.max).nanoseconds == .max)
    #expect(Duration.seconds(Int64.min).nanoseconds == .min)
  }
}
