// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Decides the QP of each picture of a stream so that no window of time costs more than it may, the mean comes true, and the QP
/// moves as little as that allows. Free of any engine: it is told what pictures look like and what they cost.
///
/// The steady state it plans for: predicted pictures share evenly what a key picture leaves. A key picture may cost so much that the
/// windows with one stay below the ceiling while the predicted ones of both kinds of windows are alike (``keyShare``). What differs
/// from that is made up for within ``RateGoals/horizon`` windows, and never by going over a window's ceiling.
public struct RatePlan: Sendable {
  /// What the next picture shall be coded with.
  public struct Decision: Sendable, Equatable {
    public var qp: Int
    /// Nothing else helps: the picture is to be left out.
    public var isLeftOut = false
  }

  /// A picture that was decided on and has not come.
  private struct Asked {
    var time: Int64
    var qp: Double
    var bits: Double
    var isKey: Bool
    var isCut: Bool
    /// Nothing moved, and it was not to become finer: what it cost says nothing of the next that does.
    var isFrozen: Bool
  }

  public private(set) var goals: RateGoals
  public private(set) var window: RateWindow
  /// Pictures after which a window had more than it may, see ``RateGoals/overflowRate``.
  public private(set) var overflows: UInt64 = 0
  /// What the last picture was expected to cost, in bits.
  public private(set) var forecast = 0.0
  /// Bits more than the target came to since the stream began, as far as they are made up for.
  public private(set) var debt = 0.0

  private var predicted: CostModel
  private var intra: IntraCost
  /// Predicted pictures the level was learned from, in this scene.
  private var learned = 0
  /// QP of the last picture, and about the mean of predicted ones.
  private var lastQP = 30.0
  private var meanQP = 30.0
  private var hasMean = false

  private var clock: PictureClock
  private var interval: Double { clock.interval }
  private var pictures: UInt64 = 0
  private var sinceKey = 0
  private var sinceCut = Int.max / 2
  private var sinceStep = Int.max / 2
  private var still = 0
  private var usualDifference: Double?
  private var asked: [Asked] = []

  public init(_ goals: RateGoals) {
    self.goals = goals
    window = RateWindow(length: Int64(goals.window * 1e6))
    predicted = CostModel(slope: goals.scale.predictedSlope)
    intra = IntraCost(pixels: goals.pixels, goals.scale)
    clock = PictureClock(framesPerSecond: goals.framesPerSecond)
    asked.reserveCapacity(8)
  }

  /// Takes other goals from the next picture on. A new target begins a new account; what pictures cost is known.
  public mutating func change(_ new: RateGoals) {
    let old = goals
    goals = new
    if new.window != old.window { window.setLength(Int64(new.window * 1e6)) }
    if new.framesPerSecond != old.framesPerSecond { clock.expect(framesPerSecond: new.framesPerSecond) }
    if new.pixels != old.pixels { self = RatePlan(new) }
    guard new.target != old.target || new.maximum != old.maximum || new.mode != old.mode else { return }
    debt = 0
    window.removeAll()
    sinceStep = 0
    guard new.target != old.target else { return }
    // Most of the way at once; the rest when it is seen what pictures cost there.
    let shift = 0.8 * log2(old.target / new.target) / predicted.slope
    lastQP += shift
    meanQP += shift
  }

  // MARK: what a picture may cost

  /// Bits of a picture at the target.
  private var share: Double { goals.target * interval / 1e6 }
  private var perWindow: Double { max(1, (goals.window * 1e6 / interval).rounded()) }
  /// Pictures of a group, of those that are planned for.
  private var group: Double { min(Double(goals.gop), 4 * perWindow) }

  /// The most a key picture may cost.
  private var keyShare: Double {
    let (n, g, m) = (perWindow, group, share)
    // Predicted pictures need something too.
    let left = g * m - (g - 1) * m * 0.35
    guard g > n, g > 1 else { return max(m * 0.5, left) }
    let peak = max(1.02, goals.ceiling(withCut: false) / goals.target)
    return min(left, max(m, m * (peak * n - (n - 1) * g / (g - 1)) * (g - 1) / (g - n)))
  }

