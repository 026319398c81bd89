// SPDX-License-Identifier: Apache-2.0

/// What a stream has had of what it may have: the bits of the last window, and what its mean is ahead or behind. Kept the same way for
/// streams with predicted pictures (``RatePlan``) and for those whose pictures all stand alone (``PicturePlan``).
struct RateAccount: Sendable {
  private(set) var goals: RateGoals
  var window: RateWindow
  /// Pictures after which a window had more than it may, see ``RateGoals/overflowRate``.
  private(set) var overflows: UInt64 = 0
  /// Bits more than the target came to since the stream began, as far as they are made up for.
  private(set) var debt = 0.0
  private(set) var clock: PictureClock

  init(_ goals: RateGoals) {
    self.goals = goals
    window = RateWindow(length: Int64(goals.window * 1e6))
    clock = PictureClock(framesPerSecond: goals.framesPerSecond)
  }

  /// - Returns: whether another target begins a new account.
  mutating func change(_ new: RateGoals) -> Bool {
    let old = goals
    goals = new
    if new.window != old.window { window.setLength(Int64(new.window * 1e6)) }
    if new.framesPerSecond != old.framesPerSecond { clock.expect(framesPerSecond: new.framesPerSecond) }
    guard new.target != old.target || new.maximum != old.maximum || new.mode != old.mode else { return false }
    debt = 0
    window.removeAll()
    return true
  }

  /// Bits of a picture at the target.
  var share: Double { goals.target * clock.interval / 1e6 }
  /// Pictures of a window.
  var perWindow: Double { max(1, (goals.window * 1e6 / clock.interval).rounded()) }

  /// The next picture has this time stamp.
  mutating func advance(to time: Int64) {
    guard let passed = clock.advance(to: time) else { return }
    let bound = goals.target * goals.window
    debt = max(-0.6 * goals.horizon * bound, debt - goals.target * Double(min(passed, window.length)) / 1e6)
  }

  /// A picture has come that stood there with what it was expected to cost.
  mutating func settle(_ bits: Double, expected: Double, at time: Int64) {
    window.correct(by: bits - expected, at: time)
    debt = min(2 * goals.target * goals.window, debt + bits)
    if goals.fixed == nil, window.total > goals.overflowRate * goals.window { overflows += 1 }
  }

  /// - Parameter asked: the quantiser the last picture that came was asked for with.
  func status(asked: Int?) -> RateStatus {
    RateStatus(
      target: goals.target, level: window.total, ceiling: goals.overflowRate * goals.window, overflows: overflows,
      asked: asked, predicted: goals.predicted, key: goals.key)
  }
}
