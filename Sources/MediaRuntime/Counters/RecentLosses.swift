// SPDX-License-Identifier: Apache-2.0
import Base
import Reports

/// What one node lost in the last seconds, by cause, for `health`. What was left out as asked is no loss.
final class RecentLosses: Sendable {
  /// Seconds that can be looked back, with the one that runs.
  private static let seconds = 12
  /// Of each second: which it is, then a count for each cause.
  private static let width = 1 + DropCause.allCases.count
  private let block = CounterBlock(RecentLosses.seconds * RecentLosses.width)

  deinit { block.free() }

  /// Takes no lock and allocates nothing.
  func note(_ cause: DropCause, at now: Int64) {
    guard cause.isLoss else { return }
    let second = UInt64(max(0, now) / .seconds(1))
    let first = Int(second % UInt64(Self.seconds)) * Self.width
    block.begin()
    if block[first] != second {
      block[first] = second
      for index in 1..<Self.width { block[first + index] = 0 }
    }
    block[first + 1 + cause.index] &+= 1
    block.end()
  }

  /// What was lost in the second that runs and those before it.
  /// - Parameter seconds: at most ten.
  func counts(at now: Int64, seconds: Int) -> DropCounts {
    let second = UInt64(max(0, now) / .seconds(1))
    return block.read { block in
      var sum = DropCounts()
      for slot in 0..<Self.seconds {
        let first = slot * Self.width
        guard block[first] <= second, second &- block[first] <= UInt64(seconds) else { continue }
        for cause in DropCause.allCases { sum[cause] &+= block[first + 1 + cause.index] }
      }
      return sum
    }
  }
}
