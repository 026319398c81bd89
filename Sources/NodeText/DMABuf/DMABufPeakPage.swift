// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_dmabuf/peak`: the most there was, rounded down to MiB.
public enum DMABufPeakPage {
  static let page = Page(
    "rk_dmabuf/peak", capacity: 64, takes: Intake("0", parse: parse), needs: .look(.totals),
    "most there was of it; 0 resets it"
  ) { write($0.memory, to: &$1) }

  /// Writes `Peak: <n> MiB`; a peak below one MiB is 0.
  public static func write(_ totals: MemoryTotals, to out: inout TextWriter) {
    out.text("Peak: ")
    out.number(totals.peakBytes >> 20)
    out.text(" MiB\n")
  }

  /// Only the first byte counts, as in the vendor's driver: `0` resets, anything else is EINVAL.
  @Sendable private static func parse(_ text: [UInt8]) throws(Intake.Mistake) -> Intake.Action {
    guard text.first == UInt8(ascii: "0") else {
      throw Intake.Mistake(reason: "the first byte is not 0", hint: "write 0 to reset the peak")
    }
    return .resetMemoryPeak
  }
}
