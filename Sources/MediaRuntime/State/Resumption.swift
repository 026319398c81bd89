// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import Synchronization

/// When the process last went on after it had been stopped (SIGSTOP, SIGCONT): what did not move meanwhile is not to blame.
///
/// SIGCONT is blocked in every thread, so that it stays pending until ``take()`` takes it. Whoever is about to call
/// something still takes it first: a question may be answered before the thread that waits for signals has run.
final class Resumption: Sendable {
  /// CLOCK_MONOTONIC nanoseconds.
  private let last = Mutex<Int64>(0)

  /// The last that is known of.
  var time: Int64 { last.withLock { $0 } }

  /// It goes on now.
  func note() {
    take()
    last.withLock { $0 = Clock.now() }
  }

  /// Takes a pending SIGCONT.
  func take() {
    last.withLock { last in
      var set = sigset_t()
      sigemptyset(&set)
      sigaddset(&set, SIGCONT)
      var nothing = timespec()
      if sigtimedwait(&set, nil, &nothing) == SIGCONT { last = Clock.now() }
    }
  }

  /// Whether more than `patience` has passed since `moment` in which the process could run.
  func isOver(_ patience: Int64, since moment: Int64, at now: Int64) -> Bool {
    guard now - max(moment, time) > patience else { return false }
    take()
    return now - max(moment, time) > patience
  }
}
