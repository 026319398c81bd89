// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_dmabuf/size`: bytes in buffers, rounded down to KiB.
public enum DMABufSizePage {
  static let page = Page(
    "rk_dmabuf/size", capacity: 64, needs: .look(.totals),
    "DMA-BUFs of the system, and this program's picture memory that is none"
  ) { write($0.memory, to: &$1) }

  /// Writes `Total: <n> KiB`.
  public static func write(_ totals: MemoryTotals, to out: inout TextWriter) {
    out.text("Total: ")
    out.number(totals.totalBytes >> 10)
    out.text(" KiB\n")
  }
}
