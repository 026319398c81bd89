// SPDX-License-Identifier: Apache-2.0

import Reports

/// The info files every object has: `state`, `active`, `stats`.
public enum ObjectPages {
  /// Writes `state`: `stopped`, `running`, `starved` or `failed: why`.
  public static func writeState(_ condition: ObjectCondition, to out: inout TextWriter) {
    writeCondition(condition, to: &out)
    out.newline()
  }

  /// Writes `active`: `key: value` lines.
  public static func writeActive(_ facts: [KeyValue], to out: inout TextWriter) {
    for fact in facts { writeFact(fact, to: &out) }
  }

  /// Writes `stats`: `key: value` lines. `frames_in` = `frames_out` + `dropped` + `in_flight`; `dropped` is the sum of the
  /// `dropped_...` lines. Times are microseconds.
  public static func writeStatistics(_ state: ObjectState, to out: inout TextWriter) {
    for statistic in state.statistics.statistics { writeStatistic(statistic, to: &out) }
    for statistic in state.moreStatistics { writeStatistic(statistic, to: &out) }
  }

  private static func writeStatistic(_ statistic: Statistic, to out: inout TextWriter) {
    guard statistic.places != .onlyMetrics else { return }
    out.word(statistic.key)
    out.text(": ")
    MetricsText.value(statistic.value, to: &out)
    out.newline()
  }

  /// Writes `stopped`, `running`, `starved` or `failed: why`, without a line feed.
  static func writeCondition(_ condition: ObjectCondition, to out: inout TextWriter) {
    switch condition {
    case .stopped: out.text("stopped")
    case .running: out.text("running")
    case .starved: out.text("starved")
    case .failed(let why):
      out.text("failed: ")
      out.line(why)
    }
  }

  private static func writeFact(_ fact: KeyValue, to out: inout TextWriter) {
    out.word(fact.key)
    out.text(": ")
    out.line(fact.value)
    out.newline()
  }
}
