// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import MediaCore

@Suite(.ownThread) struct QuantiserScaleTests {
  private static let scales: [(QuantiserScale, ClosedRange<Int>)] = [
    (.qp, 0...51), (.quality, 1...99), (.threshold, 1...31),
  ]

  @Test func everyNumberIsFoundByItsUnits() {
    for (scale, range) in Self.scales {
      for number in range {
        let found = scale.number(scale.units(number), in: range)
        // The coarsest tables of JPEG are the same: all of their steps are at their end.
        #expect(found == number || scale.units(found) == scale.units(number), "\(number) is \(found)")
      }
    }
  }

  @Test func moreUnitsAreNeverFiner() {
    for (scale, range) in Self.scales {
      var last = scale.number(-100, in: range)
      for tenth in -200...1200 {
        let number = scale.number(Double(tenth) / 10, in: range)
        #expect(scale.units(number) >= scale.units(last))
        last = number
      }
      #expect(scale.coarser(than: last, in: range) == nil)
    }
  }

  @Test func aNumberNeverLeavesItsRange() {
    for (scale, range) in Self.scales {
      for low in range {
        let part = low...min(range.upperBound, low + 3)
        for units in [-1000, 0, 20, 30, 45, 1000] as [Double] { #expect(part.contains(scale.number(units, in: part))) }
      }
    }
  }

  @Test func jpegIsFinerTheLargerItsFactor() {
    #expect(QuantiserScale.quality.coarser(than: 50, in: 1...99) == 49)
    #expect(QuantiserScale.quality.coarser(than: 30, in: 30...99) == nil)
    #expect(QuantiserScale.qp.coarser(than: 50, in: 0...51) == 51)
    // Twice the steps are six units: 50 is the example table, 25 twice that.
    #expect(abs(QuantiserScale.quality.units(25) - QuantiserScale.quality.units(50) - 6) < 0.1)
  }
}
