// SPDX-License-Identifier: Apache-2.0

/// How the rate is controlled. The raw value is the name users see.
public enum RateControlMode: String, Sendable, Equatable, CaseIterable {
  case cbr, vbr, avbr, fixqp
  /// Variable rate between two bounds, judged by the scene.
  case smart
}

/// What happens to a frame when the rate runs over.
public enum FrameLossMode: String, Sendable, Equatable {
  /// Nothing is left out.
  case none
  /// The frame is left out.
  case normal
  /// The frame is replaced by one that repeats the last.
  case skip
}

/// What gives way when rate and frame size cannot both be held.
public enum RatePriority: Int, Sendable, Equatable {
  /// The rate is held.
  case bitrate = 0
  /// The frame size is held.
  case frameSize = 1
}

/// Bounds of the quantisation parameter, 0-51. nil: the engine has none or does not tell.
public struct QPLimits: Sendable, Equatable {
  /// Lowest of predicted frames.
  public var minimum: Int?
  /// Highest of predicted frames.
  public var maximum: Int?
  /// Lowest of key frames.
  public var minimumKey: Int?
  /// Highest of key frames.
  public var maximumKey: Int?

  public init() {}
}

/// Parameters of the `avbr` mode. nil: not known.
public struct AdaptiveRate: Sendable, Equatable {
  /// Highest QP of a still scene.
  public var maximumStillQP: Int?
  /// How strongly motion raises the rate, 0-100.
  public var motionSensitivity: Int?
  /// Lowest rate of a still scene, percent of the target.
  public var minimumPercent: Int?
  /// What a still scene's lowest QP is lowered by.
  public var minimumQPDelta: Int?

  public init() {}
}

/// QPs by layer of predicted pictures, lowest layer first. Without layers all is 0.
public struct LayeredQP: Sendable, Equatable {
  /// Predicted pictures have layers.
  public var isEnabled = false
  /// Pictures of each layer.
  public var frameCounts = [0, 0, 0, 0]
  /// What is taken off the QP of each layer's pictures.
  public var deltas = [0, 0, 0, 0]

  public init() {}
}

/// What the rate controller did last. nil: the engine controls the rate itself and does not tell.
public struct RateRunReport: Sendable, Equatable {
  /// Rate over the last second, bits a second.
  public var currentBitsPerSecond: Int?
  /// Frame rate over the last second, frames a second.
  public var currentFrameRate: Int?
  /// Fill of the rate controller's model, bits.
  public var waterLevel: Int?
  /// Rate it aims at now, bits a second.
  public var targetBitsPerSecond: Int?
  /// `currentBitsPerSecond` as it was one measurement before, bits a second.
  public var previousBitsPerSecond: Int?
  /// Mean size of key frames over mean size of predicted frames, percent.
  public var keyToPredictedPercent: Int?
  /// QP of the last frame's start.
  public var startQP: Int?
  /// Lowest QP allowed for the last frame.
  public var minimumQP: Int?
  /// Highest QP allowed for the last frame.
  public var maximumQP: Int?

  public init() {}
}

/// Rate control of an encoder channel: what it is set to and what it did. nil: does not apply, or the engine does
/// not tell.
public struct RateControlReport: Sendable, Equatable {
  /// How the rate is controlled.
  public var mode: RateControlMode
  /// Frames from one key frame to the next; nil for a format of key frames only.
  public var gop: Int?
  /// Time over which the rate is measured, seconds.
  public var windowSeconds: Int?
  /// Frame rate that arrives, frames a second.
  public var sourceFrameRate = 0
  /// Frame rate that shall be coded, frames a second.
  public var targetFrameRate = 0
  /// Rate aimed at (`cbr`), bits a second.
  public var targetBitsPerSecond: Int?
  /// Upper bound of the rate (other modes), bits a second.
  public var maximumBitsPerSecond: Int?
  /// Lower bound of the rate, bits a second.
  public var minimumBitsPerSecond: Int?
  /// QP of key frames (`fixqp`).
  public var fixedKeyQP: Int?
  /// QP of predicted frames (`fixqp`).
  public var fixedPredictedQP: Int?
  /// Bounds of the QP over the rate controller's whole range.
  public var limits = QPLimits()
  /// Bounds of the QP for a single frame.
  public var frameLimits = QPLimits()
  /// Key frames are IDR frames: decoding can start there.
  public var sendsIDR = true
  /// What happens to a frame when the rate runs over.
  public var lossMode: FrameLossMode = .none
  /// Rate above which frames are lost, as it was set.
  public var lossThreshold: Int?
  /// Frames lost one after the other so far.
  public var framesLostInARow: Int?
  /// Most frames that may be lost one after the other.
  public var maximumLostInARow: Int?
  /// Size from which a key frame is too large, bits; 0 without bound.
  public var largeKeyFrameBits: Int?
  /// Size from which a predicted frame is too large, bits; 0 without bound.
  public var largePredictedFrameBits: Int?
  /// What gives way when rate and frame size cannot both be held.
  public var priority: RatePriority = .bitrate
  /// How references follow each other.
  public var gopMode: GOPMode = .normalP
  /// QP of predicted frames minus QP of key frames.
  public var keyQPDelta: Int?
  /// Frames between background pictures (`smartp`).
  public var backgroundInterval: Int?
  /// QP of predicted frames minus QP of virtual key frames (`smartp`).
  public var virtualKeyQPDelta: Int?
  /// QPs by layer of predicted pictures.
  public var layers = LayeredQP()
  /// Steps that a key picture may be coarser than its neighbours; nil: that is not bounded.
  public var breathingStrength: Int?
  /// Share of the highest rate at which the QP begins to be raised, percent (`vbr`).
  public var changePercent: Int?
  /// Lowest ratio of key to predicted frame size.
  public var minimumKeyRatio: Int?
  /// Highest ratio of key to predicted frame size.
  public var maximumKeyRatio: Int?
  /// How often a frame that is too large may be coded again.
  public var maximumReencodes: Int?
  /// Parameters of the `avbr` mode.
  public var adaptive = AdaptiveRate()
  /// What it did last.
  public var run = RateRunReport()

  public init(mode: RateControlMode) {
    self.mode = mode
  }
}
