// SPDX-License-Identifier: Apache-2.0

import Reports

/// The info files every object has: `state`, `active`, `stats`.
public enum ObjectPages {
  /// Writes `state`: `stopped`, `running`, `starved`, `waiting for X` or `failed: why`.
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
    let counts = state.statistics
    line("created_us", counts.createdMicroseconds, to: &out)
    line("generation", counts.generation, to: &out)
    line("frames_in", counts.framesIn, to: &out)
    line("frames_out", counts.framesOut, to: &out)
    line("dropped", counts.dropped.total, to: &out)
    for cause in DropCause.allCases {
      out.text("dropped_")
      out.string(cause.rawValue)
      out.text(": ")
      out.number(counts.dropped[cause])
      out.newline()
    }
    line("in_flight", counts.inFlight, to: &out)
    line("queue_depth", counts.queueDepth, to: &out)
    line("queue_capacity", counts.queueCapacity, to: &out)
    line("time_last_us", counts.lastMicroseconds, to: &out)
    line("time_mean_us", counts.meanMicroseconds, to: &out)
    line("time_max_us", counts.maximumMicroseconds, to: &out)
    if let bytes = counts.bytesOut { line("bytes_out", bytes, to: &out) }
    line("bytes_copied", counts.bytesCopied, to: &out)
    for fact in state.moreStatistics { writeFact(fact, to: &out) }
  }

  /// Writes `stopped`, `running`, `starved` or `failed: why`, without a line feed.
  static func writeCondition(_ condition: ObjectCondition, to out: inout TextWriter) {
    switch condition {
    case .stopped: out.text("stopped")
    case .running: out.text("running")
    case .starved: out.text("starved")
    case .waiting(let what):
      out.text("waiting for ")
      out.line(what)
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

  private static func line(_ key: StaticString, _ value: some BinaryInteger, to out: inout TextWriter) {
    out.text(key)
    out.text(": ")
    out.number(value)
    out.newline()
  }
}
