// SPDX-License-Identifier: Apache-2.0

public import Reports

/// `rk_dmabuf/history`: what `size` showed over time, oldest first: minutes of the last day, then seconds of the last looks.
public enum DMABufHistoryPage {
  static let page = Page(
    "rk_dmabuf/history", capacity: 32768, needs: .look(.totals), "what size showed: a day of minutes, 300 seconds"
  ) {
    write($0.systemMemory, now: $0.clocks, to: &$1)
  }

  /// Writes the page. `at` is when the minute or second began, CLOCK_MONOTONIC, seconds; the wall clock is beside it.
  public static func write(_ report: SystemMemoryReport, now: ClockReading, to out: inout TextWriter) {
    out.text("# looks at most every ")
    out.number(report.intervalMilliseconds)
    out.text(" ms, and when somebody reads; bytes at the end, the most and the least seen, buffers\n")
    write("minute", report.minutes, now, to: &out)
    write("second", report.seconds, now, to: &out)
  }

  private static func write(
    _ span: StaticString, _ moments: [MemoryMoment], _ now: ClockReading, to out: inout TextWriter
  ) {
    out.text("# ")
    out.text(span)
    out.text("      at time                               bytes            most           least  buffers\n")
    for moment in moments {
      out.text(span)
      out.right(moment.second, 10)
      out.byte(0x20)
      writeRealtime(
        microseconds: now.realtimeMicroseconds - now.monotonicMicroseconds + moment.second * 1_000_000, to: &out)
      for figure in [moment.bytes, moment.most, moment.least] {
        out.byte(0x20)
        out.right(figure, 15)
      }
      out.byte(0x20)
      out.right(moment.count, 8)
      out.newline()
    }
  }
}
