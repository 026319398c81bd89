// SPDX-License-Identifier: Apache-2.0

/// Decides what an encoder is asked for each frame: key picture or not, and its QP. Used by one worker at a time.
public protocol RateController: AnyObject {
  /// Takes over the settings; before the first frame and whenever they change.
  func configure(_ configuration: EncoderConfiguration)
  /// Whether it wants to know how pictures look.
  var looks: Bool { get }
  /// What to ask for the next frame, which is given to the engine.
  /// - Parameters:
  ///   - wantsKey: somebody asked for a key frame, or the stream begins.
  ///   - pts: the frame's, in microseconds.
  ///   - activity: how it looks, where that is known.
  /// - Returns: `nil` when the frame is to be left out for the rate's sake.
  func directive(wantsKey: Bool, pts: Int64, activity: PictureActivity?) -> EncodeDirective?
  /// A picture came and is not in the stream yet. Asked once for each, of engines that do their work within the call.
  func fate(bytes: Int) -> PictureFate
  /// What came of a frame, as the bitstream says it.
  func coded(_ type: PictureType, isKey: Bool, qp: Int?, bytes: Int)
  /// Frames it was asked about got no picture: the engine failed on them or left them out.
  func lost(_ count: Int)
  /// What it does and why, for reports; `nil` where the engine keeps that to itself.
  var status: RateStatus? { get }
}

extension RateController {
  public func fate(bytes: Int) -> PictureFate { .kept }
}

/// Which frames become key pictures: those asked for, and one a group.
struct KeySchedule {
  var gop = 1
  /// Frames given since the last key frame was asked for, that one counted.
  private var sinceKey = 0
  /// A key frame was asked for and has not come. With nothing left inside the engine skipped the frame, and owes it.
  private var awaitsKey = true

  mutating func isKey(_ encoder: any Encoder, wanted: Bool) -> Bool {
    let isDue = !encoder.placesKeyFrames && (awaitsKey && encoder.inside == 0 || sinceKey >= gop)
    let isKey = wanted || isDue
    if isKey { (awaitsKey, sinceKey) = (true, 0) }
    sinceKey += 1
    return isKey
  }

  /// The frame is left out.
  mutating func notGiven() { sinceKey -= 1 }

  mutating func keyCame() { awaitsKey = false }

  /// The next one must be a key picture.
  mutating func keyIsOwed() { awaitsKey = true }
}

/// The engine holds the bitrate by itself. Which frames become key frames is decided here, unless it places them itself
/// too; with `fixqp` also the QP of each, where it takes one.
public final class EngineRate: RateController {
  private let encoder: any Encoder
  private let obeyed: EngineSettings
  private var keys = KeySchedule()
  private var qp: (key: Int?, predicted: Int?)

  /// - Parameters:
  ///   - encoder: the one that is driven.
  ///   - obeyed: what it obeys, with the values that `auto` means.
  public init(_ encoder: any Encoder, obeyed: EngineSettings) {
    self.encoder = encoder
    self.obeyed = obeyed
  }

  public var looks: Bool { false }
  public var status: RateStatus? { nil }

  public func configure(_ configuration: EncoderConfiguration) {
    keys.gop = configuration.gop
    let isFixed = encoder.capabilities.contains(.perFrameQP) && configuration.rateMode == .fixqp
    func value(_ key: SettingKey<Int>) -> Int? { isFixed ? configuration.settings[key] ?? obeyed[key]?.usual : nil }
    qp = (value(.keyQP), value(.predictedQP))
  }

  public func directive(wantsKey: Bool) -> EncodeDirective {
    let isKey = keys.isKey(encoder, wanted: wantsKey)
    return EncodeDirective(type: isKey ? .idr : nil, qp: isKey ? qp.key : qp.predicted)
  }

  public func directive(wantsKey: Bool, pts: Int64, activity: PictureActivity?) -> EncodeDirective? {
    directive(wantsKey: wantsKey)
  }

  public func coded(_ type: PictureType, isKey: Bool, qp: Int?, bytes: Int) { if isKey { keys.keyCame() } }
  public func lost(_ count: Int) {}
}
