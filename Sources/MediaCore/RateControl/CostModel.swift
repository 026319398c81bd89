// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What pictures cost at which QP: `log2(bits) = level - slope * QP`. The level is learned from what pictures cost, the slope is given:
/// ITU-T H.264's step doubles every six QP, and the bits of predicted pictures fall faster than that by half for each five, those of intra
/// pictures slower (fitted on recorded costs of two engines; the pictures of one scene keep to it within a few per cent).
struct CostModel: Sendable, Equatable {
  let slope: Double
  /// log2 of the bits at QP 0.
  var level = 0.0

  static let predictedSlope = 0.20
  static let intraSlope = 0.155

  func bits(at qp: Double) -> Double { exp2(level - slope * qp) }

  /// The QP at which a picture costs so much.
  func qp(for bits: Double) -> Double { (level - log2(max(1, bits))) / slope }

  func level(of bits: Double, at qp: Double) -> Double { log2(max(8, bits)) + slope * qp }

  /// What a picture costs over another one whose QP is so much higher.
  static func factor(of steps: Double, _ slope: Double) -> Double { exp2(slope * steps) }
}

/// What pictures cost that nothing predicts: key pictures, and those after a cut. From texture and size alone within about a
/// quarter; what is left is learned from those that came.
struct IntraCost: Sendable, Equatable {
  private(set) var model: CostModel
  private let pixels: Double
  /// What the last ones cost more than their texture told, log2.
  private var bias: Double
  private let usualBias: Double
  private var texture = IntraCost.usualTexture

  private static let usualTexture = 5.0

  init(pixels: Int, _ scale: QuantiserScale = .qp) {
    self.pixels = Double(max(1, pixels))
    model = CostModel(slope: scale.intraSlope)
    bias = scale.intraBias
    usualBias = scale.intraBias
    expect(nil)
  }

  private func level(of texture: Double) -> Double { log2(pixels) + 1.2 + 0.8 * log2(max(0.3, texture)) }

  /// The next one looks like this; `nil`: like the last one.
  mutating func expect(_ texture: Double?) {
    self.texture = texture ?? self.texture
    model.level = level(of: self.texture) + bias
  }

  /// Another scene: half of what was learned is of the engine, the other half was of the scene.
  mutating func forgetScene() { bias = (bias + usualBias) / 2 }

  mutating func learn(_ bits: Double, at qp: Double, weight: Double) {
    bias += weight * (model.level(of: bits, at: qp) - level(of: texture) - bias)
    model.level = level(of: texture) + bias
  }
}
