// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A counting wake-up between threads: the one that waits for a buffer, and those that bring buffers or interrupt.
/// Owns a POSIX semaphore.
final class Wake: Sendable {
  // Sendable by hand: the pointer never changes and the semaphore it points to is made for threads.
  private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

  init() {
    semaphore = .allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() { sem_post(semaphore) }

  /// Returns after a signal that no other `wait` has used up; may also return without one.
  func wait() { sem_wait(semaphore) }

  /// - Returns: false when the time passed without a signal.
  func wait(milliseconds: Int) -> Bool {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    let end = now.tv_nsec + milliseconds * 1_000_000
    var until = timespec(tv_sec: now.tv_sec + end / 1_000_000_000, tv_nsec: end % 1_000_000_000)
    return sem_timedwait(semaphore, &until) == 0
  }
}
