// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `vsys`: the nodes of the graph with their counters, and the frame-rate tables.
public enum VSysPage {
  static func page(_ dialect: Dialect) -> Page {
    Page("vsys", "the graph: frames in and out of every node, frame-rate tables") {
      write(nodes: $0.nodes, identity: $0.identity, dialect: dialect, to: &$1)
    }
  }

  /// Writes the page.
  public static func write(
    nodes: [NodeReport], identity: SystemIdentity, dialect: Dialect, to out: inout TextWriter
  ) {
    let isNew = dialect == .rockit1481
    writePreamble("vsys", identity, to: &out)
    // The title is as wide in both generations, though the newer header is wider.
    writeStarTitle("mpi node list", leading: 47, trailing: 51, to: &out)
    if isNew {
      out.text(
        """
        id---name--------handle-----nid-uid-ref-infa_cnt-lcnt-frate-fbase-wcnt-depth-timeout-onfa_cnt-lcnt-frate-fbase\
        -wcnt-depth-timeout-itime-otime-state-next_node-------------

        """)
    } else {
      out.text(
        """
        id---name--------nid-ref-infa_cnt-lcnt-frate-fbase-onfa_cnt-lcnt-frate-fbase-itime-otime-state-next_node\
        -------------

        """)
    }
    for node in nodes { writeNode(node, isNew, to: &out) }

    writeStarTitle("mpi node frame control", leading: 45, trailing: 44, to: &out)
    out.text("id---name--------table")
    out.fill(0x2D, 89)
    out.newline()
    for node in nodes {
      writeTable(node, "in   ", node.input.frameControl, to: &out)
      writeTable(node, "out  ", node.output.frameControl, to: &out)
    }
  }

  private static func writeNode(_ node: NodeReport, _ isNew: Bool, to out: inout TextWriter) {
    out.left(node.id, 4)
    out.byte(0x20)
    out.leftWord(node.name, 11)
    out.byte(0x20)
    if isNew {
      out.leftHexadecimal(node.handle ?? standInAddress(node.id), 10)
      out.byte(0x20)
    }
    out.left(node.channel, 3)
    out.byte(0x20)
    if isNew {
      out.left(node.userID, 3)
      out.byte(0x20)
    }
    out.left(node.references, 3)
    out.byte(0x20)
    writePort(node.input, isNew, to: &out)
    writePort(node.output, isNew, to: &out)
    out.left(node.input.lastMicroseconds, 5)
    out.byte(0x20)
    out.left(node.output.lastMicroseconds, 5)
    out.byte(0x20)
    out.leftHexadecimal(stateWord(node.flags), 5)
    out.byte(0x20)
    for sink in node.sinks {
      out.left(sink, 4)
      out.text("  ")
    }
    out.newline()
  }

  private static func writePort(_ port: PortReport, _ isNew: Bool, to out: inout TextWriter) {
    out.left(port.frames, 8)
    out.byte(0x20)
    out.left(port.lost, 4)
    out.byte(0x20)
    out.left(port.rate, 5)
    out.byte(0x20)
    out.left(port.frameControl.count, 5)
    out.byte(0x20)
    guard isNew else { return }
    out.left(port.waiting, 4)
    out.byte(0x20)
    out.left(port.depth, 5)
    out.byte(0x20)
    out.left(port.timeoutMilliseconds, 7)
    out.byte(0x20)
  }

  private static func writeTable(
    _ node: NodeReport, _ side: StaticString, _ table: [UInt8], to out: inout TextWriter
  ) {
    guard !table.isEmpty else { return }
    out.left(node.id, 4)
    out.byte(0x20)
    out.leftWord(node.name, 11)
    out.byte(0x20)
    out.text(side)
    for entry in table {
      out.number(entry)
      out.byte(0x20)
    }
    out.newline()
  }

  /// The vendor's flag word. Its nodes carry 0x60 from the moment they are registered.
  static func stateWord(_ flags: NodeFlags) -> UInt64 {
    var word: UInt64 = 0x60
    if flags.contains(.valid) { word |= 0x2 }
    if flags.contains(.dead) { word |= 0x4 }
    if flags.contains(.destroying) { word |= 0x400 }
    if flags.contains(.flushing) { word |= 0x800 }
    if flags.contains(.streaming) { word |= 0x1000 }
    if flags.contains(.boundAsSink) { word |= 0x2000 }
    if flags.contains(.autoStart) { word |= 0x4000 }
    return word
  }
}
