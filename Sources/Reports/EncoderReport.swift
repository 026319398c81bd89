// SPDX-License-Identifier: Apache-2.0

/// One encoder channel.
public struct EncoderReport: Sendable, Equatable {
  /// Channel number.
  public var channel: Int
  /// Its directory in the tree, for example `venc/0`.
  public var path: String
  /// Whether and how it runs.
  public var status: EncoderStatus
  /// What it is set to.
  public var attributes: EncoderAttributes
  /// The ring its coded bytes lie in; nil before it has one.
  public var ring: EncoderRing?
  /// What its engine does.
  public var engine: EncoderEngineStatus
  /// Parts of the picture with a quality of their own.
  public var regionsOfInterest: [RegionOfInterest]
  /// What the stream's syntax says.
  public var syntax: EncoderSyntax
  /// Its rate control.
  public var rateControl: RateControlReport

  public init(
    channel: Int, path: String = "", status: EncoderStatus = EncoderStatus(), attributes: EncoderAttributes,
    ring: EncoderRing? = nil, engine: EncoderEngineStatus = EncoderEngineStatus(),
    regionsOfInterest: [RegionOfInterest] = [], syntax: EncoderSyntax, rateControl: RateControlReport
  ) {
    self.channel = channel
    self.path = path
    self.status = status
    self.attributes = attributes
    self.ring = ring
    self.engine = engine
    self.regionsOfInterest = regionsOfInterest
    self.syntax = syntax
    self.rateControl = rateControl
  }
}
