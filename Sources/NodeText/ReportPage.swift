// SPDX-License-Identifier: Apache-2.0

import Reports

/// A text node that `report` takes in as it is.
public struct TextSection: Sendable {
  /// Path of the node in the tree.
  public var path: String
  /// Its text.
  public var text: [UInt8]

  public init(path: String, text: [UInt8]) {
    self.path = path
    self.text = text
  }
}

/// `report`: the whole field report in one page. Program, kernel and clocks first, then every text node of one moment
/// under a line `==> path <==`, as `head` and `tail` print several files.
public enum ReportPage {
  /// Writes the page.
  /// - Parameter more: Text nodes that do not follow from the reports (`config`, `devices`, `help`), shown after the
  ///   nodes of the whole and before the objects.
  public static func write(
    _ report: SystemReport, more: [TextSection] = [], dialect: Dialect, to out: inout TextWriter
  ) {
    writeHead(report, dialect, to: &out)
    section("health", to: &out) { HealthPage.write(report.health, to: &$0) }
    section("error_log", to: &out) { ErrorLogPage.write(report.refusals, to: &$0) }
    section("vsys", to: &out) {
      VSysPage.write(nodes: report.nodes, identity: report.identity, dialect: dialect, to: &$0)
    }
    section("valloc", to: &out) {
      VAllocPage.write(
        buffers: report.buffers, pools: report.pools, identity: report.identity, dialect: dialect, to: &$0)
    }
    section("vrgn", to: &out) {
      VRgnPage.write(regions: report.regions, nodes: report.nodes, identity: report.identity, to: &$0)
    }
    section("venc_info", to: &out) { VEncInfoPage.write(report.encoders, dialect: dialect, to: &$0) }
    section("rk_dmabuf/size", to: &out) { DMABufPages.writeSize(report.memory, to: &$0) }
    section("rk_dmabuf/peak", to: &out) { DMABufPages.writePeak(report.memory, to: &$0) }
    section("vlog", to: &out) { VLogPage.write(report.log, dialect: dialect, to: &$0) }
    for node in more { section(node.path, to: &out) { $0.bytes(node.text) } }
    for object in report.objects {
      section(object.path + "/state", to: &out) { ObjectPages.writeState(object.condition, to: &$0) }
      section(object.path + "/active", to: &out) { ObjectPages.writeActive(object.active, to: &$0) }
      section(object.path + "/stats", to: &out) { ObjectPages.writeStatistics(object, to: &$0) }
      guard report.effects.contains(where: { $0.path == object.path }) else { continue }
      section(object.path + "/effect", to: &out) {
        EffectPage.write(report.effects.lazy.filter { $0.path == object.path }, to: &$0)
      }
    }
    section("metrics", to: &out) { MetricsPage.write(report, to: &$0) }
  }

  private static func writeHead(_ report: SystemReport, _ dialect: Dialect, to out: inout TextWriter) {
    let identity = report.identity
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
    out.string(dialect.rawValue)
    out.text("\nkernel: ")
    out.line(identity.kernel)
    out.text("\npid: ")
    out.number(identity.processID)
    out.text("\nclock_monotonic: ")
    writeSeconds(microseconds: report.clocks.monotonicMicroseconds, to: &out)
    out.text(" s\nclock_realtime: ")
    writeRealtime(microseconds: report.clocks.realtimeMicroseconds, to: &out)
    out.text("\nuptime: ")
    writeSeconds(
      microseconds: report.clocks.monotonicMicroseconds &- report.startedMonotonicMicroseconds, to: &out)
    out.text(" s\n")
  }

  private static func section(_ path: String, to out: inout TextWriter, _ body: (inout TextWriter) -> Void) {
    out.text("\n==> ")
    out.line(path)
    out.text(" <==\n")
    let start = out.count
    body(&out)
    if out.count > start && out.written(at: out.count - 1) != 0x0A { out.newline() }
  }
}
