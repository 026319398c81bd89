// SPDX-License-Identifier: Apache-2.0

/// The runtime's own rate control of codings whose every picture stands alone: the engine takes a quality factor with each, and
/// ``PicturePlan`` decides it.
public final class PictureRate: RateController {
  private let obeyed: EngineSettings
  private let codesAgain: Bool
  private var plan: PicturePlan?
  private var asked: Int?

  /// - Parameters:
  ///   - encoder: the one that is driven.
  ///   - obeyed: what is obeyed with it, with the values that `auto` means.
  public init(_ encoder: any Encoder, obeyed: EngineSettings) {
    codesAgain = encoder.capabilities.contains(.codesAgain)
    self.obeyed = obeyed
  }

  public func configure(_ configuration: EncoderConfiguration) {
    var goals = RateGoals(configuration, obeyed: obeyed)
    if !codesAgain { goals.reencodes = 0 }
    if plan == nil { plan = PicturePlan(goals) } else { plan?.change(goals) }
  }

  /// With `fixqp` the configuration's quality factor is used; what pictures cost is learned for the mode that follows.
  private var isFixed: Bool { plan?.goals.mode == .fixqp }

  public var looks: Bool { !isFixed }

  public func directive(wantsKey: Bool, pts: Int64, activity: PictureActivity?) -> EncodeDirective? {
    guard !isFixed else { return EncodeDirective() }
    guard let decision = plan?.next(at: pts, activity), !decision.isLeftOut else { return nil }
    return EncodeDirective(quality: decision.qp)
  }

  public func fate(bytes: Int) -> PictureFate {
    plan?.again(bits: Double(bytes) * 8).map { .again(EncodeDirective(quality: $0)) } ?? .kept
  }

  public func coded(_ type: PictureType, isKey: Bool, qp: Int?, bytes: Int) {
    if let number = plan?.coded(bits: Double(bytes) * 8) { asked = number }
  }

  public func lost(_ count: Int) { for _ in 0..<count { plan?.lost() } }

  public var status: RateStatus? {
    guard let plan, !isFixed else { return nil }
    return plan.account.status(asked: asked)
  }
}