  // MARK: the next picture

  /// - Parameters:
  ///   - time: its time stamp in microseconds.
  ///   - isKey: it is coded without prediction.
  ///   - activity: how it looks, where somebody looked.
  public mutating func next(at time: Int64, isKey: Bool, _ activity: PictureActivity?) -> Decision {
    advance(to: time)
    let time = clock.moment
    let (isCut, isFrozen) = see(activity, isKey: isKey)
    if isCut {
      intra.forgetScene()
      sinceCut = 0
    }
    if isKey || isCut { intra.expect(activity?.texture) }
    var qp = isKey || isCut ? unpredicted(isKey: isKey, isCut: isCut, at: time) : following(at: time)
    if goals.mode == .avbr, Double(still) >= perWindow / 4 { qp = max(qp, Self.stillQP) }
    let bounds = isKey ? goals.key : goals.predicted
    let number = goals.scale.number(qp, in: bounds)
    qp = goals.scale.units(number)
    forecast = isKey || isCut ? intra.model.bits(at: qp) : learned > 0 ? predicted.bits(at: qp) : share
    if let threshold = goals.lossThreshold, pictures > 0, !isKey, goals.scale.coarser(than: number, in: bounds) == nil,
      window.bits(after: time - window.length) + forecast > threshold * goals.window
    {
      return Decision(qp: number, isLeftOut: true)
    }
    asked.append(
      Asked(time: time, qp: qp, bits: forecast, isKey: isKey, isCut: isCut, isFrozen: isFrozen && qp >= lastQP))
    window.add(forecast, at: time)
    sinceKey = isKey ? 1 : sinceKey + 1
    sinceCut += 1
    sinceStep += 1
    pictures += 1
    lastQP = isKey && hasMean ? max(qp, lastQP) : qp
    if isKey || isCut {
      if !hasMean { meanQP = qp } else if isCut { meanQP = (meanQP + qp) / 2 }
    } else {
      meanQP += (min(sinceCut, sinceStep) < 10 ? 0.2 : 0.1) * (qp - meanQP)
      hasMean = true
    }
    return Decision(qp: number)
  }

  /// Below this nothing moves, in steps of luma: noise of a camera at night is more.
  static let stillDifference = 0.4
  /// The QP that a picture which does not change is held at, with `avbr`: what is left to see above is little.
  public static let stillQP = 22.0

  private mutating func advance(to time: Int64) {
    guard let passed = clock.advance(to: time) else { return }
    let bound = goals.target * goals.window
    debt = max(-0.6 * goals.horizon * bound, debt - goals.target * Double(min(passed, window.length)) / 1e6)
  }

  /// Whether it shows another scene than the one before, or nothing new at all.
  private mutating func see(_ activity: PictureActivity?, isKey: Bool) -> (isCut: Bool, isFrozen: Bool) {
    guard let difference = activity?.difference else { return (false, false) }
    still = difference < Self.stillDifference ? still + 1 : 0
    guard let usual = usualDifference else {
      usualDifference = difference
      return (!isKey && difference > 16, false)
    }
    let isCut = PictureActivity.isCut(difference, usually: usual)
    if !isCut { usualDifference = usual + 0.1 * (difference - usual) }
    return (isCut && !isKey, difference < max(Self.stillDifference, 0.1 * usual))
  }

  /// A key picture or a cut.
  private func unpredicted(isKey: Bool, isCut: Bool, at time: Int64) -> Double {
    let model = intra.model
    guard pictures > 0 else { return max(18, model.qp(for: min(keyShare, 7 * share))) }
    let ceiling = goals.ceiling(withCut: sinceCut < Int(perWindow)) * goals.window
    let room = ceiling - window.bits(after: time - window.length)
    if isKey {
      var most = min(max(room, 1.5 * share), keyShare)
      // Where there are hardly any others, they make up for what the mean missed.
      if group < perWindow { most = max(0.3 * share, most - debt * group / (perWindow * goals.horizon)) }
      let ratio = (goals.keyRatio.lowerBound, goals.keyRatio.upperBound)
      if hasMean { most = min(most, Double(ratio.1) * predictedShare) }
      var qp = max(group < 2 ? 0 : meanQP - 1, model.qp(for: most))
      if ratio.0 > 1 { qp = min(qp, model.qp(for: Double(ratio.0) * predictedShare)) }
      return group < 2 && hasMean ? min(meanQP + 4, max(meanQP - 2, qp)) : min(qp, meanQP + 12)
    }
    return min(max(lastQP, model.qp(for: max(min(room - 0.5 * share, 10 * share), 1.5 * share))), meanQP + 12)
  }

