// SPDX-License-Identifier: Apache-2.0

import Reports

/// Writes metric families as text that is valid both as OpenMetrics 1.0 and in Prometheus's own text format.
///
/// The two disagree about counters. OpenMetrics declares the family without `_total` and Prometheus's checker then finds
/// a sample without help; declared with `_total`, strict OpenMetrics readers refuse the page. Undeclared they are of
/// unknown type, which both allow; `rate()` does not look at the type. So a counter has a `# HELP` line under its full
/// name and no `# TYPE` line; gauges have everything.
enum MetricsText {
  static let prefix: StaticString = "mpifs_"

  /// Begins a family. `module` is the part of the name after the prefix, empty for the whole program.
  static func begin(_ module: String, _ name: String, _ statistic: Statistic, to out: inout TextWriter) {
    out.text("# HELP ")
    writeName(statistic.kind, module, name, to: &out)
    out.byte(0x20)
    writeEscaped(statistic.help, quotes: false, to: &out)
    out.newline()
    guard statistic.kind == .gauge else { return }
    out.text("# TYPE ")
    writeName(.gauge, module, name, to: &out)
    out.text(" gauge\n")
    let unit: StaticString? =
      switch statistic.unit {
      case .none: nil
      case .frames: "frames"
      case .bytes: "bytes"
      case .seconds, .microseconds: "seconds"
      }
    if let unit, name == "\(unit)" || name.hasSuffix("_\(unit)") {
      out.text("# UNIT ")
      writeName(.gauge, module, name, to: &out)
      out.byte(0x20)
      out.text(unit)
      out.newline()
    }
  }

  /// Writes one sample with its labels.
  static func sample(
    _ module: String, _ name: String, _ statistic: Statistic, owner: String?, to out: inout TextWriter
  ) {
    writeName(statistic.kind, module, name, to: &out)
    if owner != nil || statistic.cause != nil {
      out.byte(0x7B)
      if let owner {
        out.text("object=\"")
        writeEscaped(owner, quotes: true, to: &out)
        out.byte(0x22)
      }
      if let cause = statistic.cause {
        if owner != nil { out.byte(0x2C) }
        out.text("cause=\"")
        writeEscaped(cause, quotes: true, to: &out)
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

  private static func writeName(_ kind: StatisticKind, _ module: String, _ name: String, to out: inout TextWriter) {
    out.text(prefix)
    if !module.isEmpty {
      writeIdentifier(module, to: &out)
      out.byte(0x5F)
    }
    writeIdentifier(name, to: &out)
    if kind == .counter { out.text("_total") }
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

  /// Backslash, line feed and quote escaped as both formats ask; other control bytes become a question mark. A double
  /// quote in help becomes a single one: the formats disagree on its escape there.
  private static func writeEscaped(_ text: String, quotes: Bool, to out: inout TextWriter) {
    for byte in text.utf8 {
      switch byte {
      case 0x5C: out.text("\\\\")
      case 0x0A: out.text("\\n")
      case 0x22: out.text(quotes ? "\\\"" : "'")
      case 0..<0x20, 0x7F: out.byte(0x3F)
      default: out.byte(byte)
      }
    }
  }
}
