// SPDX-License-Identifier: Apache-2.0

public import Reports

/// `rk_dmabuf/by_process`: which process holds how much, the one that holds most first.
///
/// `rss` is all it holds, `pss` its share where others hold the same buffers, both in bytes; the last line of the table is what
/// no process holds. Behind it stands what drivers say of a process (`drm-usage-stats`).
public enum DMABufByProcessPage {
  static let page = Page(
    "rk_dmabuf/by_process", capacity: 8192, needs: .look(.holders), "who holds the DMA-BUFs of the system"
  ) {
    write($0.systemMemory.holders, to: &$1)
  }

  private struct Row {
    var process: Int32
    var name = ""
    var buffers = 0
    var rss: UInt64 = 0
    var pss: UInt64 = 0
    var descriptors = 0
    var mappings = 0
    var exporters: [String: Int] = [:]
    var names: [String: Int] = [:]

    mutating func add(_ buffer: MemoryScan.Buffer) {
      buffers += 1
      rss = saturatingSum(rss, buffer.size)
      pss = saturatingSum(pss, buffer.size / UInt64(max(1, buffer.holders.count)))
      exporters[buffer.exporter ?? "?", default: 0] += 1
      names[buffer.name ?? "", default: 0] += 1
    }
  }

  /// Writes the page.
  public static func write(_ scan: MemoryScan?, to out: inout TextWriter) {
    guard let scan else { return }
    var rows: [Int32: Row] = [:]
    var nobody = Row(process: 0)
    for buffer in scan.buffers where !buffer.isUnplaced {
      if buffer.holders.isEmpty { nobody.add(buffer) }
      for holder in buffer.holders {
        rows[holder.process, default: Row(process: holder.process)].add(buffer)
        rows[holder.process]?.descriptors += holder.descriptors
        rows[holder.process]?.mappings += holder.mappings
      }
    }
    for process in scan.processes { rows[process.id]?.name = process.name }
    out.text("#   pid process                     rss            pss  buffers     fds    maps  exporters names\n")
    for row in rows.values.sorted(by: { ($1.pss, $1.rss, $0.process) < ($0.pss, $0.rss, $1.process) }) {
      write(row, to: &out)
    }
    if nobody.buffers > 0 { write(nobody, isNobody: true, to: &out) }
    out.text("# all: ")
    out.number(scan.bytes)
    out.text(" bytes in ")
    out.number(scan.buffers.count)
    out.text(" buffers; processes that could not be looked at: ")
    out.number(scan.unreadable)
    out.newline()
    for process in scan.processes {
      for device in process.devices { write(device, of: process, to: &out) }
    }
  }

  private static func write(_ row: Row, isNobody: Bool = false, to out: inout TextWriter) {
    if isNobody { out.right("-" as StaticString, 7) } else { out.right(row.process, 7) }
    out.byte(0x20)
    let start = out.count
    if isNobody { out.text("(no_process)") } else { out.outsideWord(row.name) }
    out.fill(0x20, 16 - (out.count - start))
    // Escaped names are wider; the columns behind stay where they are as long as they can.
    out.byte(0x20)
    out.right(row.rss, max(0, 14 - max(0, out.count - start - 17)))
    out.byte(0x20)
    out.right(row.pss, 14)
    out.byte(0x20)
    out.right(row.buffers, 8)
    out.byte(0x20)
    out.right(row.descriptors, 7)
    out.byte(0x20)
    out.right(row.mappings, 7)
    out.text("  ")
    out.tally(row.exporters, most: 4)
    out.byte(0x20)
    out.tally(row.names, most: 4)
    out.newline()
  }

  private static func write(
    _ device: MemoryScan.DeviceUse, of process: MemoryScan.Process, to out: inout TextWriter
  ) {
    out.text("# device: ")
    out.number(process.id)
    out.byte(0x20)
    out.outsideWord(device.path)
    for line in device.lines {
      out.byte(0x20)
      // `key:<tab>value unit` as one word each.
      let start = out.count
      out.line(String(line.filter { $0 != "\t" }))
      for index in start..<out.count where out.written(at: index) == 0x20 { out.replace(at: index, with: 0x5F) }
    }
    out.newline()
  }
}
