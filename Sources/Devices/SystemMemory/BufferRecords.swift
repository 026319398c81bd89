// SPDX-License-Identifier: Apache-2.0
internal import CBPF
internal import Glibc
internal import Reports

/// What the program in the kernel left of each DMA-BUF: records of one size (`mpifs_bpf_record`), so that no name can be taken for a
/// buffer, whatever is in it.
struct BufferRecords {
  var buffers: [MemoryScan.Buffer] = []
  /// Buffers there were beyond the records.
  var missing = 0
  /// Records of a buffer that is already there, and what is left of one that was cut.
  var faults = 0

  /// - Parameter seen: how many buffers the kernel showed.
  init(parsing bytes: KernelBytes, seen: Int, _ texts: TextStore) {
    let length = MemoryLayout<mpifs_bpf_record>.stride
    let count = min(bytes.count / length, max(0, seen))
    if bytes.count % length != 0 { faults += 1 }
    missing = max(0, seen - count)
    buffers.reserveCapacity(count)
    var known: Set<UInt64> = []
    for index in 0..<count {
      let record = bytes[from: index * length, to: (index + 1) * length]
      let inode = record.loadUnaligned(as: UInt64.self)
      // Whoever else has this list gone through at the same moment gives a second record.
      guard known.insert(inode).inserted else {
        faults += 1
        continue
      }
      var buffer = MemoryScan.Buffer(inode: inode, size: record.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      buffer.references = Int(exactly: record.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
      buffer.name = Self.text(record, \.name, 32, texts)
      buffer.exporter = Self.text(record, \.exporter, 56, texts)
      buffers.append(buffer)
    }
  }

  /// What stands before the zero; `nil` for nothing.
  private static func text<Field>(
    _ record: KernelBytes, _ field: KeyPath<mpifs_bpf_record, Field>, _ size: Int, _ texts: TextStore
  ) -> String? {
    guard let start = MemoryLayout<mpifs_bpf_record>.offset(of: field) else { return nil }
    let whole = record[from: start, to: start + size]
    let text = whole[from: 0, to: whole.position(of: 0) ?? whole.count]
    return text.isEmpty ? nil : texts.text(text)
  }
}
