// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The two clocks NodeFS needs, in nanoseconds.
enum Clock {
  /// Since 1970, for `stat(2)`.
  static func realtime() -> Int64 { read(CLOCK_REALTIME) }

  /// Since some fixed moment, for deadlines.
  static func monotonic() -> Int64 { read(CLOCK_MONOTONIC) }

  private static func read(_ clock: clockid_t) -> Int64 {
    var now = timespec()
    clock_gettime(clock, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
  }
}

extension Duration {
  /// Whole nanoseconds, clamped to what fits.
  var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return carried ? .max : sum
  }
}
