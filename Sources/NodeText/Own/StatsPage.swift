// SPDX-License-Identifier: Apache-2.0

import Reports

/// `stats`: what the object counted, `key: value` lines. `frames_in` = `frames_out` + `dropped` + `in_flight`; `dropped` is
/// the sum of the `dropped_...` lines. Times are microseconds.
///
/// Nothing is listed here: the statistics are those that modules declare, see ``Statistic``.
public enum StatsPage {
  static let page = ObjectPage("stats", capacity: 2048) { write($0, to: &$1) }

  /// Writes the page.
  public static func write(_ state: ObjectState, to out: inout TextWriter) {
    for statistic in state.statistics.statistics { write(statistic, to: &out) }
    for statistic in state.moreStatistics { write(statistic, to: &out) }
  }

  private static func write(_ statistic: Statistic, to out: inout TextWriter) {
    guard statistic.places != .onlyMetrics else { return }
    out.text(statistic.name)
    out.text(": ")
    MetricsText.value(statistic.value, to: &out)
    out.newline()
  }
}
