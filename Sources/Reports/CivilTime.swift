// SPDX-License-Identifier: Apache-2.0

/// A calendar date and time of day, to the second, in the zone the giver says (build times: UTC).
public struct CivilTime: Sendable, Equatable {
  /// Year, four digits.
  public var year: Int
  /// Month, 1-12.
  public var month: Int
  /// Day of the month, 1-31.
  public var day: Int
  /// Hour, 0-23.
  public var hour: Int
  /// Minute, 0-59.
  public var minute: Int
  /// Second, 0-60.
  public var second: Int

  public init(
    year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0
  ) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }
}