  /// Bits of a predicted picture where all goes as planned.
  private var predictedShare: Double {
    let key = min(intra.model.bits(at: meanQP - 1), keyShare)
    return max(0.3 * share, (group * share - key) / max(1, group - 1))
  }

  private func following(at time: Int64) -> Double {
    guard learned > 0 else { return lastQP }
    let (n, m) = (perWindow, share)
    let steady = predictedShare
    // A group begins with its key picture's debt and works it off.
    let planned = max(0, group - Double(sinceKey)) * (m - steady)
    var free = min(2 * m, max(0.3 * m, steady - (debt - planned) / (n * goals.horizon)))
    // What nothing moves in becomes finer by single expensive pictures, as soon as they can be paid for.
    if still > 3 { free = max(free, planned - debt) }

    let ceiling = goals.ceiling(withCut: sinceCut < Int(n)) * goals.window
    let key = min(intra.model.bits(at: meanQP - 1), keyShare)
    let untilKey = goals.gop - sinceKey
    let slack = 0.01 * m
    let most = window.least(from: time, interval: Int64(interval)) { coming, before in
      // Those that end soon may go over by a little: what single pictures cost is not known that well.
      let room = ceiling + slack * (n - Double(coming)) - before
      let (left, others) = untilKey < coming ? (room - key, max(1, coming - 1)) : (room, coming)
      return left / Double(still > 3 ? min(others, 3) : others)
    }

    let isNew = min(sinceCut, sinceStep) < 8
    let (up, down): (Double, Double) = (isNew ? 4 : 1, sinceStep < 8 ? 3 : 1)
    var qp = min(lastQP + up, max(lastQP - down, predicted.qp(for: free)))
    if free > most {
      qp = max(qp, min(lastQP + (isNew ? 4 : 2), predicted.qp(for: max(0.15 * m, most))))
    }
    // To stay as it is costs nothing then.
    if still > 3, window.total < ceiling { qp = min(qp, lastQP) }
    return qp
  }

  // MARK: what came

  /// The oldest picture that was decided on has come.
  /// It was coded with the QP that was decided on: engines say what they can do with one, and the QP in a slice's header is that of its first
  /// block, which is another one where the engine spreads it by texture.
  /// - Returns: the coding's quantiser that was decided on; `nil` where none was.
  @discardableResult
  public mutating func coded(bits: Double) -> Int? {
    guard !asked.isEmpty else { return nil }
    let picture = asked.removeFirst()
    let used = picture.qp
    window.correct(by: bits - picture.bits, at: picture.time)
    debt = min(2 * goals.target * goals.window, debt + bits)
    if window.total > goals.overflowRate * goals.window { overflows += 1 }
    if picture.isKey || picture.isCut {
      intra.learn(bits, at: used, weight: picture.isCut || pictures == 1 ? 0.8 : 0.6)
      if picture.isCut { learned = 0 }
    } else if learned == 0 {
      predicted.level = predicted.level(of: bits, at: used)
      learned = 1
    } else if !picture.isFrozen {
      let level = predicted.level(of: bits, at: used)
      let weight = learned < 4 ? 0.5 : 0.3
      predicted.level += weight * (level - predicted.level)
      learned += 1
    }
    return goals.scale.number(used, in: picture.isKey ? goals.key : goals.predicted)
  }

  /// The oldest picture that was decided on did not come, and will not.
  public mutating func lost() {
    guard !asked.isEmpty else { return }
    let picture = asked.removeFirst()
    window.correct(by: -picture.bits, at: picture.time)
  }
}
