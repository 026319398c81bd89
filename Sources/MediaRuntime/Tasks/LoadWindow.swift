// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Reports

/// The sums of one service over the last while, so that what was done since a moment can be told.
struct LoadWindow {
  /// Samples a window is divided by: what is told is of the window, or of up to so much more of it.
  static let parts: Int64 = 16
  private var samples: Deque<WorkSums> = []

  /// - Parameter first: where the measurement begins.
  init(_ first: WorkSums) { samples.append(first) }

  /// Adds the sums of a later moment, and forgets those that no window of this length reaches back to.
  mutating func add(_ sums: WorkSums, span: Int64) {
    samples.append(sums)
    while samples.count > 1, samples[1].at <= sums.at - span { samples.removeFirst() }
  }

  /// What was done in the window that ends with these sums: from the newest sample that is as old as the window, or from the
  /// first where none is.
  func load(until now: WorkSums, span: Int64) -> ServiceLoad? {
    guard let first = samples.first else { return nil }
    let start = samples.last { $0.at <= now.at - span } ?? first
    guard now.at > start.at else { return nil }
    return ServiceLoad(
      window: now.at - start.at, busy: max(0, now.busy - start.busy), utilised: max(0, now.utilised - start.utilised))
  }
}
