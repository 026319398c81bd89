// SPDX-License-Identifier: Apache-2.0
internal import Reports

/// Totals over time: the last seconds, and minutes for a day. As large from the start as it ever gets.
struct MemoryHistory {
  static let seconds = 300
  static let minutes = 1440

  private(set) var recent = Ring(limit: Self.seconds)
  private(set) var long = Ring(limit: Self.minutes)

  /// A fixed number of moments, the oldest given up for the newest.
  struct Ring {
    private var kept: [MemoryMoment] = []
    private var oldest = 0
    private let limit: Int

    init(limit: Int) {
      self.limit = limit
      kept.reserveCapacity(limit)
    }

    var inOrder: [MemoryMoment] { Array(kept[oldest...] + kept[..<oldest]) }

    /// What was seen belongs to the moment that began at `second`, which is the newest or comes now.
    mutating func note(_ second: Int64, _ bytes: UInt64, _ count: Int) {
      let newest = (oldest + kept.count - 1) % max(1, kept.count)
      if !kept.isEmpty, kept[newest].second >= second {
        kept[newest].bytes = bytes
        kept[newest].most = max(kept[newest].most, bytes)
        kept[newest].least = min(kept[newest].least, bytes)
        kept[newest].count = count
        return
      }
      let moment = MemoryMoment(second: second, bytes: bytes, most: bytes, least: bytes, count: count)
      if kept.count < limit {
        kept.append(moment)
      } else {
        kept[oldest] = moment
        oldest = (oldest + 1) % limit
      }
    }
  }

  /// - Parameter second: CLOCK_MONOTONIC.
  mutating func note(second: Int64, bytes: UInt64, count: Int) {
    recent.note(second, bytes, count)
    long.note(second - second % 60, bytes, count)
  }
}
