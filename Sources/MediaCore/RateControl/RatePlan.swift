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
  struct Asked {
    var time: Int64
    var qp: Double
    var bits: Double
    var isKey: Bool
    var isHead: Bool
    var isCut: Bool
    /// Nothing moved, and it was not to become finer: what it cost says nothing of the next that does.
    var isFrozen: Bool
  }

  private(set) var account: RateAccount
  public var goals: RateGoals { account.goals }
  public var window: RateWindow { account.window }
  public var overflows: UInt64 { account.overflows }
  /// What the last picture was expected to cost, in bits.
  public private(set) var forecast = 0.0
  public var debt: Double { account.debt }

  private var predicted: CostModel
  private var intra: IntraCost
  /// What pictures cost that are predicted from a background alone, and whether one has come.
  private var head: CostModel
  private var knowsHeads = false
  /// Predicted pictures the level was learned from, in this scene.
  private var learned = 0
  /// QP of the last picture, and about the mean of predicted ones.
  private var lastQP = 30.0
  private var meanQP = 30.0
  private var hasMean = false

  private var interval: Double { account.clock.interval }
  private var pictures: UInt64 = 0
  private var sinceKey = 0
  private var layers = HierarchicalQP.Position()
  /// Mean cost of layered pictures over that of such without layers.
  private var layerCost = 1.0
  private var sinceCut = Int.max / 2
  private var sinceStep = Int.max / 2
  private var still = 0
  private var sinceStill = Int.max / 2
  /// Level of the pictures before nothing moved any more, in this scene.
  private var motionLevel: Double?
  private var usualDifference: Double?
  /// Pictures that were left out since one was coded.
  private var leftOut = 0
  private(set) var asked: [Asked] = []
  // Of super frames, see `fate`.
  var attempts = 0
  var wasDiscarded = false
  private var wasKey = false

  public init(_ goals: RateGoals) {
    account = RateAccount(goals)
    predicted = CostModel(slope: goals.scale.predictedSlope)
    intra = IntraCost(pixels: goals.pixels, goals.scale)
    head = CostModel(slope: goals.scale.predictedSlope)
    asked.reserveCapacity(8)
    layerCost = goals.hierarchy?.meanCost(slope: predicted.slope) ?? 1
  }

  /// Takes other goals from the next picture on. A new target begins a new account; what pictures cost is known.
  public mutating func change(_ new: RateGoals) {
    let old = goals
    let isAnew = account.change(new)
    if new.pixels != old.pixels { self = RatePlan(new) }
    if new.hierarchy != old.hierarchy {
      layers = HierarchicalQP.Position()
      layerCost = new.hierarchy?.meanCost(slope: predicted.slope) ?? 1
    }
    guard isAnew else { return }
    sinceStep = 0
    guard new.target != old.target else { return }
    // Most of the way at once; the rest when it is seen what pictures cost there.
    let shift = 0.8 * log2(old.target / new.target) / predicted.slope
    lastQP += shift
    meanQP += shift
  }

  // MARK: what a picture may cost

  private var share: Double { account.share }
  private var perWindow: Double { account.perWindow }
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
  ///   - isHead: it begins a group by being predicted from a background alone, which costs nearly as much.
  ///   - activity: how it looks, where somebody looked.
  public mutating func next(
    at time: Int64, isKey: Bool, isHead: Bool = false, _ activity: PictureActivity?
  ) -> Decision {
    let begins = isKey || isHead
    account.advance(to: time)
    let time = account.clock.moment
    let (isCut, isFrozen) = see(activity, isKey: begins)
    if isCut {
      intra.forgetScene()
      (sinceCut, motionLevel) = (0, nil)
    }
    if isKey || isCut { intra.expect(activity?.texture) }
    let bounds = isKey ? goals.key : goals.predicted
    let common: Int
    if let fixed = goals.fixed {
      common = isKey ? fixed.key : fixed.predicted
    } else {
      common = goals.scale.number(decide(begins: begins, isHead: isHead, isCut: isCut, at: time), in: bounds)
    }
    var position = isKey ? HierarchicalQP.Position() : layers
    let number = isKey ? common : layered(common, &position)
    let qp = goals.scale.units(number)
    let commonQP = goals.scale.units(common)
    forecast =
      isHead
      ? heads.bits(at: qp) : isKey || isCut ? intra.model.bits(at: qp) : learned > 0 ? predicted.bits(at: qp) : share
    if let threshold = goals.lossThreshold, goals.fixed == nil, pictures > 0, !begins,
      goals.scale.coarser(than: number, in: bounds) == nil, leftOut < goals.lossGap ?? .max,
      window.bits(after: time - window.length) + forecast > threshold * goals.window
    {
      leftOut += 1
      return Decision(qp: number, isLeftOut: true)
    }
    leftOut = 0
    layers = position
    asked.append(
      Asked(
        time: time, qp: qp, bits: forecast, isKey: isKey, isHead: isHead, isCut: isCut,
        isFrozen: isFrozen && commonQP >= lastQP))
    account.window.add(forecast, at: time)
    sinceKey = begins ? 1 : sinceKey + 1
    sinceCut += 1
    sinceStep += 1
    pictures += 1
    // One that is coarse for its size alone says nothing of those that follow it.
    let shown = begins && largestKey != nil ? min(commonQP, meanQP) : commonQP
    lastQP = begins && hasMean ? max(shown, lastQP) : commonQP
    if begins || isCut {
      if !hasMean { meanQP = commonQP } else if isCut { meanQP = (meanQP + commonQP) / 2 }
    } else {
      meanQP += (min(sinceCut, sinceStep) < 10 ? 0.2 : 0.1) * (commonQP - meanQP)
      hasMean = true
    }
    return Decision(qp: number)
  }

  /// The quantiser of the next predicted picture's layer, of the one that all layers have in common.
  private func layered(_ common: Int, _ position: inout HierarchicalQP.Position) -> Int {
    guard let hierarchy = goals.hierarchy else { return common }
    // With fixed quantisers no bounds are in force but the coding's own.
    let bounds = goals.fixed == nil ? goals.predicted : PictureRegion.quantisers
    let number = common - hierarchy.deltas[hierarchy.layer(&position)]
    return min(bounds.upperBound, max(bounds.lowerBound, number))
  }

  /// What pictures predicted from a background cost; before one has come about what a key picture does.
  private var heads: CostModel {
    guard !knowsHeads else { return head }
    var model = head
    model.level = model.level(of: intra.model.bits(at: meanQP), at: meanQP)
    return model
  }

  /// What the next group begins with costs.
  private func beginning(at qp: Double) -> Double {
    var bits = goals.hasHeads ? heads.bits(at: qp) : intra.model.bits(at: qp)
    // A key picture that is too large is not let pass.
    if !goals.hasHeads, let limit = largestKey {
      bits = min(bits, limit)
    }
    return min(bits, keyShare)
  }

  private func decide(begins: Bool, isHead: Bool, isCut: Bool, at time: Int64) -> Double {
    let qp =
      begins || isCut
      ? unpredicted(isKey: begins, isHead ? heads : intra.model, at: time) : following(at: time)
    return goals.mode == .avbr && isStill ? held(qp, isKey: begins, at: time) : qp
  }

  // MARK: what stands still

  /// Below this nothing moves, in steps of luma: noise of a camera at night is more.
  static let stillDifference = 0.4
  /// The QP that a picture which does not change is held at, with `avbr`: what is left to see below is little.
  public static let stillQP = 22.0
  /// What such a scene may cost of the target, which is what its key pictures cost: others of the same QP repeat them for next to nothing.
  static let stillShare = 1.0 / 3

  private var isStill: Bool { Double(still) >= perWindow / 4 }

  /// A scene that stands still keeps one QP, its key pictures included: a coarser one would be seen as breathing, and made finer again
  /// for more bits than a finer one costs at once.
  private func held(_ qp: Double, isKey: Bool, at time: Int64) -> Double {
    let model = intra.model
    var held = max(Self.stillQP, model.qp(for: Self.stillShare * Double(goals.gop) * share)).rounded()
    if let minimum = goals.minimum {
      held = min(held, model.qp(for: minimum / goals.framesPerSecond * Double(goals.gop)).rounded(.down))
    }
    guard isKey else { return max(qp, held) }
    let ceiling = goals.ceiling(withCut: false) * goals.window
    return max(held, model.qp(for: max(ceiling - window.bits(after: time - window.length), share)))
  }

  /// Whether it shows another scene than the one before, or nothing new at all.
  private mutating func see(_ activity: PictureActivity?, isKey: Bool) -> (isCut: Bool, isFrozen: Bool) {
    guard let difference = activity?.difference else { return (false, false) }
    if difference >= Self.stillDifference {
      if isStill {
        sinceStill = 0
        // What it was made finer by says nothing of what motion costs: as much as before, or about a tenth of a key picture at QP 20
        // (recorded costs).
        if motionLevel == nil { learned = min(learned, 1) }
        predicted.level = motionLevel ?? predicted.level(of: 0.1 * intra.model.bits(at: 20), at: 20)
      } else {
        sinceStill += 1
      }
      still = 0
    } else {
      if still == 0, learned > 3 { motionLevel = predicted.level }
      still += 1
    }
    guard let usual = usualDifference else {
      usualDifference = difference
      return (!isKey && difference > 16, false)
    }
    let isCut = PictureActivity.isCut(difference, usually: usual)
    if !isCut { usualDifference = usual + 0.1 * (difference - usual) }
    return (isCut && !isKey, difference < max(Self.stillDifference, 0.1 * usual))
  }

  /// A key picture or a cut.
  private func unpredicted(isKey: Bool, _ model: CostModel, at time: Int64) -> Double {
    guard pictures > 0 else { return max(18, model.qp(for: min(keyShare, 7 * share))) }
    let ceiling = goals.ceiling(withCut: sinceCut < Int(perWindow)) * goals.window
    let room = ceiling - window.bits(after: time - window.length)
    if isKey {
      var most = min(max(room, 1.5 * share), keyShare)
      // Where there are hardly any others, they make up for what the mean missed.
      if group < perWindow { most = max(0.3 * share, most - debt * group / (perWindow * goals.horizon)) }
      let ratio = (goals.keyRatio.lowerBound, goals.keyRatio.upperBound)
      if hasMean { most = min(most, Double(ratio.1) * predictedShare) }
      var qp = max(group < 2 ? 0 : meanQP - Double(goals.keyDelta), model.qp(for: most))
      if ratio.0 > 1 { qp = min(qp, model.qp(for: Double(ratio.0) * predictedShare)) }
      qp = group < 2 && hasMean ? min(meanQP + 4, max(meanQP - 2, qp)) : min(qp, meanQP + Double(goals.keyRise))
      // What stands still got so fine that twelve steps are not enough.
      if still > 3 { qp = max(qp, model.qp(for: max(room, share))) }
      return max(qp, leastQP(isKey: true, model))
    }
    let most = max(min(room - 0.5 * share, 10 * share), 1.5 * share)
    return max(min(max(lastQP, model.qp(for: most)), meanQP + 12), leastQP(isKey: false, model))
  }

  /// The QP from which on a picture is no super frame, where their size goes before the rate, or one was just discarded.
  private func leastQP(isKey: Bool, _ model: CostModel) -> Double {
    let rules = goals.superFrames
    guard rules.mode != .none, rules.priority == .frameSize || wasDiscarded,
      let limit = isKey ? rules.key : rules.predicted
    else { return 0 }
    return model.qp(for: 0.9 * limit).rounded(.up)
  }

  /// Bits of a predicted picture where all goes as planned.
  private var predictedShare: Double {
    let key = beginning(at: meanQP - Double(goals.keyDelta))
    return max(0.3 * share, (group * share - key) / max(1, group - 1))
  }

  /// Windows may have so much more, bits a second, while the mean stays behind: their ceiling is what holds it there.
  private var arrears: Double {
    guard goals.mode == .cbr else { return 0 }
    let seconds = -debt / goals.target
    return goals.target * min(0.02, max(0, seconds - 0.1) * 0.1)
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

    let ceiling = (goals.ceiling(withCut: sinceCut < Int(n)) + arrears) * goals.window
    let key = beginning(at: meanQP - Double(goals.keyDelta))
    let untilKey = goals.gop - sinceKey
    let slack = 0.01 * m
    let most = window.least(from: time, interval: Int64(interval)) { coming, before in
      // Those that end soon may go over by a little: what single pictures cost is not known that well.
      let room = ceiling + slack * (n - Double(coming)) - before
      let (left, others) = untilKey < coming ? (room - key, max(1, coming - 1)) : (room, coming)
      return left / Double(still > 3 ? min(others, 3) : others)
    }

    let isNew = min(sinceCut, sinceStep) < 8
    // What stood still may be so fine that motion is far too expensive, or with `avbr` so coarse that it has saved for being sharp at once.
    let isWaking = sinceStill < 6
    let up: Double = isWaking ? 12 : isNew ? 4 : 1
    let down: Double = isWaking && goals.mode == .avbr ? 12 : sinceStep < 8 ? 3 : 1
    var qp = min(lastQP + up, max(lastQP - down, predicted.qp(for: free / layerCost)))
    if free > most {
      qp = max(qp, min(lastQP + max(2, up), predicted.qp(for: max(0.15 * m, most) / layerCost)))
    }
    // To stay as it is costs nothing then.
    if still > 3, window.total < ceiling { qp = min(qp, lastQP) }
    return max(qp, leastQP(isKey: false, predicted))
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
    (wasKey, wasDiscarded, attempts) = (picture.isKey, false, 0)
    let used = picture.qp
    account.settle(bits, expected: picture.bits, at: picture.time)
    if picture.isHead {
      let level = head.level(of: bits, at: used)
      head.level = knowsHeads ? head.level + 0.6 * (level - head.level) : level
      knowsHeads = true
    } else if picture.isKey || picture.isCut {
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
    attempts = 0
    account.window.correct(by: -picture.bits, at: picture.time)
  }

  // MARK: what is coded again

  /// Bits a key picture has at most, made coarser than the rate asks for where it takes that; `nil` without such a bound.
  private var largestKey: Double? { goals.superFrames.mode == .reencode ? goals.superFrames.key : nil }

  /// A picture may be kept out of the stream.
  var mayTakeBack: Bool { !wasKey && !wasDiscarded }

  /// What a key picture cost that does not get into the stream.
  mutating func learnIntra(_ bits: Double, at qp: Double) { intra.learn(bits, at: qp, weight: 0.8) }

  /// Plans the key picture that was decided on anew.
  /// - Returns: its QP.
  mutating func replan(below limit: Double) -> Int {
    let (scale, before) = (goals.scale, goals.scale.number(asked[0].qp, in: goals.key))
    let wanted = scale.number(intra.model.qp(for: 0.95 * limit) + 0.5, in: goals.key)
    let number = max(wanted, scale.coarser(than: before, in: goals.key) ?? before)
    let qp = scale.units(number)
    let bits = intra.model.bits(at: qp)
    account.window.correct(by: bits - asked[0].bits, at: asked[0].time)
    (asked[0].qp, asked[0].bits) = (qp, bits)
    return number
  }
}
