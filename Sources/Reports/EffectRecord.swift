// SPDX-License-Identifier: Apache-2.0

/// Whether a change that was accepted was seen in the stream.
public enum EffectVerdict: Sendable, Equatable {
  /// Not enough was coded since to tell.
  case pending
  /// The stream shows it, within the tolerance that `help` states.
  case effective
  /// The stream went as far as something else lets it.
  case limited(EffectLimit)
  /// The engine was given it; nothing in the stream's headers could show it.
  case applied
  /// The stream does not show it.
  case noEffect

  /// The words users see.
  public var text: String {
    switch self {
    case .pending: "pending"
    case .effective: "effective"
    case .limited(let limit): "limited by \(limit.rawValue)"
    case .applied: "applied"
    case .noEffect: "no_effect"
    }
  }
}

/// What keeps a stream from what was asked of it. The raw value is what users see after `limited by`.
public enum EffectLimit: String, Sendable, Equatable, CaseIterable {
  /// The coarsest quantiser the rate control may use: the picture takes more bits than asked for.
  case maxQP = "max_qp"
  /// The finest it may use; a lower `min_qp` lets it spend more.
  case minQP = "min_qp"
  /// The same of a JPEG quality factor.
  case leastQuality = "qfmin"
  case mostQuality = "qfmax"
  /// No more frames come.
  case sourceRate = "source rate"
  /// With the finest quantiser there is the picture takes no more bits.
  case simplePicture = "picture too simple"
  /// The hardware went that way and stopped short, with quantisers left to use.
  case device
  /// The same of an engine in software.
  case engine
  /// The rate has no room for key pictures as fine as that.
  case bitrate
  /// `rc_priority` lets large pictures pass while the rate has room.
  case ratePriority = "rc_priority"
  /// A picture was coded again as often as may be.
  case reencodes = "max_reencode_times"
}

/// One accepted change of a running channel and what became of it.
public struct EffectRecord: Sendable, Equatable {
  /// The object, for example `venc/0`.
  public var path: String
  /// The setting, for example `bitrate`.
  public var key: String
  /// Value before, as it reads back.
  public var old: String
  /// Value after, as it reads back.
  public var new: String
  /// Number of the first frame coded after the change.
  public var frame: UInt64
  /// Whether the stream shows it.
  public var verdict: EffectVerdict
  /// What was measured, without its unit; nil before the measurement.
  public var measured: String?
  /// Unit of `measured`, for example `kbps`; nil for a plain number.
  public var unit: String?
  /// Quantisers of the pictures measured, for example `qp=12..14` or `quality=30`, where they are why.
  public var quantisers: String?

  public init(
    path: String, key: String, old: String, new: String, frame: UInt64, verdict: EffectVerdict = .pending,
    measured: String? = nil, unit: String? = nil
  ) {
    self.path = path
    self.key = key
    self.old = old
    self.new = new
    self.frame = frame
    self.verdict = verdict
    self.measured = measured
    self.unit = unit
  }
}
