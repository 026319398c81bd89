// SPDX-License-Identifier: Apache-2.0

/// Predicted pictures in layers, each with so much of the QP taken off: those that many others are predicted from are made finer. The
/// vendor's `HierarchicalQp`: FrameNum and QpDelta of four layers.
///
/// `counts[3]` pictures of the uppermost layer come one after the other, then one of the layer below; after `counts[2]` of those, with
/// as many of the uppermost before each, one of the next below, and so on. The lowest layer that has a count comes whenever all above it have had
/// theirs. A key picture begins anew.
public struct HierarchicalQP: Sendable, Equatable {
  public static let layers = 4
  public static let counts = 0...5
  public static let deltas = -10...10

  /// Pictures of each layer, lowest first; 0: there is no such layer.
  public let counts: SIMD4<Int>
  /// What is taken off the QP of its pictures.
  public let deltas: SIMD4<Int>
  /// How many of all predicted pictures are in each layer.
  private let shares: SIMD4<Double>
  private let lowest: Int

  /// - Returns: `nil` where there are not four of each, or no layer has a picture.
  public init?(counts: [Int], deltas: [Int]) {
    guard counts.count == Self.layers, deltas.count == Self.layers, let lowest = counts.firstIndex(where: { $0 > 0 })
    else { return nil }
    self.counts = SIMD4(counts[0], counts[1], counts[2], counts[3])
    self.deltas = SIMD4(deltas[0], deltas[1], deltas[2], deltas[3])
    self.lowest = lowest
    // Of what begins anew with each picture of the lowest layer: one of it, and so many of each above for every one below.
    var (shares, total, repeated) = (SIMD4<Double>(), 1.0, 1.0)
    shares[lowest] = 1
    for layer in counts.indices.dropFirst(lowest + 1) where counts[layer] > 0 {
      shares[layer] = repeated * Double(counts[layer])
      repeated *= Double(counts[layer]) + 1
      total += shares[layer]
    }
    self.shares = shares / total
  }

  /// How far a group of pictures has come.
  public struct Position: Sendable, Equatable {
    fileprivate var seen = SIMD4<Int>()
    public init() {}
  }

  /// The layer of the next predicted picture, 0 the lowest.
  public func layer(_ position: inout Position) -> Int {
    for layer in stride(from: Self.layers - 1, to: lowest, by: -1) where position.seen[layer] < counts[layer] {
      position.seen[layer] += 1
      for above in layer + 1..<Self.layers { position.seen[above] = 0 }
      return layer
    }
    position = Position()
    return lowest
  }

  /// Mean cost of the layers' pictures over that of pictures without layers, where a step of QP is so much of log2 of the bits.
  func meanCost(slope: Double) -> Double {
    (0..<Self.layers).reduce(0) { $0 + shares[$1] * CostModel.factor(of: Double(deltas[$1]), slope) }
  }
}
