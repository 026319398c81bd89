// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// One accepted change and what has been seen of it in the stream so far.
struct EffectWatch {
  /// A coded picture, and what went before it.
  struct Seen {
    let picture: CodedPicture
    let bytes: Int
    /// Microseconds.
    let pts: Int64
    let number: UInt64
    /// Frames that the rate control has left out so far.
    let leftOut: UInt64
  }

  let id: UInt64
  var change: EffectChange
  /// The first picture that was coded after the change.
  var frame: UInt64?
  /// What the measure was before, where it is known.
  var baseline: Double?
  /// The frame with which the engine was asked for a key frame.
  var requestedPTS: Int64?

  private var attempt = 0
  // Where a rate is measured, the worst of it, sizes, or quantisers beside each other.
  private var window: EffectWindow?
  private var peak: PeakMeter?
  private var ratio = KeyRatioMeter()
  private var largest = LargestMeter()
  private var neighbours = NeighbourMeter()
  private var layers: LayerMeter?
  private var groupRate = GroupRateMeter()
  private var pictures = 0
  private var bits = 0
  private var lastKey: UInt64?
  private var groups = 0
  private var lowest: Int?
  private var highest: Int?

  init(id: UInt64, change: EffectChange, frame: UInt64? = nil, baseline: Double? = nil) {
    self.id = id
    self.change = change
    self.frame = frame
    self.baseline = baseline
  }

  /// Looks at the next picture.
  /// - Parameters:
  ///   - arrivals: frames that have come to the channel so far.
  ///   - syntax: what the stream's headers say.
  /// - Returns: the verdict, once there is one.
  mutating func judge(
    _ seen: Seen, arrivals: () -> UInt64, syntax: () -> StreamSyntax?
  ) -> EffectFinding? {
    let (picture, wanted) = (seen.picture, change.wanted)
    switch change.measure {
    case .keyFrame:
      if picture.isKey { return finding(true, "key frame at \(seen.number)") }
      // Pictures of frames from before the request was handed on say nothing.
      guard let asked = requestedPTS, seen.pts >= asked else { return nil }
      return finding(false, "no key frame")
    case .taken:
      // The first picture may have been under way.
      pictures += 1
      return pictures > 1 ? EffectFinding(.applied, frame: seen.number) : nil
    case .quality:
      let effective = picture.quality == Int(wanted)
      groups += 1
      guard effective || groups > 1 else { return nil }
      return finding(effective, picture.quality.map { "\($0)" } ?? "unknown")
    case .quantiser(let ofKeys): return judgeQuantiser(seen, ofKeys: ofKeys)
    case .lowestQuantiser: return judgeBound(.lowestQuantiser, picture.isKey ? nil : picture.qp)
    case .highestQuantiser: return judgeBound(.highestQuantiser, picture.isKey ? nil : picture.qp)
    case .lowestKeyQuantiser: return judgeBound(.lowestKeyQuantiser, picture.isKey ? picture.qp : nil)
    case .highestKeyQuantiser: return judgeBound(.highestKeyQuantiser, picture.isKey ? picture.qp : nil)
    case .lowestQuality: return judgeBound(.lowestQuality, picture.quality)
    case .highestQuality: return judgeBound(.highestQuality, picture.quality)
    case .syntax: return judgeSyntax(picture, syntax())
    case .slices: return judgeSlices(picture)
    case .groups: return judgeGroup(picture.beginsGroup, seen.number)
    case .backgrounds: return judgeGroup(picture.isKey, seen.number)
    case .structure: return judgeStructure(picture, seen.number)
    case .bitrate: return judgeRate(seen, .bitrate, arrivals)
    case .frameRate: return judgeRate(seen, .frameRate, arrivals)
    case .peakRate, .lossRun: return judgePeak(seen)
    case .keyRatio(let isLeast):
      guard let group = ratio.add(picture, bytes: seen.bytes) else { return nil }
      return last(change.verdict(of: group, isLeast: isLeast), .keyRatio(isLeast: isLeast))
    case .keyDelta, .keyRise:
      guard let beside = neighbours.add(picture) else { return nil }
      return last(change.verdict(of: beside), .keyDelta)
    case .layers: return judgeLayers(picture)
    case .leastRate:
      guard let rate = groupRate.add(seen, EffectRule.leastRate.groups ?? 1, bounds: change.bounds) else { return nil }
      return last(change.verdict(of: rate), .leastRate)
    case .largest: return judgeLargest(seen)
    // The channel says which of the others it is.
    case .rateMode: return nil
    }
  }

