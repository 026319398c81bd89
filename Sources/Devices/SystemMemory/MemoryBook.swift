// SPDX-License-Identifier: Apache-2.0
internal import Reports

/// Since when each buffer is known: the kernel does not tell how old one is.
struct MemoryBook {
  private struct Entry {
    var born: Int64
    var isOlder: Bool
    var look: UInt64
  }

  private var entries: [UInt64: Entry] = [:]
  private var looks: UInt64 = 0

  /// Enters the ages into what was seen.
  /// - Returns: whether there are buffers that the look before did not see.
  mutating func note(_ scan: inout MemoryScan) -> Bool {
    let isFirst = looks == 0
    looks += 1
    var hasNew = false
    for index in scan.buffers.indices {
      let inode = scan.buffers[index].inode
      var entry =
        entries[inode] ?? Entry(born: scan.monotonicMicroseconds, isOlder: isFirst, look: 0)
      hasNew = hasNew || entry.look == 0
      entry.look = looks
      entries[inode] = entry
      scan.buffers[index].bornMicroseconds = entry.born
      scan.buffers[index].isOlder = entry.isOlder
    }
    if entries.count > scan.buffers.count { entries = entries.filter { $0.value.look == looks } }
    return hasNew
  }
}
