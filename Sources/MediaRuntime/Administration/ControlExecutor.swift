// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The one thread on which devices are opened, started and stopped, in the order it was asked to.
///
/// A thread of its own and not a worker of a pool: a driver may hold it for seconds inside one system call, and nobody
/// else may wait because of that. When its owner goes it ends after the work it has.
final class ControlExecutor: Sendable {
  /// Owned by both the executor and its thread.
  private final class Shared: @unchecked Sendable {
    let parker = Parker()
    // Guarded by `parker`.
    var queue: [@Sendable () -> Void] = []
    var isBusy = false
    var isClosing = false

    func loop() {
      while true {
        parker.lock()
        isBusy = false
        parker.broadcast()
        while queue.isEmpty, !isClosing { parker.wait() }
        guard !queue.isEmpty else {
          parker.unlock()
          return
        }
        let work = queue.removeFirst()
        isBusy = true
        parker.unlock()
        work()
      }
    }
  }

  private let shared = Shared()

  /// - Throws: EAGAIN when the system has no more threads.
  init(name: String) throws(Failure) {
    let shared = shared
    try Thread(name: name) { shared.loop() }.detach()
  }

  deinit {
    shared.parker.lock()
    shared.isClosing = true
    shared.parker.broadcast()
    shared.parker.unlock()
  }

  /// Puts work at the end of the queue. Never blocks.
  func submit(_ work: @escaping @Sendable () -> Void) {
    shared.parker.lock()
    shared.queue.append(work)
    shared.parker.broadcast()
    shared.parker.unlock()
  }

  /// Waits until all work is done, at most so long.
  /// - Returns: false when something was still running then.
  func drain(milliseconds: Int) -> Bool {
    let deadline = Clock.now() + Int64(milliseconds) * 1_000_000
    shared.parker.lock()
    defer { shared.parker.unlock() }
    while shared.isBusy || !shared.queue.isEmpty {
      if !shared.parker.wait(until: deadline) { return !shared.isBusy && shared.queue.isEmpty }
    }
    return true
  }
}