  private func finding(_ isEffective: Bool, _ measured: String, unit: String? = nil) -> EffectFinding {
    EffectFinding(isEffective ? .effective : .noEffect, measured, unit: unit)
  }

  /// A finding that counts: it is effective, or there are no more tries.
  private mutating func last(_ found: EffectFinding, _ rule: EffectRule) -> EffectFinding? {
    attempt += 1
    return found.verdict == .effective || attempt >= rule.attempts ? found : nil
  }

  // MARK: rates and sizes

  private mutating func judgePeak(_ seen: Seen) -> EffectFinding? {
    let rule = EffectRule.peakRate
    var meter = peak ?? PeakMeter(length: Int64((change.goals?.window ?? 1) * 1e6), start: seen.pts)
    if meter.isFull(rule.rateWindows ?? 1, at: seen.pts) {
      if let found = last(change.verdict(of: meter), rule) { return found }
      meter.begin(at: seen.pts)
    }
    meter.add(seen, bounds: change.bounds)
    peak = meter
    return nil
  }

  private mutating func judgeLargest(_ seen: Seen) -> EffectFinding? {
    if seen.picture.isKey, largest.groups + 1 >= EffectRule.largest.groups ?? 1 {
      if let found = last(change.verdict(of: largest), .largest) { return found }
      largest = LargestMeter()
    }
    largest.add(seen)
    return nil
  }

  /// Rates are measured over whole windows of the stream, the last of which counts.
  private mutating func judgeRate(
    _ seen: Seen, _ rule: EffectRule, _ arrivals: () -> UInt64
  ) -> EffectFinding? {
    var finding: EffectFinding?
    if let window, window.isFull(rule, at: seen.pts) {
      let found = change.verdict(of: window, until: seen.pts, arrived: arrivals(), baseline: baseline)
      attempt += 1
      if found.verdict == .effective || attempt >= rule.attempts { finding = found }
      self.window = nil
    }
    var window = window ?? EffectWindow(start: seen.pts, arrivedBefore: arrivals())
    window.add(seen.picture, bytes: seen.bytes, bounds: change.bounds)
    self.window = window
    return finding
  }

  // MARK: quantisers

  /// A window of pictures that all keep the bound. The rate control may need some to get there.
  /// - Parameter number: what is bounded, of a picture; `nil` where it does not count.
  private mutating func judgeBound(_ rule: EffectRule, _ number: Int?) -> EffectFinding? {
    guard let number else { return nil }
    let size = if case .frames(let count) = rule.window { count } else { rule.groups ?? 1 }
    let isUpper =
      rule.measure == .highestQuantiser || rule.measure == .highestQuality
      || rule.measure == .highestKeyQuantiser
    pictures += 1
    lowest = min(lowest ?? number, number)
    highest = max(highest ?? number, number)
    guard pictures >= size, let low = lowest, let high = highest else { return nil }
    let isKept = isUpper ? high <= Int(change.wanted) : low >= Int(change.wanted)
    (pictures, lowest, highest) = (0, nil, nil)
    return last(finding(isKept, low == high ? "\(low)" : "\(low)..\(high)"), rule)
  }

