// SPDX-License-Identifier: Apache-2.0

import Reports

/// `error_log`: a line for each refused command or failure, oldest first, for example
/// `[12.034567 2026-11-21T03:31:03.123456Z] venc/0/bitrate "9999999\n" ERANGE(34): above 200000 kbps; 2..200000 kbps`.
///
/// What was refused for one reason right after each other, as `rm -r` does, is one line: `venc/0/stats and 24 more`, with the
/// path and time of the last. A path that has other characters than those of the tree's own stands in quotes, too.
///
/// The value stands in quotes with every byte that is not printable ASCII escaped, so that it can be told exactly and
/// forges no line and obeys no terminal.
public enum ErrorLogPage {
  static let page = Page(
    "error_log", takes: Intake("anything clears it") { _ in .clearErrorLog }, inReport: .first,
    "the last 256 refusals and failures, and why"
  ) { write($0.refusals, to: &$1) }

  /// Bytes of a value that are shown; of a longer one its length follows.
  public static let shownBytes = 256

  /// Writes the page. The first clock is CLOCK_MONOTONIC in seconds, the second UTC.
  public static func write(_ records: some Sequence<RefusalRecord>, to out: inout TextWriter) {
    for record in records {
      out.byte(0x5B)
      writeSeconds(microseconds: record.clocks.monotonicMicroseconds, to: &out)
      out.byte(0x20)
      writeRealtime(microseconds: record.clocks.realtimeMicroseconds, to: &out)
      out.text("] ")
      if record.path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }) {
        out.line(record.path)
      } else {
        out.quoted(record.path.utf8)
      }
      if record.others > 0 {
        out.text(" and ")
        out.number(record.others)
        out.text(" more")
      }
      let length = record.valueLength ?? record.value.count
      if length > 0 {
        out.byte(0x20)
        let shown = record.value.prefix(shownBytes)
        out.quoted(shown)
        if length > shown.count {
          out.text("... (")
          out.number(length)
          out.text(" bytes)")
        }
      }
      if record.errno != 0 {
        out.byte(0x20)
        if record.errnoName.isEmpty { out.text("errno") } else { out.word(record.errnoName) }
        out.byte(0x28)
        out.number(record.errno)
        out.byte(0x29)
      }
      out.text(": ")
      out.line(record.reason)
      if let hint = record.hint {
        out.text("; ")
        out.line(hint)
      }
      out.newline()
    }
  }
}
