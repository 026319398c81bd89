// SPDX-License-Identifier: Apache-2.0
import Reports
import Synchronization

/// What a channel counted over all its runs. The counters of a source, decoder or display begin at 0 with each run; a
/// channel's never go back while it lives.
final class RunCounts: Sendable {
  private struct State {
    var past: [Statistic] = []
    var run: (@Sendable () -> [Statistic])?

    var sum: [Statistic] {
      guard var sum = run?() else { return past }
      for (index, earlier) in past.enumerated() where index < sum.count { sum[index].value += earlier.value }
      return sum
    }
  }
  private let state = Mutex(State())

  /// Begins a run; what the one before has counted by now is kept.
  /// - Parameter counts: counters only, the same ones in every run.
  func begin(_ counts: @escaping @Sendable () -> [Statistic]) {
    state.withLock { state in
      state.past = state.sum
      state.run = counts
    }
  }

  /// Ends the run and lets go of it.
  func end() {
    state.withLock { state in
      state.past = state.sum
      state.run = nil
    }
  }

  /// Over all runs; empty before the first.
  var statistics: [Statistic] { state.withLock { $0.sum } }
}
