// SPDX-License-Identifier: Apache-2.0

import NodeText
import Reports
import TestSupport
import Testing

/// Compares byte for byte and, when they differ, names the first line that does.
private func expectSame(
  _ text: [UInt8], _ expected: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
) {
  guard text != expected else { return }
  let got = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
  let want = String(decoding: expected, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
  let line = zip(got, want).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(got.count, want.count)
  let shownGot = line < got.count ? String(got[line]) : "(end)"
  let shownWant = line < want.count ? String(want[line]) : "(end)"
  Issue.record("line \(line + 1)\n got: \(shownGot)|\nwant: \(shownWant)|", sourceLocation: sourceLocation)
}

@Suite("Texts equal the vendor's byte for byte", .ownThread)
struct GoldenTests {
  private static let files: [(Dialect, String)] = [(.rockit1432, "32"), (.rockit1481, "81")]

  @Test(arguments: files)
  func valloc(_ dialect: Dialect, _ suffix: String) throws {
    let text = renderText {
      VAllocPage.write(
        buffers: Sample.buffers, pools: Sample.pools, identity: Sample.identity(dialect), dialect: dialect, to: &$0)
    }
    expectSame(text, try golden("valloc_\(suffix).txt"))
  }

  @Test(arguments: files)
  func vsys(_ dialect: Dialect, _ suffix: String) throws {
    let text = renderText {
      VSysPage.write(nodes: Sample.nodes, identity: Sample.identity(dialect), dialect: dialect, to: &$0)
    }
    expectSame(text, try golden("vsys_\(suffix).txt"))
  }

  @Test func vrgn() throws {
    // The sample lists the nodes 4 and 9 only.
    let nodes = Sample.nodes.filter { $0.id != 6 }
    let text = renderText {
      VRgnPage.write(regions: Sample.regions, nodes: nodes, identity: Sample.identity(.rockit1432), to: &$0)
    }
    expectSame(text, try golden("vrgn_32.txt"))
  }

  @Test(arguments: files)
  func vlog(_ dialect: Dialect, _ suffix: String) throws {
    // The samples of the two generations differ in a line number too.
    var log = Sample.log
    if dialect == .rockit1481 { log[0].line = 511 }
    expectSame(
      renderText { VLogPage.write(log, dialect: dialect, to: &$0) }, try golden("vlog_\(suffix).txt"))
  }

  @Test func drops() throws {
    let text = renderText { DropsPage.write(Sample.drops, objects: Sample.objects, to: &$0) }
    expectSame(text, try golden("drops.txt"))
  }

  @Test(arguments: [(Dialect.rockit1432, "2022-05"), (.rockit1481, "2023-06")])
  func vencInfo(_ dialect: Dialect, _ suffix: String) throws {
    let text = renderText { VEncInfoPage.write(Sample.encoders(dialect), dialect: dialect, to: &$0) }
    expectSame(text, try golden("venc_\(suffix).txt"))
  }

  // MARK: mpp_service

  /// An encoder's session on an RK3588 (github.com/rockchip-linux/mpp, issue 756).
  @Test func sessionsSummary() throws {
    let text = renderText { SessionsSummaryPage.write([Sample.encoderSession], hasTotals: false, to: &$0) }
    expectSame(text, try golden("mpp_sessions-summary.txt"))
  }

  /// On an RV1126B.
  @Test func load() throws {
    let services = [("21f40000.rkvenc", 951_700, 923_200), ("22140100.rkvdec", 0, 0), ("22170000.jpegd", 0, 0)].map {
      ServiceReport(name: $0.0, load: ServiceLoad(window: 1_000_000, busy: $0.1, utilised: $0.2))
    }
    let on = renderText { LoadPage.write(ServicesReport(loadWindow: 1000, services: services), to: &$0) }
    expectSame(on, try golden("mpp_load.txt"))
    let off = renderText { LoadPage.write(ServicesReport(services: services), to: &$0) }
    expectSame(off, try golden("mpp_load_off.txt"))
  }

  /// On a Rock 5B.
  @Test func supportsDevice() throws {
    let text = renderText {
      SupportsDevicePage.write(
        [
          SupportsDevicePage.Row(number: 4, name: "AV1DEC", hardwareID: 0x8001_9000),
          SupportsDevicePage.Row(number: 9, name: "RKVDEC", hardwareID: 0x5381_3f05),
        ], to: &$0)
    }
    expectSame(text, try golden("mpp_supports-device.txt"))
  }

  @Test func supportsCmd() throws {
    expectSame(renderText { SupportsCmdPage.write(to: &$0) }, try golden("mpp_supports-cmd.txt"))
  }
}