  /// The stream's own word where it has one; else the mean size of such pictures, which a coarser quantiser makes smaller.
  /// The first may have been under way.
  private mutating func judgeQuantiser(_ seen: Seen, ofKeys: Bool) -> EffectFinding? {
    guard seen.picture.isKey == ofKeys else { return nil }
    let (wanted, before) = (Int(change.wanted), change.before ?? Int(change.wanted))
    pictures += 1
    bits += seen.bytes * 8
    if let found = seen.picture.qp {
      // Means over slices are rounded.
      let isEffective = abs(found - wanted) <= 1
      return isEffective || pictures > 2 ? finding(isEffective, "\(found)") : nil
    }
    let mean = Double(bits) / 8 / Double(pictures)
    let isLast = pictures >= (ofKeys ? Self.keySizes : Self.sizes)
    var isEffective = wanted == before
    var against = "none before to compare with"
    if let baseline, baseline > 0 {
      against = "\(Int(baseline)) before"
      if wanted != before { isEffective = wanted > before ? mean < baseline * 0.99 : mean > baseline * 1.01 }
    }
    guard isLast || isEffective && (ofKeys || pictures > 2) else { return nil }
    return finding(isEffective, "\(Int(mean)) bytes a picture, \(against)")
  }

  /// Pictures whose sizes are looked at before a quantiser is called without effect.
  private static let keySizes = 3
  private static let sizes = 16

  private mutating func judgeLayers(_ picture: CodedPicture) -> EffectFinding? {
    guard let hierarchy = change.goals?.hierarchy else { return nil }
    var meter = layers ?? LayerMeter(hierarchy)
    if picture.isKey, meter.groups >= EffectRule.layers.groups ?? 1 {
      if let found = last(change.verdict(of: meter), .layers) { return found }
      meter = LayerMeter(hierarchy)
    }
    meter.add(picture)
    layers = meter
    return nil
  }

  // MARK: headers and groups

  /// The headers come with a key picture; the first may have been under way. Slices' own say so with the next picture.
  private mutating func judgeSyntax(_ picture: CodedPicture, _ syntax: StreamSyntax?) -> EffectFinding? {
    if picture.isKey { groups += 1 }
    let found = syntax?.text(of: change.key)
    let isEffective = found == change.new
    guard isEffective || groups > 1 else { return nil }
    return finding(isEffective, found ?? "unknown")
  }

  private mutating func judgeSlices(_ picture: CodedPicture) -> EffectFinding? {
    if picture.isKey { groups += 1 }
    guard let slices = picture.slices else { return nil }
    let isEffective = (slices > 1) == (change.wanted > 1)
    guard picture.isKey, isEffective || groups > 1 else { return nil }
    return finding(isEffective, "\(slices)", unit: slices == 1 ? "slice" : "slices")
  }

  /// The first group after the change is one that began before it or with it; the next two count.
  private mutating func judgeGroup(_ begins: Bool, _ number: UInt64) -> EffectFinding? {
    let wanted = Int(change.wanted)
    guard begins else {
      pictures += 1
      guard let key = lastKey else {
        // No key frame at all within two of the longer groups.
        guard pictures > 2 * max(wanted, change.before ?? 0) else { return nil }
        return finding(false, "more than \(pictures)", unit: "frames")
      }
      guard number - key > UInt64(wanted) else { return nil }
      return finding(false, "more than \(number - key)", unit: "frames")
    }
    defer { lastKey = number }
    guard let key = lastKey else { return nil }
    groups += 1
    let distance = number - key
    if distance == UInt64(wanted) { return finding(true, "\(distance)", unit: "frames") }
    return groups < EffectRule.groups.groups ?? 1 ? nil : finding(false, "\(distance)", unit: "frames")
  }

  /// The engine is opened anew, so a key picture comes; what the next group begins with tells.
  private mutating func judgeStructure(_ picture: CodedPicture, _ number: UInt64) -> EffectFinding? {
    guard picture.beginsGroup else { return nil }
    guard lastKey != nil else {
      if picture.isKey { lastKey = number }
      return nil
    }
    groups += 1
    let found =
      change.key == SettingKey<String>.gopMode.name
      ? (picture.isVirtualKey ? "smartp" : "normalp") : (picture.isKey ? "off" : "column")
    let isEffective = found == change.new
    guard isEffective || groups >= EffectRule.structure.groups ?? 1 else { return nil }
    return finding(isEffective, found)
  }
}
