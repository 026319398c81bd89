// SPDX-License-Identifier: Apache-2.0

import Reports

/// `report`: the whole field report in one page. Program, kernel and clocks first, then every text node of one moment
/// under a line `==> path <==`, as `head` and `tail` print several files.
///
/// Nothing is listed here: the nodes are those of ``PageTable``.
public enum ReportPage {
  static let page = Page(
    "report", capacity: 65536, inReport: .absent, needs: .look(.holders), needsLayout: true,
    "all pages of one moment, to send to others"
  ) {
    write($0, to: &$1)
  }

  /// Writes the page.
  public static func write(_ moment: Moment, to out: inout TextWriter) {
    writeHead(moment, to: &out)
    writePages(.first, moment, to: &out)
    writePages(.middle, moment, to: &out)
    for node in ContiguousAreaPage.nodes(of: moment.physicalMemory) {
      section(node.path, to: &out) { ContiguousAreaPage.write(node.area, to: &$0) }
    }
    for service in moment.services.services {
      for page in moment.pages.servicePages {
        section("\(moment.pages.serviceFolder)/\(service.shortName)/\(page.name)", to: &out) {
          page.render(service, moment, &$0)
        }
      }
    }
    for object in moment.objects {
      for page in moment.pages.objectPages {
        section("\(object.path)/\(page.name)", isShownEmpty: page.isShownEmpty, to: &out) { page.render(object, &$0) }
      }
      guard let controls = object.controls else { continue }
      section("\(object.path)/controls/help", to: &out) { HelpPage.write(controls.help, to: &$0) }
      section("\(object.path)/controls/*", to: &out) { ActivePage.write(controls.values, to: &$0) }
    }
    writePages(.last, moment, to: &out)
  }

  private static func writePages(_ place: Page.PlaceInReport, _ moment: Moment, to out: inout TextWriter) {
    for page in moment.pages.pages where page.place == place {
      section(page.paths[0], to: &out) { page.render(moment, &$0) }
    }
  }

  private static func writeHead(_ moment: Moment, to out: inout TextWriter) {
    let identity = moment.identity
    out.text("program: ")
    out.line(identity.program)
    out.byte(0x20)
    out.line(identity.version)
    out.text("\ncommit: ")
    out.line(identity.commit)
    out.text("\nbuilt: ")
    writeCivil(identity.buildTime, between: 0x20, to: &out)
    out.text(" UTC")
    if !identity.buildAuthor.isEmpty {
      out.text(" by ")
      out.line(identity.buildAuthor)
    }
    out.text("\ndialect: ")
    out.string(moment.pages.dialect.rawValue)
    out.text("\nkernel: ")
    out.line(identity.kernel)
    out.text("\npid: ")
    out.number(identity.processID)
    out.text("\nclock_monotonic: ")
    writeSeconds(microseconds: moment.clocks.monotonicMicroseconds, to: &out)
    out.text(" s\nclock_realtime: ")
    writeRealtime(microseconds: moment.clocks.realtimeMicroseconds, to: &out)
    out.text("\nuptime: ")
    writeSeconds(
      microseconds: moment.clocks.monotonicMicroseconds &- moment.startedMonotonicMicroseconds, to: &out)
    out.text(" s\n")
  }

  private static func section(
    _ path: String, isShownEmpty: Bool = true, to out: inout TextWriter, _ body: (inout TextWriter) -> Void
  ) {
    let before = out.count
    out.text("\n==> ")
    out.line(path)
    out.text(" <==\n")
    let start = out.count
    body(&out)
    if out.count == start {
      if !isShownEmpty { out.truncate(to: before) }
    } else if out.written(at: out.count - 1) != 0x0A {
      out.newline()
    }
  }
}
