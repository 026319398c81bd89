// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Decides the quantiser of each picture of a stream whose pictures all stand alone, such as motion JPEG, by the account of ``RatePlan``: no
/// window of time costs more than it may, and the mean comes true. Every picture is paid for by itself, so each gets its even share; one that came
/// out too large may be coded again.
public struct PicturePlan: Sendable {
  public typealias Decision = RatePlan.Decision

  /// A picture that was decided on and has not come.
  private struct Asked {
    var time: Int64
    /// In the coding's numbers.
    var number: Int
    var bits: Double
    var isCut: Bool
    var tries = 0
  }

  private(set) var account: RateAccount
  public var goals: RateGoals { account.goals }
  public var window: RateWindow { account.window }
  public var overflows: UInt64 { account.overflows }
  /// Pictures that were coded again.
  public private(set) var reencoded: UInt64 = 0
  public var debt: Double { account.debt }

  private var cost: IntraCost
  /// What the last picture was to have, in units of ``QuantiserScale``, before it became one of the coding's numbers.
  private var lastUnits: Double?
  /// Pictures since another scene began, and since another target.
  private var sinceCut = 0
  private var sinceStep = 0
  private var usualDifference: Double?
  private var asked: [Asked] = []

  public init(_ goals: RateGoals) {
    account = RateAccount(goals)
    cost = IntraCost(pixels: goals.pixels, goals.scale)
    asked.reserveCapacity(8)
  }

  /// Takes other goals from the next picture on. A new target begins a new account; what pictures cost is known.
  public mutating func change(_ new: RateGoals) {
    let old = goals
    let isAnew = account.change(new)
    if new.pixels != old.pixels { self = PicturePlan(new) }
    guard isAnew else { return }
    sinceStep = 0
  }

  private var share: Double { account.share }
  private var perWindow: Double { account.perWindow }

  // MARK: the next picture

  /// - Parameters:
  ///   - time: its time stamp in microseconds.
  ///   - activity: how it looks, where somebody looked.
  public mutating func next(at time: Int64, _ activity: PictureActivity?) -> Decision {
    account.advance(to: time)
    let isCut = see(activity)
    if isCut || lastUnits == nil {
      if isCut { cost.forgetScene() }
      cost.expect(activity?.texture)
    }
    let time = account.clock.moment
    let most = room(at: time)
    let units = goals.scale.units(goals.predicted)
    let wanted = min(units.upperBound, max(units.lowerBound, self.wanted(most)))
    let number = goals.scale.number(wanted, in: goals.predicted)
    let forecast = cost.model.bits(at: goals.scale.units(number))
    if let threshold = goals.lossThreshold, lastUnits != nil,
      goals.scale.coarser(than: number, in: goals.predicted) == nil,
      window.bits(after: time - window.length) + forecast > threshold * goals.window
    {
      return Decision(qp: number, isLeftOut: true)
    }
    asked.append(Asked(time: time, number: number, bits: forecast, isCut: isCut))
    account.window.add(forecast, at: time)
    lastUnits = wanted
    sinceCut += 1
    sinceStep += 1
    return Decision(qp: number)
  }

  private mutating func see(_ activity: PictureActivity?) -> Bool {
    guard let difference = activity?.difference else { return false }
    guard let usual = usualDifference else {
      usualDifference = difference
      return false
    }
    let isCut = PictureActivity.isCut(difference, usually: usual)
    if isCut { sinceCut = 0 } else { usualDifference = usual + 0.1 * (difference - usual) }
    return isCut
  }

  /// Bits the picture may have so that none of the windows it will be in has more than it may, with as much left for the others of each.
  private func room(at time: Int64) -> Double {
    let ceiling = goals.ceiling(withCut: false) * goals.window
    return max(
      0.1 * share,
      window.least(from: time, interval: Int64(account.clock.interval)) { coming, before in
        (ceiling - before) / Double(coming)
      })
  }

  private func wanted(_ most: Double) -> Double {
    let share = share
    // What the mean missed is made up for within half a horizon: sooner than the next window would show it.
    let free = min(2 * share, max(0.3 * share, share - debt / (perWindow * goals.horizon * 0.5)))
    var units = cost.model.qp(for: free)
    // A rate that may vary follows the pictures slowly, over cuts too; one that may not, as fast as it is not seen.
    let isConstant = goals.mode == .cbr
    if let lastUnits, min(sinceStep, isConstant ? sinceCut : Int.max) >= Self.settling {
      let pace = isConstant ? 1.5 : 8 / (goals.horizon * perWindow)
      units = min(lastUnits + pace, max(lastUnits - pace, units))
    }
    return free > most || cost.model.bits(at: units) > most ? max(units, cost.model.qp(for: most)) : units
  }

  /// So many pictures after a cut or a step the quantiser goes where it must at once.
  private static let settling = 5

  // MARK: what came

  /// The picture that was decided on last came out at so many bits, and nobody has it.
  /// - Returns: the quantiser to code it with again; `nil` where it is taken as it is.
  public mutating func again(bits: Double) -> Int? {
    guard let picture = asked.last, picture.tries < goals.reencodes,
      let next = goals.scale.coarser(than: picture.number, in: goals.predicted)
    else { return nil }
    let ceiling = goals.ceiling(withCut: picture.isCut) * goals.window
    let room = max(0.1 * share, ceiling - (window.total - picture.bits))
    guard bits > room else { return nil }
    // What it costs is known now, for this very picture.
    cost.learn(bits, at: goals.scale.units(picture.number), weight: 1)
    let best = goals.scale.number(cost.model.qp(for: 0.95 * room), in: goals.predicted)
    let number = goals.scale.units(best) > goals.scale.units(next) ? best : next
    let forecast = cost.model.bits(at: goals.scale.units(number))
    account.window.correct(by: forecast - picture.bits, at: picture.time)
    asked[asked.count - 1] = Asked(
      time: picture.time, number: number, bits: forecast, isCut: picture.isCut, tries: picture.tries + 1)
    lastUnits = goals.scale.units(number)
    reencoded += 1
    return number
  }

  /// The oldest picture that was decided on has come.
  /// - Returns: the coding's quantiser that was decided on; `nil` where none was.
  @discardableResult
  public mutating func coded(bits: Double) -> Int? {
    guard !asked.isEmpty else { return nil }
    let picture = asked.removeFirst()
    account.settle(bits, expected: picture.bits, at: picture.time)
    // Pictures of a scene are alike; the first of one tells more than its texture did.
    cost.learn(bits, at: goals.scale.units(picture.number), weight: min(sinceCut, sinceStep) <= 1 ? 1 : 0.6)
    return picture.number
  }

  /// The oldest picture that was decided on did not come, and will not.
  public mutating func lost() {
    guard !asked.isEmpty else { return }
    let picture = asked.removeFirst()
    account.window.correct(by: -picture.bits, at: picture.time)
  }
}
