// SPDX-License-Identifier: Apache-2.0

/// What the runtime's own rate control does, of one moment.
public struct RateStatus: Sendable, Equatable {
  /// Bits a second it aims at now.
  public var target: Double
  /// Bits in the window, and how many may be.
  public var level: Double
  public var ceiling: Double
  /// Pictures after which the window had more than its mode allows.
  public var overflows: UInt64
  /// The quantiser the last picture that came was asked for with, in the coding's numbers.
  public var asked: Int?
  /// QPs the next predicted and the next key picture can get.
  public var predicted: ClosedRange<Int>
  public var key: ClosedRange<Int>
}

/// The runtime's own rate control: the engine takes the QP of every picture, and ``RatePlan`` decides it.
public final class OwnRate: RateController {
  private let encoder: any Encoder
  private let obeyed: EngineSettings
  private var keys = KeySchedule()
  private var placed = PlacedKeys()
  /// Pictures since a group began, where groups begin from a background.
  private var sinceHead = 0
  private var plan: RatePlan?
  private var asked: Int?

  /// - Parameters:
  ///   - encoder: the one that is driven.
  ///   - obeyed: what is obeyed with it, with the values that `auto` means.
  public init(_ encoder: any Encoder, obeyed: EngineSettings) {
    self.encoder = encoder
    self.obeyed = obeyed
  }

  public func configure(_ configuration: EncoderConfiguration) {
    keys.gop = configuration.gop
    placed.expect(groupsOf: configuration.gop)
    var goals = RateGoals(configuration, obeyed: obeyed)
    if encoder.placesKeyFrames { goals.gop = placed.distance }
    if plan == nil { plan = RatePlan(goals) } else { plan?.change(goals) }
  }

  public var looks: Bool { true }

  public func directive(wantsKey: Bool, pts: Int64, activity: PictureActivity?) -> EncodeDirective? {
    let isKey = keys.isKey(encoder, wanted: wantsKey)
    let willBeKey = encoder.placesKeyFrames ? placed.isNext(wanted: isKey) : isKey
    let isHead = !willBeKey && plan.map { $0.goals.hasHeads && sinceHead >= $0.goals.gop } ?? false
    guard let decision = plan?.next(at: pts, isKey: willBeKey, isHead: isHead, activity) else { return nil }
    guard !decision.isLeftOut else {
      keys.notGiven()
      placed.notGiven()
      return nil
    }
    sinceHead = willBeKey || isHead ? 1 : sinceHead + 1
    // One that places its key pictures has their fixed quantiser itself.
    let isItsOwn = willBeKey && !isKey
    var directive = EncodeDirective(
      type: isKey ? .idr : nil, qp: isItsOwn ? plan?.goals.fixed?.predicted ?? decision.qp : decision.qp)
    directive.isHead = isHead
    return directive
  }

  public func fate(bytes: Int) -> PictureFate {
    let fate = plan?.fate(bits: Double(bytes) * 8) ?? .kept
    if fate == .discarded { keys.keyIsOwed() }
    return fate
  }

  public func coded(_ type: PictureType, isKey: Bool, qp: Int?, bytes: Int) {
    if isKey { keys.keyCame() }
    if encoder.placesKeyFrames { follow(isKey: isKey) }
    if let number = plan?.coded(bits: Double(bytes) * 8) { asked = number }
  }

  /// The engine's own groups may be shorter than asked.
  private func follow(isKey: Bool) {
    placed.came(isKey: isKey)
    guard var goals = plan?.goals, goals.gop != placed.distance else { return }
    goals.gop = placed.distance
    plan?.change(goals)
  }

  public func lost(_ count: Int) {
    for _ in 0..<count {
      plan?.lost()
      placed.lost()
    }
  }

  /// With `fixqp` it holds no rate; what pictures cost is learned for the mode that follows.
  public var status: RateStatus? {
    guard let plan, plan.goals.mode != .fixqp else { return nil }
    return plan.account.status(asked: asked)
  }
}

extension EncoderFactory {
  /// What drives an encoder of this factory.
  public func rateController(for encoder: any Encoder, _ configuration: EncoderConfiguration) -> any RateController {
    let obeyed = settings(for: configuration.codec)
    let control: any RateController
    // What does not go from fixed quantisers to a rate while it runs has quantisers of its own, where none are written.
    let isFixed = configuration.rateMode == .fixqp && obeyed[SettingKey<String>.rateControl.name] == nil
    if isFixed || !encoder.capabilities.contains(.heldByQP) {
      control = EngineRate(encoder, obeyed: obeyed)
    } else if configuration.codec.isEachPictureKey {
      control = PictureRate(encoder, obeyed: obeyed)
    } else {
      control = OwnRate(encoder, obeyed: obeyed)
    }
    control.configure(configuration)
    return control
  }
}

extension EngineSettings {
  /// What engines that take a QP with each picture obey by the runtime's rate control, beside the bounds of the QP itself.
  public static let heldByQP: [EngineSetting] = [
    EngineSetting(.maxBitrate, live: true), EngineSetting(.rateWindow, live: true, usual: 1),
    EngineSetting(.minKeyRatio, live: true, usual: 1), EngineSetting(.maxKeyRatio, live: true, usual: 100),
    EngineSetting(.lossMode, live: true), EngineSetting(.lossThreshold, live: true),
    EngineSetting(.lossGap, live: true), EngineSetting(.minBitrate, live: true), EngineSetting(.keyQPDelta, live: true),
    EngineSetting(.breathing, live: true), EngineSetting(.hasLayers, live: true),
    EngineSetting(.layerCounts, live: true),
    EngineSetting(.layerDeltas, live: true),
  ]

  /// The rate control's mode changes on the running stream: where quantisers come with the pictures alone. A device has some of its own, which are
  /// in force again when it is opened anew.
  public static let liveMode: [EngineSetting] = [EngineSetting(.rateControl, live: true)]

  /// A picture can be taken back: where none is inside when one has come.
  public static let takenBack: [EngineSetting] = [
    EngineSetting(.superFrameMode, live: true), EngineSetting(.superKeyBits, live: true),
    EngineSetting(.superPredictedBits, live: true), EngineSetting(.ratePriority, live: true),
    EngineSetting(.maxReencodes, live: true, usual: 1),
  ]

  /// What engines that take a quality factor with each picture obey by it.
  public static func heldByQuality(_ range: ClosedRange<Int>) -> [EngineSetting] {
    // Those of the vendor's channels, where nothing is written.
    let usual = max(range.lowerBound, min(range.upperBound, 30))...max(range.lowerBound, min(range.upperBound, 99))
    return [
      EngineSetting(.bitrate, live: true), EngineSetting(.maxBitrate, live: true),
      EngineSetting(.rateWindow, live: true, usual: 1),
      EngineSetting(.leastQuality, live: true, range, usual: usual.lowerBound),
      EngineSetting(.mostQuality, live: true, range, usual: usual.upperBound),
      EngineSetting(.lossMode, live: true), EngineSetting(.lossThreshold, live: true),
    ]
  }
}
