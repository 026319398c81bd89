// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// One piece of work on an object's device or file, on a thread of its own: a driver or a server may hold it for as long
/// as it likes inside one system call, and nobody else may wait because of that.
///
/// Ownership: the thread holds the task until the work comes back, which may be after everybody else has let go of it.
/// Answers: exactly one of `wait` and the `late` of `leave` gets the outcome.
final class ControlTask: @unchecked Sendable {
  typealias Outcome = Result<Void, Refusal>

  /// CLOCK_MONOTONIC nanoseconds.
  let since = Clock.now()
  private let parker = Parker()
  // Guarded by `parker`.
  private var outcome: Outcome?
  private var late: (@Sendable (Outcome) -> Void)?

  /// Begins the work.
  /// - Parameter name: of the thread.
  /// - Throws: EAGAIN when the system has no more threads.
  init(_ name: String, _ work: @escaping @Sendable () throws(Refusal) -> Void) throws(Failure) {
    try Thread(name: name) { [self] in
      let outcome: Outcome
      do throws(Refusal) {
        try work()
        outcome = .success(())
      } catch {
        outcome = .failure(error)
      }
      finish(outcome)
    }.detach()
  }

  private func finish(_ outcome: Outcome) {
    parker.lock()
    self.outcome = outcome
    let late = self.late
    self.late = nil
    parker.broadcast()
    parker.unlock()
    late?(outcome)
  }

  /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
  /// - Returns: `nil` when the work has not come back by then.
  func wait(until deadline: Int64) -> Outcome? {
    parker.lock()
    defer { parker.unlock() }
    while outcome == nil, parker.wait(until: deadline) {}
    return outcome
  }

  /// Leaves the work to itself: `late` is called when it comes back, on its thread.
  /// - Returns: the outcome when it has come back; `late` is not called then.
  func leave(_ late: @escaping @Sendable (Outcome) -> Void) -> Outcome? {
    parker.lock()
    defer { parker.unlock() }
    if outcome == nil { self.late = late }
    return outcome
  }
}

/// A pause that can be ended from outside, for good.
final class Pause: @unchecked Sendable {
  private let parker = Parker()
  private var isEnded = false

  var hasEnded: Bool {
    parker.lock()
    defer { parker.unlock() }
    return isEnded
  }

  /// - Returns: false when it was ended.
  func wait(_ nanoseconds: Int64) -> Bool {
    let deadline = Clock.now() + nanoseconds
    parker.lock()
    defer { parker.unlock() }
    while !isEnded, parker.wait(until: deadline) {}
    return !isEnded
  }

  func end() {
    parker.lock()
    isEnded = true
    parker.broadcast()
    parker.unlock()
  }
}
