// SPDX-License-Identifier: Apache-2.0

import Reports

/// `help`: a line for each page of the whole and each attribute of the objects: path, kind, type, range, unit, default,
/// live or restart, note. The columns are as wide as their widest entry and stand at least two blanks apart
/// (`awk -F '  +'`), since a range may hold single blanks. `-` stands for what does not apply or is empty.
public enum HelpPage {
  static let page = Page("help", capacity: 16384, "every page and attribute") { moment, out in
    let pages = moment.pages
    let ofServices = pages.servicePages.map { $0.help(in: pages.serviceFolder) }
    let ofAreas = ContiguousAreaPage.help(of: moment.physicalMemory)
    write(pages.pages.map(\.help) + ofAreas + ofServices + moment.attributes, to: &out)
  }

  /// Writes the page.
  public static func write(_ attributes: [SettingHelp], to out: inout TextWriter) {
    let rows = attributes.map { help in
      [
        help.path, help.kind.rawValue, shown(help.type), shown(help.range), shown(help.unit),
        shown(help.defaultValue), help.isLive.map { $0 ? "live" : "restart" } ?? "-", help.note ?? "",
      ]
    }
    let titles = ["path", "kind", "type", "range", "unit", "default", "change", "note"]
    var widths = titles.map(\.utf8.count)
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.utf8.count) }
    }
    writeRow(titles, widths, first: "# ", to: &out)
    for row in rows { writeRow(row, widths, first: "", to: &out) }
  }

  private static func shown(_ value: String?) -> String {
    guard let value, !value.isEmpty else { return "-" }
    return value
  }

  private static func writeRow(_ cells: [String], _ widths: [Int], first: StaticString, to out: inout TextWriter) {
    out.text(first)
    // The row ends with its last cell that says something: no blanks at the end.
    let last = cells.lastIndex { !$0.isEmpty } ?? 0
    for (column, cell) in cells.enumerated() where column <= last {
      let start = out.count
      out.line(cell)
      guard column < last else { break }
      // The mark of the title row takes its room from the first column.
      let taken = column == 0 ? first.utf8CodeUnitCount : 0
      out.fill(0x20, widths[column] + 2 - taken - (out.count - start))
    }
    out.newline()
  }
}
