// SPDX-License-Identifier: Apache-2.0

/// What debugfs `dma_buf/bufinfo` lists (kernel: `dma_buf_debug_show`).
///
/// A name is set by whoever has the buffer, 31 bytes at most, and may hold line feeds. So a line is that of a buffer only
/// with all its numbers as wide as the kernel writes them, which is more than fits into a name; of several headings of
/// attachments the last counts, and of several totals the one at the end.
struct BufferList {
  struct Entry: Equatable {
    var size: UInt64
    var references: Int
    var exporter: String
    /// Kernels before 4.20 do not tell.
    var inode: UInt64?
    var name: String?
    /// The newest first.
    var attachments: [String] = []
  }

  var entries: [Entry] = []
  /// It has the heading that the kernel begins with.
  private(set) var isList = false
  /// `Total N objects, M bytes` at the end; `nil` where the list was cut.
  var total: (objects: UInt64, bytes: UInt64)?

  /// - Parameter expected: about how many there are.
  init(parsing bytes: KernelBytes, _ texts: TextStore, expected: Int = 0) {
    entries.reserveCapacity(expected)
    var isAttachments = false
    var rest = bytes
    while !rest.isEmpty {
      let line = rest[from: 0, to: rest.position(of: 0x0A) ?? rest.count]
      var length = line.count
      if let (found, nameLength) = Self.entry(line, texts) {
        var entry = found
        if nameLength > 0 {
          let start = line.count - nameLength
          let name = Self.name(rest.dropping(start), firstLine: nameLength)
          entry.name = Self.isNone(name) ? nil : texts.text(name)
          length = start + name.count
        }
        entries.append(entry)
        isAttachments = false
        total = nil
      } else if line.begins(with: "\tAttached Devices:") {
        isAttachments = true
        if !entries.isEmpty { entries[entries.count - 1].attachments = [] }
      } else if line.begins(with: "Total ") {
        isAttachments = false
        total = Self.total(line) ?? total
      } else if line.begins(with: "Dma-buf Objects:") {
        isList = true
      } else if isAttachments, !entries.isEmpty, line.count > 1, line[0] == 0x09 {
        entries[entries.count - 1].attachments.append(texts.text(line.trimmed))
      }
      rest = rest.dropping(length + 1)
    }
  }

  /// The whole of a name that begins here and may hold line feeds: it has 31 bytes at most, and the last heading of attachments
  /// that begins within so many ends it.
  private static func name(_ bytes: KernelBytes, firstLine: Int) -> KernelBytes {
    var end = firstLine
    var place = firstLine
    while place <= 31, place < bytes.count {
      if bytes[place] == 0x0A, bytes.dropping(place + 1).begins(with: "\tAttached Devices:") { end = place }
      place += 1
    }
    return bytes[from: 0, to: end]
  }

  private static func isNone(_ name: KernelBytes) -> Bool {
    name.isEmpty || name.count == 6 && name.begins(with: "<none>")
  }

  /// `size flags mode count exporter [inode [name]]`, separated by tabs.
  /// - Returns: how long the name is on this line as well; 0 where there is none.
  private static func entry(_ line: KernelBytes, _ texts: TextStore) -> (Entry, nameLength: Int)? {
    guard line.count > 36, line[0] >= 0x30, line[0] <= 0x39 else { return nil }
    guard let (size, rest) = line.cut(at: 0x09), size.count >= 8, let bytes = size.number() else { return nil }
    guard let (flags, more) = rest.cut(at: 0x09), flags.count == 8, flags.number(radix: 16) != nil else { return nil }
    guard let (mode, counts) = more.cut(at: 0x09), mode.count == 8, mode.number(radix: 16) != nil else { return nil }
    guard let (count, tail) = counts.cut(at: 0x09), count.count >= 8, let references = count.number() else {
      return nil
    }
    var entry = Entry(size: bytes, references: Int(clamping: references), exporter: "")
    guard let (exporter, afterExporter) = tail.cut(at: 0x09) else {
      entry.exporter = texts.text(tail)
      return (entry, 0)
    }
    entry.exporter = texts.text(exporter)
    let parts = afterExporter.cut(at: 0x09)
    let (inode, name) = (parts?.0 ?? afterExporter, parts?.1)
    guard inode.count >= 8, let number = inode.number() else { return nil }
    entry.inode = number
    return (entry, name?.count ?? 0)
  }

  private static func total(_ line: KernelBytes) -> (UInt64, UInt64)? {
    guard let (objects, rest) = line.dropping(6).cut(at: 0x20), rest.begins(with: "objects, "),
      let count = objects.number(), let (bytes, unit) = rest.dropping(9).cut(at: 0x20), unit.begins(with: "bytes"),
      let sum = bytes.number()
    else { return nil }
    return (count, sum)
  }
}

/// What `/proc/PID/fdinfo/FD` says (kernel: `dma_buf_show_fdinfo`, `drm_show_fdinfo`).
struct DescriptorFields {
  var inode: UInt64?
  var size: UInt64?
  var references: Int?
  var exporter: KernelBytes?
  var name: KernelBytes?

  /// The name is the last the kernel writes, and may hold line feeds: everything behind its key belongs to it.
  init(parsing bytes: KernelBytes) {
    var rest = bytes
    while !rest.isEmpty {
      let end = rest.position(of: 0x0A) ?? rest.count
      let line = rest[from: 0, to: end]
      if line.begins(with: "ino:") {
        inode = inode ?? line.dropping(4).trimmed.number()
      } else if line.begins(with: "size:") {
        size = size ?? line.dropping(5).trimmed.number()
      } else if line.begins(with: "count:") {
        references = references ?? line.dropping(6).trimmed.number().map { Int(clamping: $0) }
      } else if line.begins(with: "exp_name:") {
        exporter = exporter ?? line.dropping(9).trimmed
      } else if line.begins(with: "name:") {
        var whole = rest.dropping(5)
        if whole.first == 0x09 { whole = whole.dropping(1) }
        if whole.last == 0x0A { whole = whole[from: 0, to: whole.count - 1] }
        name = whole
        return
      }
      rest = rest.dropping(end + 1)
    }
  }
}
