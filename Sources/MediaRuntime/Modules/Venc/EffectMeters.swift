// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// The most that a window of `stat_time` has of a stream, and the frames that were left out one after the other.
struct PeakMeter: Sendable {
  private let length: Int64
  private var rates: RateWindow
  /// Of the first picture: windows that began before are not whole.
  private let first: Int64
  /// Of the pictures since another try began.
  private var tally: EffectWindow
  private var mostBits = 0.0
  private var seenLeftOut: UInt64?
  /// Frames left out between two pictures at most.
  private(set) var longestLoss: UInt64 = 0

  /// - Parameters:
  ///   - length: of a window, microseconds.
  ///   - start: of its first picture.
  init(length: Int64, start: Int64) {
    self.length = max(1, length)
    rates = RateWindow(length: length)
    first = start
    tally = EffectWindow(start: start, arrivedBefore: 0)
  }

  /// Whether so many windows have passed when a picture of this time comes.
  func isFull(_ windows: Int, at pts: Int64) -> Bool { pts - tally.start >= Int64(windows) * length }

  /// Another try; what is in the window stays there.
  mutating func begin(at pts: Int64) {
    tally = EffectWindow(start: pts, arrivedBefore: 0)
    (mostBits, longestLoss) = (0, 0)
  }

  mutating func add(_ seen: EffectWatch.Seen, bounds: QuantiserBounds) {
    tally.add(seen.picture, bytes: seen.bytes, bounds: bounds)
    longestLoss = max(longestLoss, seen.leftOut &- (seenLeftOut ?? seen.leftOut))
    seenLeftOut = seen.leftOut
    rates.add(Double(seen.bytes) * 8, at: seen.pts)
    if seen.pts - first >= length { mostBits = max(mostBits, rates.total) }
  }

  var kilobits: Double { mostBits * 1000 / Double(length) }
  var isAtHighest: Bool { tally.isAtHighest }
  var quantiserText: String? { tally.quantiserText }
}

/// The size of a key picture over the mean of those that follow it.
struct KeyRatioMeter: Sendable {
  private var key: (bytes: Int, qp: Int?)?
  private var predicted = (bytes: 0, count: 0)

  struct Group: Sendable {
    var ratio: Double
    /// Mean bits of the others.
    var predictedBits: Double
    var keyQP: Int?
  }

  /// - Returns: the group that ends before this picture.
  mutating func add(_ picture: CodedPicture, bytes: Int) -> Group? {
    guard picture.isKey else {
      predicted = (predicted.bytes + bytes, predicted.count + 1)
      return nil
    }
    defer { (key, predicted) = ((bytes, picture.qp), (0, 0)) }
    guard let key, predicted.bytes > 0 else { return nil }
    let mean = Double(predicted.bytes) / Double(predicted.count)
    return Group(ratio: Double(key.bytes) / mean, predictedBits: mean * 8, keyQP: key.qp)
  }
}

/// The largest pictures of whole groups.
struct LargestMeter: Sendable {
  private(set) var groups = -1
  private(set) var key = (bits: 0, qp: 0)
  private(set) var predicted = (bits: 0, qp: 0)
  /// Frames that the rate control left out meanwhile.
  private(set) var discarded: UInt64 = 0
  private var leftOut: UInt64?

  /// Pictures before the first key picture may be from before a change. One that follows a picture which was left out stays, whatever
  /// it takes: the stream goes on with it.
  mutating func add(_ seen: EffectWatch.Seen) {
    let (picture, bytes) = (seen.picture, seen.bytes)
    let lost = seen.leftOut &- (leftOut ?? seen.leftOut)
    leftOut = seen.leftOut
    if picture.isKey { groups += 1 }
    guard groups >= 0 else { return }
    discarded += lost
    guard lost == 0 else { return }
    if picture.isKey {
      if bytes * 8 > key.bits { key = (bytes * 8, picture.qp ?? 0) }
    } else if bytes * 8 > predicted.bits {
      predicted = (bytes * 8, picture.qp ?? 0)
    }
  }
}

extension EffectChange {
  func verdict(of meter: PeakMeter) -> EffectFinding {
    guard measure != .lossRun else {
      let isKept = Double(meter.longestLoss) <= wanted
      return EffectFinding(isKept ? .effective : .noEffect, "\(meter.longestLoss)", unit: "frames left out in a row")
    }
    var finding = EffectFinding(.effective, "\(Int(meter.kilobits.rounded()))", unit: "kbps at most")
    guard meter.kilobits > wanted * (1 + tolerance) else { return finding }
    finding.verdict = meter.isAtHighest ? .limited(.maxQP) : .noEffect
    if meter.isAtHighest { finding.quantisers = meter.quantiserText }
    return finding
  }

  func verdict(of group: KeyRatioMeter.Group, isLeast: Bool) -> EffectFinding {
    var finding = EffectFinding(.effective, "\((group.ratio * 10).rounded() / 10)", unit: "times the others")
    let isMet = isLeast ? group.ratio >= wanted * (1 - tolerance) : group.ratio <= wanted * (1 + tolerance)
    guard !isMet else { return finding }
    let (lowest, highest) = (goals?.key.lowerBound ?? 0, goals?.key.upperBound ?? 51)
    // It bounds what is planned for: pictures that cost nothing are not what key pictures are measured by.
    let planned = goals.map { 0.3 * $0.target / $0.framesPerSecond } ?? 0
    if group.predictedBits < planned {
      finding.verdict = .limited(.simplePicture)
    } else if let qp = group.keyQP, isLeast ? qp <= lowest + 1 : qp >= highest - 1 {
      finding.verdict = .limited(isLeast ? .minQP : .maxQP)
    } else {
      finding.verdict = .noEffect
    }
    return finding
  }

  func verdict(of largest: LargestMeter) -> EffectFinding {
    guard let goals else { return EffectFinding(.noEffect, "nothing") }
    let rules = goals.superFrames
    let keys = key != SettingKey.superPredictedBits.name
    let others = key != SettingKey.superKeyBits.name
    let text =
      keys && others
      ? "\(largest.key.bits) for key pictures and \(largest.predicted.bits) for others"
      : "\(keys ? largest.key.bits : largest.predicted.bits)"
    let unit = "bits at most" + (largest.discarded > 0 ? ", \(largest.discarded) left out" : "")
    var finding = EffectFinding(.effective, text, unit: unit)
    let keyIsOver = keys && Double(largest.key.bits) > rules.key ?? .infinity
    let otherIsOver = others && Double(largest.predicted.bits) > rules.predicted ?? .infinity
    guard keyIsOver || otherIsOver else { return finding }
    let isCoarsest =
      keyIsOver ? largest.key.qp >= goals.key.upperBound - 1 : largest.predicted.qp >= goals.predicted.upperBound - 1
    finding.verdict =
      isCoarsest
      ? .limited(.maxQP)
      : rules.priority == .bitrate
        ? .limited(.ratePriority)
        : rules.mode == .reencode ? .limited(keyIsOver ? .reencodes : .engine) : .noEffect
    return finding
  }
}
