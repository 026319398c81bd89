// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How a coding counts its quantiser. A rate control counts in units of its own, in which costs are straight lines: six of them
/// double the step, and more of them are fewer bits, as with the QP of ITU-T H.264. What it decides is turned into the coding's numbers here.
public struct QuantiserScale: Sendable, Equatable {
  private enum Kind: Sendable { case qp, quality, threshold }

  private let kind: Kind
  /// log2 of the bits that one unit less costs, of predicted and of intra pictures.
  let predictedSlope: Double
  let intraSlope: Double
  /// log2 of what an intra picture costs more than one of H.264 of the same texture at the same number of units.
  let intraBias: Double

  /// H.264 and H.265, and what takes its quantisers from them: a unit is one.
  public static let qp = QuantiserScale(
    kind: .qp, predictedSlope: CostModel.predictedSlope, intraSlope: CostModel.intraSlope, intraBias: 0)

  /// JPEG's quality factor, by the steps of the table it makes. Fitted on three clips of a camera, a film and a moving hand camera at quality
  /// 5 to 97: within a tenth of the bits for each doubling of the step.
  public static let quality = QuantiserScale(
    kind: .quality, predictedSlope: 0.095, intraSlope: 0.095, intraBias: -1.15)

  /// FWHT of the kernel's vicodec: coefficients up to the number become 0, so that the first numbers do more than the later ones. Fitted on
  /// two clips at 1 to 31.
  public static let threshold = QuantiserScale(
    kind: .threshold, predictedSlope: CostModel.predictedSlope, intraSlope: 0.145, intraBias: 3.7)

  public static func of(_ codec: Codec) -> QuantiserScale {
    switch codec {
    case .mjpeg: .quality
    case .fwht: .threshold
    case .h264, .h265, .vp8: .qp
    }
  }

  /// Of each quality factor, six times the mean log2 of the steps of the lower half of the frequencies: the others hardly cost.
  private static let qualities: [Double] =
    [.infinity]
    + (1...100).map { quality in
      6 * (0..<28).map { log2(Double(JPEGTables.step($0, quality: quality))) }.reduce(0, +) / 28
    }

  /// - Parameter number: the coding's quantiser; 1...100 with JPEG.
  func units(_ number: Int) -> Double {
    switch kind {
    case .qp: Double(number)
    case .quality: Self.qualities[min(100, max(1, number))]
    case .threshold: 6 * log2(Double(max(0, number)) + 4) + 8
    }
  }

  /// Least and largest number of units of a range of the coding's quantisers.
  func units(_ range: ClosedRange<Int>) -> ClosedRange<Double> {
    let ends = (units(range.lowerBound), units(range.upperBound))
    return min(ends.0, ends.1)...max(ends.0, ends.1)
  }

  /// The coding's quantiser for so many units.
  func number(_ units: Double, in range: ClosedRange<Int>) -> Int {
    let bounds = self.units(range)
    let units = min(bounds.upperBound, max(bounds.lowerBound, units))
    let number: Int
    switch kind {
    case .qp: number = Int(units.rounded())
    case .threshold: number = Int((exp2((units - 8) / 6) - 4).rounded())
    case .quality:
      // The first that is not coarser, or its neighbour below where that is nearer.
      var (low, high) = (max(1, range.lowerBound), min(100, range.upperBound))
      while low < high {
        let middle = (low + high) / 2
        if Self.qualities[middle] <= units { high = middle } else { low = middle + 1 }
      }
      let below = max(range.lowerBound, low - 1)
      number = self.units(below) - units < units - self.units(low) ? below : low
    }
    return min(range.upperBound, max(range.lowerBound, number))
  }

  /// The next coarser quantiser; `nil` where there is none.
  func coarser(than number: Int, in range: ClosedRange<Int>) -> Int? {
    let next = kind == .quality ? number - 1 : number + 1
    return range.contains(next) ? next : nil
  }
}
