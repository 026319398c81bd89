// SPDX-License-Identifier: Apache-2.0

/// Decides what an encoder is asked for each frame: key picture or not, and its QP. Used by one worker at a time.
public protocol RateController: AnyObject {
  /// Takes over the settings; before the first frame and whenever they change.
  func configure(_ configuration: EncoderConfiguration)
  /// What to ask for the next frame, which is given to the engine.
  /// - Parameter wantsKey: somebody asked for a key frame, or the stream begins.
  func directive(wantsKey: Bool) -> EncodeDirective
  /// What came of a frame, as the bitstream says it.
  func coded(_ type: PictureType, isKey: Bool, qp: Int?, bytes: Int)
}

/// The engine holds the bitrate by itself. Which frames become key frames is decided here, unless it places them itself
/// too; with `fixqp` also the QP of each, where it takes one.
public final class EngineRate: RateController {
  private let encoder: any Encoder
  private let obeyed: EngineSettings
  private var gop = 1
  private var qp: (key: Int?, predicted: Int?)
  /// Frames given since the last key frame was asked for, that one counted.
  private var sinceKey = 0
  /// A key frame was asked for and has not come. With nothing left inside the engine skipped the frame, and owes it.
  private var awaitsKey = true

  /// - Parameters:
  ///   - encoder: the one that is driven.
  ///   - obeyed: what it obeys, with the values that `auto` means.
  public init(_ encoder: any Encoder, obeyed: EngineSettings) {
    self.encoder = encoder
    self.obeyed = obeyed
  }

  public func configure(_ configuration: EncoderConfiguration) {
    gop = configuration.gop
    let isFixed = encoder.capabilities.contains(.perFrameQP) && configuration.rateMode == .fixqp
    func value(_ key: SettingKey<Int>) -> Int? { isFixed ? configuration.settings[key] ?? obeyed[key]?.usual : nil }
    qp = (value(.keyQP), value(.predictedQP))
  }

  public func directive(wantsKey: Bool) -> EncodeDirective {
    let isDue = !encoder.placesKeyFrames && (awaitsKey && encoder.inside == 0 || sinceKey >= gop)
    let isKey = wantsKey || isDue
    if isKey { (awaitsKey, sinceKey) = (true, 0) }
    sinceKey += 1
    return EncodeDirective(type: isKey ? .idr : nil, qp: isKey ? qp.key : qp.predicted)
  }

  public func coded(_ type: PictureType, isKey: Bool, qp: Int?, bytes: Int) { if isKey { awaitsKey = false } }
}
