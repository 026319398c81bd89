// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `sessions-summary`: for each session its buffers, its device and its memory, and for encoders a table of what
/// they do.
///
/// Two variants of the vendor's text: that of 2025, and that of early 2022, which the document shows and which has a line
/// `<device> Total: <n> KiB` for each device.
public enum SessionsSummaryPage {
  static func page(_ dialect: Dialect) -> Page {
    Page("mpp_service/sessions-summary", "each session: its buffers, device, memory; what encoders do") {
      write(shown($0), hasTotals: dialect == .rockit1432, to: &$1)
    }
  }

  /// One session as the page shows it.
  public struct Shown: Sendable {
    public var processID: Int32
    public var index: Int
    /// The device it works with.
    public var device: String
    /// What stands for the device in the table.
    public var unit: String
    /// What it holds.
    public var buffers: [BufferReport]
    /// What it does; nil for one that is no encoder.
    public var encoder: EncoderReport?

    public init(
      processID: Int32, index: Int, device: String, unit: String, buffers: [BufferReport],
      encoder: EncoderReport? = nil
    ) {
      self.processID = processID
      self.index = index
      self.device = device
      self.unit = unit
      self.buffers = buffers
      self.encoder = encoder
    }

    var bytes: UInt64 { buffers.reduce(0) { $0 &+ $1.size } }
  }

  /// The running sessions, in the order they were made.
  static func shown(_ moment: Moment) -> [Shown] {
    let sessions = moment.sessions.filter(\.isRunning).sorted { $0.id < $1.id }
    guard !sessions.isEmpty else { return [] }
    let allocations = moment.allocations
    return sessions.map { session in
      let nodes = Set(session.nodes)
      let pools = Set(allocations.pools.filter { $0.users.contains { nodes.contains($0.nodeID) } }.map(\.id))
      let device = session.device.map { ServiceReport.shortName(of: $0) } ?? "cpu"
      return Shown(
        processID: moment.identity.processID, index: session.id, device: device, unit: device,
        buffers: allocations.buffers.filter { buffer in
          buffer.poolID.map { pools.contains($0) } == true || buffer.users.contains { nodes.contains($0.nodeID) }
        },
        encoder: moment.encoders.channels.first { $0.path == session.path })
    }
  }

  /// Writes the page.
  /// - Parameter hasTotals: with a line for each device, after all sessions, with what its sessions hold together; a buffer
  ///   that several hold counts once.
  public static func write(_ sessions: [Shown], hasTotals: Bool, to out: inout TextWriter) {
    for session in sessions { write(session, to: &out) }
    guard hasTotals else { return }
    var totals: [(device: String, sizes: [Int: UInt64])] = []
    for session in sessions {
      let index = totals.firstIndex { $0.device == session.device } ?? totals.count
      if index == totals.count { totals.append((session.device, [:])) }
      for buffer in session.buffers { totals[index].sizes[buffer.id] = buffer.size }
    }
    for total in totals {
      out.word(total.device)
      out.text(" Total: ")
      out.number(total.sizes.values.reduce(0) { $0 &+ $1 } >> 10)
      out.text(" KiB\n")
    }
  }

  private static func write(_ session: Shown, to out: inout TextWriter) {
    out.text("session iova range dump:\n")
    for (index, buffer) in session.buffers.enumerated() {
      let first = buffer.handle ?? standInAddress(buffer.id)
      out.right(index, 4)
      out.text(": 0x")
      out.hexadecimal(first, digits: 16)
      out.text("..0x")
      out.hexadecimal(first &+ buffer.size &- 1, digits: 16)
      out.text(" (")
      out.right(buffer.size >= 1024 ? buffer.size >> 10 : buffer.size, 10)
      out.text(buffer.size >= 1024 ? " KiB)\n" : " Bytes)\n")
    }
    out.text("session: pid=")
    out.number(session.processID)
    out.text(" index=")
    out.number(session.index)
    out.text("\n device: ")
    out.word(session.device)
    out.text("\n memory: ")
    out.number(session.bytes >> 20)
    out.text(" MiB\n")
    if let encoder = session.encoder { CodecTable.write(session.index, session.unit, encoder, to: &out) }
  }
}
