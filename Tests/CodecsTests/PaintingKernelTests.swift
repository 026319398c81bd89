// SPDX-License-Identifier: Apache-2.0
import CPainting
import KernelChecks
import TestSupport
import Testing

/// The loops with the processor's own instructions against the plain ones, and those against the formula.
@Suite(.ownThread) struct PaintingKernelTests {
  private static let every = (0...255).map { UInt8($0) }

  @Test func allBytesBlendTheSameWithAndWithoutVectors() {
    var comparison = Comparison()
    comparison.blendAll()
    #expect(comparison.different.isEmpty)
    #expect(comparison.seen["blend"] == 65536)
  }

  @Test func blendingIsTheRoundedMean() {
    var wrong = 0
    for color: UInt8 in [0, 1, 100, 128, 254, 255] {
      let colors = [UInt8](repeating: color, count: 256)
      for share in Self.every {
        var found = Self.every
        mpifs_blend_plain(&found, colors, [UInt8](repeating: share, count: 256), 256)
        for below in 0...255 {
          let exact = Double(below * (255 - Int(share)) + Int(color) * Int(share)) / 255
          if Double(found[below]) != exact.rounded() { wrong += 1 }
        }
      }
    }
    #expect(wrong == 0)
  }

  @Test func noByteBeforeOrBehindIsWritten() {
    var comparison = Comparison()
    comparison.blendLines()
    #expect(comparison.different.isEmpty)
    #expect(comparison.seen["blend, lines"] == 404)
  }
}
