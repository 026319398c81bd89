// SPDX-License-Identifier: Apache-2.0

/// Both clocks, read together, so that kernel logs (monotonic) and other machines (realtime) can be lined up.
public struct ClockReading: Sendable, Equatable {
  /// CLOCK_MONOTONIC, microseconds since the machine started.
  public var monotonicMicroseconds: Int64
  /// CLOCK_REALTIME, microseconds since 1970-01-01 UTC.
  public var realtimeMicroseconds: Int64

  public init(
    monotonicMicroseconds: Int64, realtimeMicroseconds: Int64
  ) {
    self.monotonicMicroseconds = monotonicMicroseconds
    self.realtimeMicroseconds = realtimeMicroseconds
  }
}
