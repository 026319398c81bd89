// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// The one thread on which devices are opened, started and stopped, in the order it was asked to.
///
/// A thread of its own and not a worker of a pool: a driver may hold it for seconds inside one system call, and nobody
/// else may wait because of that. When its owner goes it ends after the work it has.
final class ControlExecutor: Sendable {
  private struct State {
    var queue: [@Sendable () -> Void] = []
    var isBusy = false
    var isClosing = false
  }

  /// Owned by both the executor and its thread.
  private let state = Monitor(State())

  /// - Throws: EAGAIN when the system has no more threads.
  init(name: String) throws(Failure) {
    let state = state
    _ = try Thread.start(name) {
      while let work = ControlExecutor.next(state) { work() }
    }
  }

  deinit { state.change { $0.isClosing = true } }

  /// By the thread, once it is done with the work before: the next in turn; `nil` when there is none and the owner has gone.
  private static func next(_ state: Monitor<State>) -> (@Sendable () -> Void)? {
    state.change { $0.isBusy = false }
    return state.wait { state -> (@Sendable () -> Void)?? in
      guard !state.queue.isEmpty else { return state.isClosing ? .some(nil) : nil }
      state.isBusy = true
      return state.queue.removeFirst()
    } ?? nil
  }

  /// Puts work at the end of the queue. Never blocks.
  func submit(_ work: @escaping @Sendable () -> Void) {
    state.change { $0.queue.append(work) }
  }

  /// Waits until all work is done, at most so long.
  /// - Returns: false when something was still running then.
  func drain(milliseconds: Int) -> Bool {
    state.wait(until: Clock.now() + .milliseconds(Int64(milliseconds))) {
      $0.isBusy || !$0.queue.isEmpty ? nil : true
    } ?? false
  }
}
