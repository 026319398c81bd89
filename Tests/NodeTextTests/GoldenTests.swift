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
}
