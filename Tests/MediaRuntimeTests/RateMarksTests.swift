// SPDX-License-Identifier: Apache-2.0
import Base
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// The rate of the last second, of made-up times.
@Suite(.ownThread) struct RateMarksTests {
  private static let millisecond = Int64.milliseconds(1)

  /// Frames that come when told, in milliseconds, with their time stamps.
  private static func counters(
    _ times: [(stamp: Int64, at: Int64)], bytes: Int = 0
  ) -> PortCountersBox {
    let box = PortCountersBox()
    for time in times {
      box.counters.countLeaving(at: time.at * millisecond, pts: time.stamp * 1000, bytes: bytes)
    }
    return box
  }

  final class PortCountersBox: Sendable {
    let counters = PortCounters(isOutput: true)
    func rate(at milliseconds: Int64) -> RecentRate? { counters.rate(at: milliseconds * 1_000_000) }
  }

  private static func steady(_ count: Int, every interval: Int64, from first: Int64 = 1000) -> [(Int64, Int64)] {
    (0..<count).map { (first + Int64($0) * interval, first + Int64($0) * interval) }
  }

  @Test(arguments: [1, 5, 8, 20, 40, 100, 500, 1000, 1500] as [Int64])
  func aSteadyStreamHasItsRateFromItsSecondFrame(interval: Int64) {
    for count in [2, 3, 10, 200] {
      let box = Self.counters(Self.steady(count, every: interval), bytes: 125)
      let rate = box.rate(at: 1000 + Int64(count - 1) * interval)
      #expect(abs((rate?.framesPerSecond ?? 0) * Double(interval) - 1000) < 1e-6, "\(count) frames")
      #expect(abs((rate?.bitsPerSecond ?? 0) * Double(interval) - 1_000_000) < 1e-3, "\(count) frames")
    }
  }

  @Test func nothingIsSaidBeforeTheSecondFrameNorOfAnotherRun() {
    let box = PortCountersBox()
    #expect(box.rate(at: 1000) == nil)
    for (stamp, at) in Self.steady(50, every: 40) {
      box.counters.countLeaving(at: at * Self.millisecond, pts: stamp * 1000)
    }
    box.counters.restartRate()
    #expect(box.rate(at: 3000) == nil)
    box.counters.countLeaving(at: 9000 * Self.millisecond, pts: 9_000_000)
    #expect(box.rate(at: 9000) == nil)
    box.counters.countLeaving(at: 9100 * Self.millisecond, pts: 9_100_000)
    #expect(box.rate(at: 9100)?.framesPerSecond == 10)
  }

  /// Frames that a busy machine hands on up to 35 ms late.
  @Test func unevenHandingOnDoesNotChangeTheRate() {
    let late: [Int64] = [0, 35, 3, 20, 34, 0, 12, 35]
    let times = Self.steady(100, every: 40).enumerated().map { ($1.0, $1.1 + late[$0 % late.count]) }
    for count in 50...100 {
      let box = Self.counters(Array(times.prefix(count)))
      #expect(box.rate(at: times[count - 1].1)?.framesPerSecond == 25, "after \(count)")
    }
  }

  @Test func framesThatAreLostAreMissedInIt() {
    let box = Self.counters(Self.steady(100, every: 40).enumerated().filter { $0.offset % 2 == 0 }.map(\.element))
    #expect(box.rate(at: 1000 + 98 * 40)?.framesPerSecond == 12.5)
  }

  @Test func itFallsToZeroWithinTwoSeconds() {
    let last: Int64 = 1000 + 99 * 40
    let box = Self.counters(Self.steady(100, every: 40), bytes: 10)
    #expect(box.rate(at: last + 100)?.framesPerSecond == 25)
    // What came in the last second, less and less of it.
    #expect(box.rate(at: last + 600)?.framesPerSecond == 10)
    #expect(box.rate(at: last + 600)?.bitsPerSecond == 800)
    #expect(box.rate(at: last + 1100) == RecentRate())
    let slow = Self.counters(Self.steady(10, every: 1000))
    #expect(slow.rate(at: 10_000 + 1999)?.framesPerSecond == 1)
    #expect(slow.rate(at: 10_000 + 2001) == RecentRate())
  }

  @Test func aStreamThatGoesOnAfterAStandstillHasTheRateOfSince() {
    let times = Self.steady(50, every: 40) + Self.steady(5, every: 40, from: 60_000)
    #expect(Self.counters(times).rate(at: 60_160)?.framesPerSecond == 25)
  }

  @Test func stampsThatRunAheadOfTheClockAreNotBelieved() {
    // A file at 25 frames/s that is read at 1000.
    let times = (0..<500).map { (1000 + Int64($0) * 40, 1000 + Int64($0)) }
    let rate = Self.counters(times).rate(at: 1499)?.framesPerSecond ?? 0
    #expect(abs(rate - 1000) < 1)
    let unstamped = PortCountersBox()
    for frame in 0..<30 { unstamped.counters.countLeaving(at: Int64(frame) * 100 * Self.millisecond, pts: .min) }
    #expect(unstamped.rate(at: 2900)?.framesPerSecond == 10)
  }

  @Test func theVendorsWindowFollowsTheStampsToo() {
    let counters = PortCounters(isOutput: false)
    // 26 frames, the first of them 40 ms late: by the clock they took 1000 ms, by their stamps 1040.
    for frame in 0..<28 {
      let due = Int64(1000 + frame * 40)
      _ = counters.count(at: (frame == 0 ? due + 39 : due) * Self.millisecond, pts: due * 1000)
    }
    #expect(abs(counters.figures().framesPerSecond - 25) < 1e-9)
  }

  @Test func lossesOfTheLastSecondsAreToldAndForgotten() {
    let losses = RecentLosses()
    let second = Int64.seconds(1)
    losses.note(.queueFull, at: 100 * second)
    for _ in 0..<3 { losses.note(.late, at: 104 * second) }
    losses.note(.frameControl, at: 104 * second)
    var counts = losses.counts(at: 105 * second, seconds: 10)
    #expect(counts.queueFull == 1 && counts.late == 3 && counts.total == 4)
    counts = losses.counts(at: 111 * second, seconds: 10)
    #expect(counts.total == 3)
    #expect(losses.counts(at: 115 * second, seconds: 10).total == 0)
    // The slot of a second long gone is that of another one now.
    losses.note(.noBuffer, at: 124 * second)
    #expect(losses.counts(at: 124 * second, seconds: 10).total == 1)
  }
}
