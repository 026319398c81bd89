// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_dma_heap/dma_heap_info`: the buffers of each heap (`drivers/dma-buf/rk_heaps/rk-dma-heap.c` of
/// Rockchip's kernel).
///
/// The vendor's heaps are contiguous, so each buffer has one begin and end; here they are known of this program's own that lie in
/// one piece, and `?` stands for them else, and for devices of which no source tells. What the vendor calls *Alloc by* is the
/// buffer's name, there too.
public enum DMAHeapInfoPage {
  static let page = Page(
    "rk_dma_heap/dma_heap_info", needs: .look(.attachments), needsLayout: true, isPrivate: true,
    "buffers of each DMA-BUF heap, and their bytes"
  ) { write($0.systemMemory.attached, $0.physicalMemory, to: &$1) }

  /// Writes a block for each buffer, heap by heap, the newest first in each; then the sum.
  public static func write(_ scan: MemoryScan?, _ memory: PhysicalMemoryReport, to out: inout TextWriter) {
    var total: UInt64 = 0
    for heap in memory.heaps {
      for buffer in scan?.buffers ?? [] where buffer.exporter == heap {
        out.text("dma-heap:<")
        out.line(heap)
        out.text("> -dmabuf\ti_ino = ")
        out.number(buffer.inode)
        out.text("\n\tAlloc by (")
        let start = out.count
        out.line(buffer.name ?? "(null)")
        out.fill(0x20, 20 - (out.count - start))
        out.text(")\t[")
        writePlace(memory.ranges[buffer.inode] ?? [], buffer.size, to: &out)
        out.text("]\t0x")
        out.hexadecimal(buffer.size, digits: 16)
        out.text(" (")
        out.number(buffer.size >> 10)
        out.text(" KiB)\n\t\tAttached Devices:\n")
        if buffer.attachments == nil { out.text("\t\t?\n") }
        for device in buffer.attachments ?? [] {
          out.text("\t\t")
          out.outsideWord(device)
          out.newline()
        }
        out.text("Total ")
        if let attachments = buffer.attachments { out.number(attachments.count) } else { out.byte(0x3F) }
        out.text(" devices attached\n\n")
        let (sum, isTooLarge) = total.addingReportingOverflow(buffer.size)
        total = isTooLarge ? .max : sum
      }
    }
    out.text("\nTotal : 0x")
    out.hexadecimal(total)
    out.text(" (")
    out.number(total >> 10)
    out.text(" KiB)\n")
  }

  private static func writePlace(_ ranges: [PhysicalRange], _ size: UInt64, to out: inout TextWriter) {
    // Numbers of physical addresses have the digits of 64 bits, as the kernel prints them.
    guard ranges.count == 1, ranges[0].length == size else { return out.text("?-?") }
    out.text("0x")
    out.hexadecimal(ranges[0].start, digits: 16)
    out.text("-0x")
    out.hexadecimal(ranges[0].last, digits: 16)
  }
}
