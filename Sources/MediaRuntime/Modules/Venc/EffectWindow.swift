// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// The quantisers a channel's rate control may use, for telling what holds a bitrate up.
struct QuantiserBounds: Sendable, Equatable {
  /// In force, where they are known: the setting, or what the engine uses by itself.
  var lowest: Int?
  var highest: Int?
  /// `min_qp` could be set lower.
  var isLowestChosen = false
  /// The coding has a quality factor: its quantiser is what that falls short of 100 by.
  var isQuality = false

  func number(_ picture: CodedPicture) -> Int? { isQuality ? picture.quality.map { 100 - $0 } : picture.qp }
}

/// Coded pictures of one window of the stream, in which a rate is measured.
struct EffectWindow: Sendable {
  /// Time stamp of its first picture, microseconds.
  let start: Int64
  /// Frames that had come to the channel by then, those left out by frame-rate control included.
  private let arrivedBefore: UInt64
  private var pictures = 0
  private var bits = 0
  /// Of the pictures that can tell the limit of a rate control: predicted ones, or all where there are no others.
  private var quantisers = Quantisers()
  private var keyQuantisers = Quantisers()
  private var isQuality = false

  private struct Quantisers: Sendable {
    var count = 0
    var low = Int.max
    var high = Int.min
    var atLow = 0
    var atHigh = 0
  }

  init(start: Int64, arrivedBefore: UInt64) {
    self.start = start
    self.arrivedBefore = arrivedBefore
  }

  mutating func add(_ picture: CodedPicture, bytes: Int, bounds: QuantiserBounds) {
    pictures += 1
    bits += bytes * 8
    isQuality = bounds.isQuality
    guard let qp = bounds.number(picture) else { return }
    func count(_ quantisers: inout Quantisers) {
      quantisers.count += 1
      quantisers.low = min(quantisers.low, qp)
      quantisers.high = max(quantisers.high, qp)
      // A picture's quantiser is the mean over its slices, rounded.
      if let lowest = bounds.lowest, qp <= lowest + 1 { quantisers.atLow += 1 }
      if let highest = bounds.highest, qp >= highest - 1 { quantisers.atHigh += 1 }
    }
    if picture.isKey { count(&keyQuantisers) } else { count(&quantisers) }
  }

  /// Whether it is as long as the rule wants when a picture of this time stamp comes.
  func isFull(_ rule: EffectRule, at pts: Int64) -> Bool {
    pictures >= 2 && pts - start >= rule.microseconds ?? 0
  }

  /// Kilobits a second up to a picture of this time stamp, which is not in it.
  func kilobits(until pts: Int64) -> Double { Double(bits) * 1000 / Double(max(1, pts - start)) }
  func pictures(until pts: Int64) -> Double { Double(pictures) * 1e6 / Double(max(1, pts - start)) }
  func arrivals(until pts: Int64, _ arrived: UInt64) -> Double {
    Double(arrived &- arrivedBefore) * 1e6 / Double(max(1, pts - start))
  }

  private var telling: Quantisers { quantisers.count > 0 ? quantisers : keyQuantisers }

  /// `qp=12..14`, or `quality=70`, of the pictures that can tell.
  var quantiserText: String? {
    let seen = telling
    guard seen.count > 0 else { return nil }
    let (low, high) = isQuality ? (100 - seen.high, 100 - seen.low) : (seen.low, seen.high)
    return "\(isQuality ? "quality" : "qp")=\(low == high ? "\(low)" : "\(low)..\(high)")"
  }

  /// Most of its pictures had the coarsest quantiser there may be, or the finest.
  var isAtHighest: Bool { telling.atHigh * 2 > telling.count }
  var isAtLowest: Bool { telling.atLow * 2 > telling.count }
}

extension EffectChange {
  /// What the stream of a window says of a rate that was asked for.
  /// - Parameters:
  ///   - pts: of the first picture after the window.
  ///   - arrived: frames that have come to the channel so far.
  func verdict(of window: EffectWindow, until pts: Int64, arrived: UInt64, baseline: Double?) -> EffectFinding {
    let isBitrate = measure == .bitrate
    let rule = isBitrate ? EffectRule.bitrate : .frameRate
    let tolerance = Double(rule.tolerancePercent) / 100
    let measured = isBitrate ? window.kilobits(until: pts) : window.pictures(until: pts)
    let isShort = measured < wanted
    var finding = EffectFinding(
      .effective, isBitrate ? "\(Int(measured.rounded()))" : "\((measured * 10).rounded() / 10)",
      unit: isBitrate ? "kbps" : "fps")
    guard abs(measured - wanted) > wanted * tolerance else { return finding }
    let limit =
      isBitrate
      ? bitrateLimit(window, isShort, until: pts)
      : isShort && window.arrivals(until: pts, arrived) < wanted * (1 - tolerance) ? .sourceRate : nil
    if let limit {
      finding.verdict = .limited(limit)
      if [.maxQP, .minQP, .leastQuality, .mostQuality, .simplePicture].contains(limit) {
        finding.quantisers = window.quantiserText
      }
    } else {
      // It went that way and stopped short, or did not move at all.
      let moved = baseline.map { (measured - $0) * ((wanted - $0) > 0 ? 1 : -1) > $0 * tolerance } ?? false
      finding.verdict = moved ? .limited(isDevice ? .device : .engine) : .noEffect
    }
    return finding
  }

  private func bitrateLimit(_ window: EffectWindow, _ isShort: Bool, until pts: Int64) -> EffectLimit? {
    guard isShort else { return window.isAtHighest ? bounds.isQuality ? .leastQuality : .maxQP : nil }
    if window.isAtLowest {
      return !bounds.isLowestChosen ? .simplePicture : bounds.isQuality ? .mostQuality : .minQP
    }
    if savesBits { return .simplePicture }
    // The bits of pictures that do not come cannot be spent.
    guard let rate = codedRate, window.pictures(until: pts) < rate * 0.85 else { return nil }
    return .sourceRate
  }
}

/// A verdict with what was measured.
struct EffectFinding: Sendable, Equatable {
  var verdict: EffectVerdict
  var measured: String?
  var unit: String?
  /// The quantisers of the pictures measured, where they are why.
  var quantisers: String?
  /// Where it is another one than the first after the change.
  var frame: UInt64?

  /// Nothing was measured.
  init(_ verdict: EffectVerdict, frame: UInt64?) {
    self.verdict = verdict
    self.frame = frame
  }

  init(_ verdict: EffectVerdict, _ measured: String, unit: String? = nil) {
    self.verdict = verdict
    self.measured = measured
    self.unit = unit
  }
}
