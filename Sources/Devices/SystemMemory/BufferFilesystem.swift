// SPDX-License-Identifier: Apache-2.0
internal import Reports

/// On which filesystem DMA-BUFs lie: the kernel has one for them all, which is mounted nowhere. A file of another may be called
/// like a buffer.
final class BufferFilesystem {
  /// That of a buffer of this program's own: certain, and the same until the machine is booted.
  var own: UInt64?
  /// That of a mapping of a buffer that is known otherwise.
  private var supposed: UInt64?

  /// Whether a mapping is one of a buffer.
  func has(_ mapped: MappedBuffer) -> Bool { mapped.device == own ?? supposed }

  /// Finds out by what is mapped.
  /// - Parameters:
  ///   - mounted: the filesystems that are mounted. Asked for only where there is something to decide.
  ///   - isKnown: whether a descriptor or the kernel's list knows a buffer of that inode, of which so much can be mapped.
  func choose(
    _ processes: [KnownProcess], _ scan: inout MemoryScan, mounted: () -> [UInt64], isKnown: (MappedBuffer) -> Bool
  ) {
    if own != nil { return }
    var there: [UInt64]?
    for process in processes {
      for mapped in process.mapped where mapped.device != supposed && isKnown(mapped) {
        if there == nil { there = mounted() }
        if there?.contains(mapped.device) == true { continue }
        if supposed != nil {
          // Two look like it. Neither is taken for it.
          scan.disagreements += 1
          supposed = nil
          return
        }
        supposed = mapped.device
      }
    }
  }
}
