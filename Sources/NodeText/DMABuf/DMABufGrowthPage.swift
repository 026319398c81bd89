// SPDX-License-Identifier: Apache-2.0

public import Reports

/// `rk_dmabuf/growth`: what has come since a mark and is still there, by who holds it, what it is called and who exported it.
public enum DMABufGrowthPage {
  static let page = Page(
    "rk_dmabuf/growth", capacity: 8192, takes: Intake("mark [NAME], clear [NAME]", limit: 64, parse: parse),
    needs: .look(.holders), "DMA-BUFs that came since a mark and are still there, and who holds them"
  ) {
    let memory = $0.systemMemory
    write(memory.marks, memory.holders, to: &$1)
  }

  private struct Key: Hashable {
    /// nil: nobody.
    var process: Int32?
    var name: String?
    var exporter: String?
  }

  /// Writes a block for each mark, the newest last. Times are seconds; `age` since a look first saw the buffer.
  public static func write(_ marks: [MemoryMark], _ scan: MemoryScan?, to out: inout TextWriter) {
    guard let scan else { return }
    if marks.isEmpty { out.text("no mark: echo mark > growth, do what is suspected, read this again\n") }
    let names = Dictionary(scan.processes.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
    for mark in marks { write(mark, scan, names, to: &out) }
  }

  private static func write(
    _ mark: MemoryMark, _ scan: MemoryScan, _ names: [Int32: String], to out: inout TextWriter
  ) {
    // What was looked at before the mark was set tells nothing of what came after it.
    let born = scan.buffers.filter { !mark.inodes.contains($0.inode) }
    var groups: [Key: BufferGroup] = [:]
    var all = BufferGroup()
    for buffer in born {
      all.add(buffer)
      if buffer.holders.isEmpty {
        guard !buffer.isUnplaced else { continue }
        groups[Key(process: nil, name: buffer.name, exporter: buffer.exporter), default: BufferGroup()].add(buffer)
      }
      for holder in buffer.holders {
        groups[Key(process: holder.process, name: buffer.name, exporter: buffer.exporter), default: BufferGroup()]
          .add(buffer)
      }
    }
    let gone = mark.inodes.count - (scan.buffers.count - born.count)
    out.text("mark ")
    out.outsideWord(mark.name)
    out.text(": ")
    writeSeconds(microseconds: max(0, scan.monotonicMicroseconds - mark.monotonicMicroseconds), to: &out)
    out.text(" s ago; ")
    out.number(mark.inodes.count)
    out.text(" buffers ")
    out.number(mark.bytes)
    out.text(" bytes then, ")
    out.number(scan.buffers.count)
    out.text(" buffers ")
    out.number(scan.bytes)
    out.text(" bytes now: ")
    out.number(all.count)
    out.text(" came (")
    out.number(all.bytes)
    out.text(" bytes), ")
    out.number(max(0, gone))
    out.text(" went\n")
    let order = groups.sorted {
      ($1.value.bytes, $0.key.process ?? .max, $0.key.name ?? "") < (
        $0.value.bytes, $1.key.process ?? .max, $1.key.name ?? ""
      )
    }
    for (key, group) in order where key.process != nil { write(key, group, names, scan, to: &out) }
    if order.contains(where: { $0.key.process == nil }) {
      out.text("  held by the kernel or a dead process:\n")
      for (key, group) in order where key.process == nil { write(key, group, names, scan, to: &out) }
    }
  }

  private static func write(
    _ key: Key, _ group: BufferGroup, _ names: [Int32: String], _ scan: MemoryScan, to out: inout TextWriter
  ) {
    out.text("  ")
    if let process = key.process {
      out.text("pid=")
      out.number(process)
      out.text(" process=")
      out.outsideWord(names[process])
      out.byte(0x20)
    }
    out.text("buffers=")
    out.number(group.count)
    out.text(" bytes=")
    out.number(group.bytes)
    out.text(" name=")
    out.outsideWord(key.name)
    out.text(" exporter=")
    out.outsideWord(key.exporter)
    out.text(" age=")
    writeSeconds(microseconds: max(0, scan.monotonicMicroseconds - group.newest), to: &out)
    out.text("..")
    writeSeconds(microseconds: max(0, scan.monotonicMicroseconds - group.oldest), to: &out)
    out.newline()
  }

  // MARK: what it takes

  @Sendable private static func parse(_ text: [UInt8]) throws(Intake.Mistake) -> Intake.Action {
    let words = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    guard let verb = words.first, verb == "mark" || verb == "clear", words.count <= 2 else {
      throw Intake.Mistake(reason: "is no command of this node", hint: "mark [NAME] or clear [NAME]")
    }
    let name = words.count > 1 ? String(words[1]) : nil
    if let name {
      let isName = name.utf8.allSatisfy {
        switch $0 {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x2D: true
        default: false
        }
      }
      guard isName, name.utf8.count <= 31 else {
        throw Intake.Mistake(
          reason: "is no name of a mark", hint: "at most 31 letters, digits and ._-")
      }
    }
    return verb == "mark" ? .markMemory(name ?? "mark") : .clearMemoryMark(name)
  }
}
