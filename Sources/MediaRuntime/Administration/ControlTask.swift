// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// One piece of work on an object's device or file, on a thread of its own: a driver or a server may hold it for as long
/// as it likes inside one system call, and nobody else may wait because of that.
///
/// Ownership: the thread holds the task until the work comes back, which may be after everybody else has let go of it.
/// Answers: exactly one of `wait` and the `late` of `leave` gets the outcome.
final class ControlTask: Sendable {
  typealias Outcome = Result<Void, Refusal>

  /// CLOCK_MONOTONIC nanoseconds.
  let since = Clock.now()

  private struct State {
    var outcome: Outcome?
    var late: (@Sendable (Outcome) -> Void)?
  }
  private let state = Monitor(State())

  /// Begins the work.
  /// - Parameter name: of the thread.
  /// - Throws: EAGAIN when the system has no more threads.
  init(_ name: String, _ work: @escaping @Sendable () throws(Refusal) -> Void) throws(Failure) {
    _ = try Thread.start(name) { [self] in
      let outcome: Outcome
      do throws(Refusal) {
        try work()
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
      finish(outcome)
    }
  }

  private func finish(_ outcome: Outcome) {
    let late = state.change { state in
      state.outcome = outcome
      defer { state.late = nil }
      return state.late
    }
    late?(outcome)
  }

  /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
  /// - Returns: `nil` when the work has not come back by then.
  func wait(until deadline: Int64) -> Outcome? { state.wait(until: deadline) { $0.outcome } }

  /// Leaves the work to itself: `late` is called when it comes back, on its thread.
  /// - Returns: the outcome when it has come back; `late` is not called then.
  func leave(_ late: @escaping @Sendable (Outcome) -> Void) -> Outcome? {
    state.withLock { state in
      if state.outcome == nil { state.late = late }
      return state.outcome
    }
  }
}

/// A pause that can be ended from outside, for good.
final class Pause: Sendable {
  private let isEnded = Monitor(false)

  var hasEnded: Bool { isEnded.withLock { $0 } }

  /// - Returns: false when it was ended.
  func wait(_ nanoseconds: Int64) -> Bool { isEnded.wait(until: Clock.now() + nanoseconds) { $0 ? true : nil } == nil }

  func end() { isEnded.change { $0 = true } }
}
