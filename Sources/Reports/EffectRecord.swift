// SPDX-License-Identifier: Apache-2.0

/// Whether a change that was accepted was seen in the stream. The raw value is the name users see.
public enum EffectVerdict: String, Sendable, Equatable, CaseIterable {
  /// Not enough was coded since to tell.
  case pending
  /// The stream shows it.
  case effective
  /// The stream does not show it.
  case noEffect = "no_effect"
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
