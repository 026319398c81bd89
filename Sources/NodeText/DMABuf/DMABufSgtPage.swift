// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_dmabuf/sgt`: the pieces of memory each DMA-BUF lies in.
///
/// The vendor prints what an attached device sees; here it is physical memory, and of this program's own buffers alone. As on the
/// vendor's kernel, a buffer of which nothing is known has no line.
public enum DMABufSgtPage {
  static let page = Page(
    "rk_dmabuf/sgt", needs: .look(.totals), needsLayout: true, isPrivate: true,
    "pieces of physical memory that this program's DMA-BUFs lie in"
  ) { write($0.systemMemory.latest, $0.physicalMemory, to: &$1) }

  /// Writes the vendor's heading, an empty line, and a line for each piece.
  public static func write(_ scan: MemoryScan?, _ memory: PhysicalMemoryReport, to out: inout TextWriter) {
    DMABufColumns.writeHeading(to: &out)
    out.byte(0x20)
    out.right("SGLIST" as StaticString, 8)
    out.text("\n\n")
    for buffer in scan?.buffers ?? [] {
      for (index, range) in (memory.ranges[buffer.inode] ?? []).enumerated() {
        if index == 0 { DMABufColumns.write(buffer, to: &out) } else { out.fill(0x20, DMABufColumns.width) }
        out.right(index, 4)
        out.text(": 0x")
        out.hexadecimal(range.start, digits: 16)
        out.text("..0x")
        out.hexadecimal(range.last, digits: 16)
        out.text(" (")
        let isSmall = range.length < 1024
        out.right(isSmall ? range.length : range.length >> 10, 10)
        out.text(isSmall ? " Bytes)\n" : " KiB)\n")
      }
    }
  }
}
