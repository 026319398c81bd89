// SPDX-License-Identifier: Apache-2.0
import Foundation
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct GraphCountersTests {
  @Test func theRateIsThatOfTheLastFullWindowAndIsNotDecayed() {
    let counters = PortCounters(isOutput: false)
    for frame in 0..<60 { _ = counters.count(at: Int64(1 + frame) * 33_333_333) }
    #expect(Int(counters.figures().framesPerSecond.rounded()) == 30)
    // Nothing comes any more: the rate stays.
    #expect(Int(counters.figures().framesPerSecond.rounded()) == 30)
    #expect(counters.figures().frames == 60)
  }

  @Test func beforeTheFirstWindowClosesTheRateIsZero() {
    let counters = PortCounters(isOutput: false)
    for frame in 0..<20 { _ = counters.count(at: Int64(1 + frame) * 33_333_333) }
    #expect(counters.figures().framesPerSecond == 0)
  }

  private final class Shared: Sendable {
    let block = CounterBlock(8)
    let writing = Atomic<Int>(2)
    let torn = Atomic<Int>(0)
    let reads = Atomic<Int>(0)
    deinit { block.free() }

    func write() {
      while reads.load(ordering: .relaxed) < 2_000 {
        block.begin()
        let value = block[0] &+ 1
        for index in 0..<8 { block[index] = value }
        block.end()
        if value & 15 == 0 { sched_yield() }
      }
      writing.subtract(1, ordering: .relaxed)
    }

    func read() {
      while writing.load(ordering: .relaxed) > 0 {
        if !block.read({ block in (0..<8).allSatisfy { block[$0] == block[0] } }) { torn.add(1, ordering: .relaxed) }
        reads.add(1, ordering: .relaxed)
      }
    }
  }

  @Test func aReaderNeverSeesHalfOfAnUpdateOfTwoWriters() throws {
    let shared = Shared()
    let threads = [
      Background("w1") { shared.write() }, Background("w2") { shared.write() },
      Background("r") { shared.read() },
    ]
    for thread in threads { try thread.value }
    #expect(shared.torn.load(ordering: .relaxed) == 0)
    #expect(shared.reads.load(ordering: .relaxed) >= 2_000)
  }

  @Test func aChannelsCountsAreThoseOfAllItsRuns() {
    let counts = RunCounts()
    #expect(counts.statistics.isEmpty)
    let now = Mutex(0)
    counts.begin { [Statistic("units", .counter, "Units.", now.withLock { $0 })] }
    now.withLock { $0 = 3 }
    #expect(counts.statistics.map(\.value) == [3])
    counts.end()
    now.withLock { $0 = 100 }
    #expect(counts.statistics.map(\.value) == [3], "a run that is over counts no more")
    counts.begin { [Statistic("units", .counter, "Units.", 2)] }
    counts.begin { [Statistic("units", .counter, "Units.", 1)] }
    #expect(counts.statistics.map(\.value) == [6])
  }

  @Test func dropsAreCountedByCause() {
    let counters = PortCounters(isOutput: false)
    for cause in DropCause.allCases { counters.drop(cause) }
    counters.drop(.late)
    let dropped = counters.figures().dropped
    #expect(dropped.late == 2)
    #expect(dropped.total == UInt64(DropCause.allCases.count) + 1)
  }
}
