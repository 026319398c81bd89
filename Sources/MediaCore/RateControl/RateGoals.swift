// SPDX-License-Identifier: Apache-2.0
public import Reports

/// What a stream's rate is held to. Rates are bits a second.
public struct RateGoals: Sendable, Equatable {
  public var mode: RateControlMode
  /// The mean aimed at.
  public var target: Double
  /// What no window goes over, with `vbr` and `avbr`.
  public var maximum: Double
  /// Length of the window in seconds.
  public var window: Double
  public var framesPerSecond: Double
  /// Pictures from one key picture to the next.
  public var gop: Int
  public var pixels: Int
  /// What the coding counts its quantisers in.
  public var scale: QuantiserScale
  /// QPs of predicted and of key pictures; quality factors where every picture stands alone.
  public var predicted: ClosedRange<Int>
  public var key: ClosedRange<Int>
  /// Sizes of key pictures over those of predicted ones.
  public var keyRatio: ClosedRange<Int>
  /// Rate over which frames are left out, where the QP cannot go higher; `nil`: none ever is.
  public var lossThreshold: Double?
  /// How often a picture that stands alone may be coded again that came out so large that the window would be overdrawn.
  public var reencodes: Int
  /// Frames that are left out one after the other at most; `nil`: as many as it takes.
  public var lossGap: Int?
  public var superFrames = SuperFrames()
  /// Layers of predicted pictures.
  public var hierarchy: HierarchicalQP?
  /// QP of predicted pictures minus that of key pictures, where there is room for it.
  public var keyDelta = usualKeyDelta
  /// The most steps that a key picture is coarser than its neighbours, even where its window is overdrawn so.
  public var keyRise = usualKeyRise
  /// What a scene that stands still costs at least, with `avbr`; `nil`: what the rate control thinks right.
  public var minimum: Double?
  /// The QPs of all pictures, with `fixqp`.
  public var fixed: FixedQP?

  public init(
    mode: RateControlMode = .cbr, target: Double, maximum: Double? = nil, window: Double = 1, framesPerSecond: Double,
    gop: Int, pixels: Int, predicted: ClosedRange<Int> = 0...51, key: ClosedRange<Int>? = nil,
    keyRatio: ClosedRange<Int> = 1...100, lossThreshold: Double? = nil, scale: QuantiserScale = .qp, reencodes: Int = 0
  ) {
    self.mode = mode
    self.target = max(1, target)
    self.maximum = max(maximum ?? target * Self.usualPeak, self.target)
    self.window = window
    self.framesPerSecond = max(0.1, framesPerSecond)
    self.gop = max(1, gop)
    self.pixels = pixels
    self.predicted = predicted
    self.key = key ?? predicted
    self.keyRatio = keyRatio
    self.lossThreshold = lossThreshold
    self.scale = scale
    self.reencodes = reencodes
  }

  /// Where nothing is written: what is predicted from deserves a little more, and is not seen to pulse.
  public static let usualKeyDelta = 1
  public static let usualKeyRise = 12
  /// `max_bitrate` over `bitrate` where it is not said.
  public static let usualPeak = 1.5
  /// `lost_threshold` where it is not said, in per cent of `bitrate`.
  public static let usualLossPercent = 130
  /// What the windows of `cbr` may have over the target: with a key picture every two windows, those with one and those without differ
  /// by twice this, or the mean is missed.
  static let constantPeak = 1.12
  /// In the window of a cut, which costs about as much as a key picture and comes unasked.
  static let cutPeak = 1.21
  /// What is planned of a maximum: pictures miss their forecast by some per cent.
  static let margin = 0.97

  /// Bits a second that the windows are planned for.
  func ceiling(withCut: Bool) -> Double {
    switch mode {
    case .vbr, .avbr: min(maximum * Self.margin, target * 4)
    default: target * (withCut ? Self.cutPeak : Self.constantPeak)
    }
  }

  /// Windows over this are counted and shown: the goal was missed.
  public var overflowRate: Double {
    switch mode {
    case .vbr, .avbr: maximum * 1.05
    default: target * 1.15
    }
  }

  /// Windows after which a mean that was missed is made up for.
  var horizon: Double { mode == .cbr ? 1 : 6 }

  /// QPs of key pictures and of the others.
  public struct FixedQP: Sendable, Equatable {
    public var key: Int
    public var predicted: Int

    public init(key: Int, predicted: Int) {
      self.key = key
      self.predicted = predicted
    }
  }

  public init(_ configuration: EncoderConfiguration, obeyed: EngineSettings) {
    let settings = configuration.settings
    func bound(_ key: SettingKey<Int>, _ other: Int) -> Int { settings[key] ?? obeyed[key]?.usual ?? other }
    let isAlone = configuration.codec.isEachPictureKey
    let (low, high) =
      isAlone ? (bound(.leastQuality, 1), bound(.mostQuality, 99)) : (bound(.minQP, 0), bound(.maxQP, 51))
    let (keyLow, keyHigh) = (settings[.minKeyQP] ?? low, settings[.maxKeyQP] ?? high)
    let (leastRatio, mostRatio) = (bound(.minKeyRatio, 1), bound(.maxKeyRatio, 100))
    self.init(
      mode: configuration.rateMode, target: Double(configuration.bitrate) * 1000,
      maximum: settings[.maxBitrate].map { Double($0) * 1000 }, window: Double(bound(.rateWindow, 1)),
      framesPerSecond: configuration.frameRate.framesPerSecond, gop: isAlone ? 1 : configuration.gop,
      pixels: configuration.width * configuration.height, predicted: low...max(low, high),
      key: keyLow...max(keyLow, keyHigh), keyRatio: leastRatio...max(leastRatio, mostRatio),
      lossThreshold: settings[.lossMode] == "normal"
        ? Double(settings[.lossThreshold] ?? configuration.bitrate * Self.usualLossPercent / 100) * 1000 : nil,
      scale: .of(configuration.codec), reencodes: isAlone ? bound(.maxReencodes, 0) : 0)
    lossGap = settings[.lossGap]
    superFrames = SuperFrames(settings)
    keyDelta = settings[.keyQPDelta] ?? Self.usualKeyDelta
    keyRise = settings[.breathing] ?? Self.usualKeyRise
    minimum = settings[.minBitrate].map { Double($0) * 1000 }
    if settings[.hasLayers] == 1 {
      hierarchy = HierarchicalQP(counts: settings[.layerCounts] ?? [], deltas: settings[.layerDeltas] ?? [])
    }
    if mode == .fixqp { fixed = FixedQP(key: bound(.keyQP, 26), predicted: bound(.predictedQP, 26)) }
  }
}
