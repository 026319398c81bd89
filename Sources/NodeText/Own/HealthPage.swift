// SPDX-License-Identifier: Apache-2.0

import Reports

/// `health`: the verdict alone on the first line, then a line for each object that is not moving, for example
/// `venc/0: starved, still for 3.200000 s since 12.345678, waits for vpss/0/0, queue venc/0 input empty (0 of 4)`, and one
/// for each thing that is wrong with an object that moves: `vpss/0: lost 188 frames in the last 10 s (queue_full 188)`.
public enum HealthPage {
  static let page = Page("health", capacity: 512, inReport: .first, "is everything moving; if not, what and why") {
    write($0.health, to: &$1)
  }

  /// Writes the page. Times are seconds; `since` is CLOCK_MONOTONIC, as in the kernel's log.
  public static func write(_ report: HealthReport, to out: inout TextWriter) {
    out.string(report.verdict.rawValue)
    out.newline()
    for finding in report.findings {
      out.line(finding.path)
      out.text(": ")
      StatePage.writeCondition(finding.condition, to: &out)
      let since = finding.sinceMonotonicMicroseconds
      out.text(", still for ")
      writeSeconds(microseconds: max(0, report.clocks.monotonicMicroseconds &- since), to: &out)
      out.text(" s since ")
      writeSeconds(microseconds: since, to: &out)
      if let culprit = finding.waitingFor {
        out.text(", waits for ")
        out.line(culprit)
      }
      if let queue = finding.queue {
        out.text(", queue ")
        out.line(queue.name)
        out.byte(0x20)
        out.string(queue.fill.rawValue)
        out.text(" (")
        out.number(queue.waiting)
        out.text(" of ")
        out.number(queue.capacity)
        out.byte(0x29)
      }
      out.newline()
    }
    for trouble in report.troubles {
      out.line(trouble.path)
      out.text(": ")
      write(trouble.kind, to: &out)
      out.newline()
    }
  }

  private static func write(_ kind: HealthTrouble.Kind, to out: inout TextWriter) {
    switch kind {
    case .loses(let counts, let seconds):
      out.text("lost ")
      out.number(counts.total)
      out.text(counts.total == 1 ? " frame in the last " : " frames in the last ")
      out.number(seconds)
      out.text(" s (")
      // The worst first.
      let causes = DropCause.allCases.filter { counts[$0] > 0 }.sorted { counts[$0] > counts[$1] }
      for (index, cause) in causes.enumerated() {
        if index > 0 { out.text(", ") }
        out.string(cause.rawValue)
        out.byte(0x20)
        out.number(counts[cause])
      }
      out.byte(0x29)
    case .isSlow(let reached, let asked):
      out.text("gives ")
      MetricsText.value((reached * 10).rounded() / 10, to: &out)
      out.text(" of ")
      MetricsText.value((asked * 100).rounded() / 100, to: &out)
      out.text(" frames/s")
    case .isOverworked(let work, let interval):
      out.text("works ")
      writeSeconds(microseconds: Int64(work), to: &out)
      out.text(" s on a frame, and one comes every ")
      writeSeconds(microseconds: Int64(interval), to: &out)
      out.text(" s")
    }
  }
}
