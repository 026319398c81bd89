// SPDX-License-Identifier: Apache-2.0
public import Reports

/// Pictures that came out larger than they may, and what becomes of them. The vendor's words: a *super frame* is one with more bits
/// than its threshold.
public struct SuperFrames: Sendable, Equatable {
  public enum Mode: String, Sendable {
    case none
    /// Key pictures are coded again with a larger QP. Others cannot be: what an engine has predicted from cannot be taken back.
    case reencode
    /// The picture does not get into the stream; the next one is a key picture, which needs none before it.
    case discard
  }

  public var mode: Mode
  /// Bits from which a key picture, or another one, is too large; `nil`: none is.
  public var key: Double?
  public var predicted: Double?
  /// With ``RatePriority/bitrate`` a picture that the rate has room for stays.
  public var priority: RatePriority
  /// How often a picture is coded again at most.
  public var reencodes: Int

  public init(
    _ mode: Mode = .none, key: Double? = nil, predicted: Double? = nil, priority: RatePriority = .bitrate,
    reencodes: Int = 1
  ) {
    self.mode = mode
    self.key = key
    self.predicted = predicted
    self.priority = priority
    self.reencodes = reencodes
  }

  init(_ settings: ObjectSettings) {
    self.init(
      settings[.superFrameMode].flatMap(Mode.init) ?? .none, key: settings[.superKeyBits].map { Double($0) },
      predicted: settings[.superPredictedBits].map { Double($0) },
      priority: settings[.ratePriority] == Self.framesFirst ? .frameSize : .bitrate,
      reencodes: settings[.maxReencodes] ?? 1)
  }

  /// The vendor's word for ``RatePriority/frameSize``.
  public static let framesFirst = "framebits"
}

/// What becomes of a picture that an engine gave.
public enum PictureFate: Sendable, Equatable {
  case kept
  /// It is too large: the same frame is to be coded again, so.
  case again(EncodeDirective)
  /// It is too large: it does not get into the stream, and the next one becomes a key picture.
  case discarded
}

extension RatePlan {
  /// The oldest picture that was decided on has come and is not in the stream yet. What is not kept is planned anew, or not at all.
  ///
  /// A key picture after a key picture is always kept: consecutive ones must differ in their `idr_pic_id` (ITU-T H.264, 7.4.3), and
  /// engines count those that never got into the stream. So is the one after a picture that was discarded: the stream goes on.
  public mutating func fate(bits: Double) -> PictureFate {
    let rules = goals.superFrames
    guard rules.mode != .none, asked.count == 1, let picture = asked.first,
      let limit = picture.isKey ? rules.key : rules.predicted, bits > limit, mayTakeBack
    else { return .kept }
    let bounds = picture.isKey ? goals.key : goals.predicted
    guard picture.qp < goals.scale.units(bounds).upperBound else { return .kept }
    if rules.priority == .bitrate, window.total + bits - picture.bits <= goals.overflowRate * goals.window {
      return .kept
    }
    if picture.isKey { learnIntra(bits, at: picture.qp) }
    switch rules.mode {
    case .reencode:
      guard picture.isKey, attempts < rules.reencodes else { return .kept }
      attempts += 1
      return .again(EncodeDirective(type: .idr, qp: replan(below: limit)))
    case .discard:
      wasDiscarded = true
      lost()
      return .discarded
    case .none: return .kept
    }
  }
}
