// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// CLOCK_MONOTONIC.
func monotonicNanoseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// A point in time some milliseconds from now.
struct Deadline {
  private let end: Int64
  init(_ milliseconds: Int32) { end = monotonicNanoseconds() + Int64(milliseconds) * 1_000_000 }
  /// Milliseconds, rounded up; 0 or below once it is over.
  var left: Int32 { Int32(clamping: (end - monotonicNanoseconds() + 999_999) / 1_000_000) }
}
