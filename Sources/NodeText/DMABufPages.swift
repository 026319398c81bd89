// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor kernel's `rk_dmabuf/size` and `rk_dmabuf/peak`: one line each, both rounded down, `size` in KiB and `peak`
/// in MiB.
public enum DMABufPages {
  /// Writes `Total: <n> KiB`.
  public static func writeSize(_ totals: MemoryTotals, to out: inout TextWriter) {
    out.text("Total: ")
    out.number(totals.totalBytes >> 10)
    out.text(" KiB\n")
  }

  /// Writes `Peak: <n> MiB`; a peak below one MiB is 0.
  public static func writePeak(_ totals: MemoryTotals, to out: inout TextWriter) {
    out.text("Peak: ")
    out.number(totals.peakBytes >> 20)
    out.text(" MiB\n")
  }
}
