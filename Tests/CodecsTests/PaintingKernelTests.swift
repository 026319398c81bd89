// SPDX-License-Identifier: Apache-2.0
import CPainting
import Foundation
import TestSupport
import Testing

/// The loops with the processor's own instructions against the plain ones, and those against the formula.
@Suite(.ownThread) struct PaintingKernelTests {
  private static let every = (0...255).map { UInt8($0) }

  @Test func allBytesBlendTheSameWithAndWithoutVectors() {
    var (different, pairs) = (0, 0)
    for color in Self.every {
      let colors = [UInt8](repeating: color, count: 256)
      for share in Self.every {
        let shares = [UInt8](repeating: share, count: 256)
        var (fast, plain) = (Self.every, Self.every)
        mpifs_blend(&fast, colors, shares, 256)
        mpifs_blend_plain(&plain, colors, shares, 256)
        if memcmp(fast, plain, 256) != 0 { different += 1 }
        pairs += 1
      }
    }
    #expect(different == 0)
    #expect(pairs == 65536)
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
    var random = SplitMix(state: 5)
    func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
    for count in 0...100 {
      for shift in [0, 1, 7, 16] {
        let before = noise(200)
        let (colors, shares) = (noise(200), noise(200))
        var (fast, plain) = (before, before)
        fast.withUnsafeMutableBufferPointer { target in
          colors.withUnsafeBufferPointer { color in
            shares.withUnsafeBufferPointer { share in
              if let target = target.baseAddress, let color = color.baseAddress, let share = share.baseAddress {
                mpifs_blend(target + 40 + shift, color + shift, share + 3, count)
              }
            }
          }
        }
        for index in 0..<count {
          let (below, share) = (Int(before[40 + shift + index]), Int(shares[3 + index]))
          let sum = below * (255 - share) + Int(colors[shift + index]) * share
          plain[40 + shift + index] = UInt8((sum * 2 + 255) / 510)
        }
        #expect(fast == plain, "\(count) bytes, \(shift) further on")
      }
    }
  }
}
