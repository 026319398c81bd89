// SPDX-License-Identifier: Apache-2.0
import Reports
import Synchronization

/// How a run has kept its pace, for reports: what its ``FramePace`` counted, told by the thread that owns that.
struct PaceCounters: ~Copyable, Sendable {
  private let slips = Atomic<UInt64>(0)
  private let catchUps = Atomic<UInt64>(0)
  private let lost = Atomic<Int64>(0)

  func take(_ pace: FramePace) {
    slips.store(pace.slips, ordering: .relaxed)
    catchUps.store(pace.catchUps, ordering: .relaxed)
    lost.store(pace.lostAt, ordering: .relaxed)
  }

  /// When it last fell behind its time stamps, CLOCK_MONOTONIC nanoseconds; 0 for never.
  var lostAt: Int64 { lost.load(ordering: .relaxed) }

  /// - Parameter slipping: what a slip of the clock is here.
  func statistics(_ slipping: StaticString) -> [Statistic] {
    [
      Statistic("clock_slips", .counter, slipping, slips.load(ordering: .relaxed)),
      Statistic(
        "catch_ups", .counter, "Times pictures went out late, one right after the other, to catch up.",
        catchUps.load(ordering: .relaxed)),
    ]
  }
}
