// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The clocks of the runtime. All times inside are nanoseconds of CLOCK_MONOTONIC.
public enum Clock {
  /// CLOCK_MONOTONIC in nanoseconds.
  @inline(__always) public static func now() -> Int64 { read(CLOCK_MONOTONIC) }

  /// CLOCK_REALTIME in microseconds.
  public static func realtimeMicroseconds() -> Int64 { read(CLOCK_REALTIME) / 1000 }

  /// CLOCK_MONOTONIC_RAW in nanoseconds.
  public static func rawNanoseconds() -> Int64 { read(CLOCK_MONOTONIC_RAW) }

  @inline(__always) private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
