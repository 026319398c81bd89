// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// The clocks of the house, each in nanoseconds. Times inside are of CLOCK_MONOTONIC, which nobody sets; what people read
/// is of CLOCK_REALTIME.
public enum Clock {
  /// CLOCK_MONOTONIC.
  @inlinable @inline(__always) public static func now() -> Int64 { read(CLOCK_MONOTONIC) }

  /// CLOCK_REALTIME, since 1970.
  @inlinable public static func realtime() -> Int64 { read(CLOCK_REALTIME) }

  /// CLOCK_REALTIME, since 1970, in microseconds.
  @inlinable public static func realtimeMicroseconds() -> Int64 { realtime() / 1000 }

  /// CLOCK_MONOTONIC_RAW, which time synchronisation does not slew either.
  @inlinable public static func rawNanoseconds() -> Int64 { read(CLOCK_MONOTONIC_RAW) }

  @inlinable @inline(__always) static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * .seconds(1) + Int64(time.tv_nsec)
  }
}

/// Spans of time as the frame path has them: nanoseconds in one word. `Duration` has two, and its arithmetic is a call.
extension Int64 {
  /// So many seconds in nanoseconds.
  @inlinable @inline(__always) public static func seconds(_ count: Int64) -> Int64 { count * 1_000_000_000 }

  /// So many milliseconds in nanoseconds.
  @inlinable @inline(__always) public static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }

  /// So many microseconds in nanoseconds.
  @inlinable @inline(__always) public static func microseconds(_ count: Int64) -> Int64 { count * 1000 }
}

extension Duration {
  /// Whole nanoseconds, clamped to what fits.
  public var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: .seconds(1))
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, carried) = product.addingReportingOverflow(attoseconds / .seconds(1))
    return carried ? .max : sum
  }
}
