// SPDX-License-Identifier: Apache-2.0

public import Reports

/// `drops`: how many frames each object dropped, by cause, and the last of them, oldest first: 256 that were lost, and 256
/// that were left out as asked or by administration. A line for each: when (CLOCK_MONOTONIC, seconds), which object, the
/// number its source gave it, its presentation time (seconds), why, and how far it had come. `-` is what is not known.
public enum DropsPage {
  static let page = Page("drops", capacity: 32768, "every dropped frame: which, when, why and where") {
    write($0.drops, objects: $0.objects, to: &$1)
  }

  /// Writes the page.
  /// - Parameter objects: those whose counts are shown: the counts of `stats`.
  public static func write(_ records: [DropRecord], objects: [ObjectState], to out: inout TextWriter) {
    writeTotals(objects.map { ($0.path, $0.statistics.dropped) }, to: &out)
    out.text("# time         object    frame     pts             cause            stage\n")
    for record in records {
      cell(14, to: &out) { writeSeconds(microseconds: record.monotonicMicroseconds, to: &$0) }
      cell(9, to: &out) { $0.word(record.object) }
      cell(9, to: &out) { if let number = record.number { $0.number(number) } else { $0.byte(0x2D) } }
      cell(15, to: &out) {
        if let pts = record.ptsMicroseconds { writeSeconds(microseconds: pts, to: &$0) } else { $0.byte(0x2D) }
      }
      cell(16, to: &out) { $0.string(record.cause.rawValue) }
      out.string(record.stage.rawValue)
      out.newline()
    }
  }

  private static func writeTotals(_ rows: [(path: String, dropped: DropCounts)], to out: inout TextWriter) {
    out.text("# object     dropped")
    for cause in DropCause.allCases { out.right(cause.rawValue, width(cause)) }
    out.newline()
    var sum = DropCounts()
    for row in rows {
      writeRow(row.path, row.dropped, to: &out)
      for cause in DropCause.allCases { sum[cause] += row.dropped[cause] }
    }
    writeRow("all", sum, to: &out)
  }

  private static func writeRow(_ name: String, _ dropped: DropCounts, to out: inout TextWriter) {
    out.left(name, 9)
    out.right(dropped.total, 11)
    for cause in DropCause.allCases { out.right(dropped[cause], width(cause)) }
    out.newline()
  }

  private static func width(_ cause: DropCause) -> Int { max(10, cause.rawValue.utf8.count) + 2 }

  /// What `body` writes, at least `width` wide, and a blank.
  private static func cell(_ width: Int, to out: inout TextWriter, _ body: (inout TextWriter) -> Void) {
    let start = out.count
    body(&out)
    out.fill(0x20, width - (out.count - start))
    out.byte(0x20)
  }
}
