// SPDX-License-Identifier: Apache-2.0

import Reports

/// Writes metric families in Prometheus's text format 0.0.4, which its textfile collectors read.
///
/// OpenMetrics 1.0 excludes it: there a counter's family is declared without the `_total` that its samples have, and
/// Prometheus's own parsers then take the samples for ones of unknown type. A `# TYPE` line under the full name is what
/// they document.
enum MetricsText {
  static let prefix: StaticString = "mpifs_"

  /// Begins a family. `module` is the part of the name after the prefix, empty for the whole program.
  static func begin(_ module: String, _ statistic: Statistic, to out: inout TextWriter) {
    out.text("# HELP ")
    writeName(module, statistic, to: &out)
    out.byte(0x20)
    writeEscaped(statistic.help, to: &out)
    out.newline()
    out.text("# TYPE ")
    writeName(module, statistic, to: &out)
    out.text(statistic.kind == .counter ? " counter\n" : " gauge\n")
  }

  /// Writes one sample with its labels.
  static func sample(_ module: String, _ statistic: Statistic, owner: String?, to out: inout TextWriter) {
    writeName(module, statistic, to: &out)
    if owner != nil || statistic.cause != nil {
      out.byte(0x7B)
      if let owner {
        out.text("object=\"")
        writeEscaped(owner, to: &out)
        out.byte(0x22)
      }
      if let cause = statistic.cause {
        if owner != nil { out.byte(0x2C) }
        out.text("cause=\"")
        writeEscaped(cause, to: &out)
        out.byte(0x22)
      }
      out.byte(0x7D)
    }
    out.byte(0x20)
    value(statistic.metricValue, to: &out)
    out.newline()
  }

  /// Writes a number; whole numbers without a fraction.
  static func value(_ value: Double, to out: inout TextWriter) {
    if value.isNaN { return out.text("NaN") }
    if value.isInfinite { return out.text(value < 0 ? "-Inf" : "+Inf") }
    if let whole = Int64(exactly: value) { return out.number(whole) }
    out.string(value.description)
  }

  private static func writeName(_ module: String, _ statistic: Statistic, to out: inout TextWriter) {
    out.text(prefix)
    if !module.isEmpty {
      writeIdentifier(module, to: &out)
      out.byte(0x5F)
    }
    out.text(statistic.family)
    if statistic.unit == .microseconds, statistic.metric == nil, out.hasWritten("_us", before: out.count) {
      out.truncate(to: out.count - 2)
      out.text("seconds")
    }
    if statistic.kind == .counter { out.text("_total") }
  }

  /// Letters, digits and underscores; anything else becomes an underscore.
  private static func writeIdentifier(_ name: String, to out: inout TextWriter) {
    for byte in name.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: out.byte(byte)
      default: out.byte(0x5F)
      }
    }
  }

  /// Help, which is fixed text: a double quote becomes a single one, as the formats disagree on its escape there.
  private static func writeEscaped(_ help: StaticString, to out: inout TextWriter) {
    let start = out.count
    out.text(help)
    for index in start..<out.count {
      let byte = out.written(at: index)
      if byte < 0x20 || byte == 0x5C { out.replace(at: index, with: 0x3F) }
      if byte == 0x22 { out.replace(at: index, with: 0x27) }
    }
  }

  /// The value of a label: backslash, line feed and quote escaped as both formats ask; other control bytes become a
  /// question mark.
  private static func writeEscaped(_ text: String, to out: inout TextWriter) {
    for byte in text.utf8 {
      switch byte {
      case 0x5C: out.text("\\\\")
      case 0x0A: out.text("\\n")
      case 0x22: out.text("\\\"")
      case 0..<0x20, 0x7F: out.byte(0x3F)
      default: out.byte(byte)
      }
    }
  }
}
