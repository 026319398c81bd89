// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The processor time of one thread, as `/proc/self/task/TID/schedstat` counts it; to be read from any other thread.
public struct ThreadClock: Sendable {
  private let id: clockid_t

  private init(id: clockid_t) { self.id = id }

  /// - Parameter thread: its number in this process, as in `/proc/self/task`. The clock's number is made of it as
  ///   `pthread_getcpuclockid` does (`MAKE_THREAD_CPUCLOCK`, linux/posix-timers_types.h).
  init(ofThread thread: pid_t) { id = ~thread << 3 | 6 }

  /// That of the calling thread; `nil` where the system has none.
  public static func ofThisThread() -> ThreadClock? {
    var id = clockid_t()
    return pthread_getcpuclockid(pthread_self(), &id) == 0 ? ThreadClock(id: id) : nil
  }

  /// Nanoseconds so far; `nil` once the thread has ended. (Its number may then be another thread's: who cannot know asks
  /// afterwards whether it still runs.)
  public func nanoseconds() -> Int64? {
    var time = timespec()
    guard clock_gettime(id, &time) == 0 else { return nil }
    return Int64(time.tv_sec) * .seconds(1) + Int64(time.tv_nsec)
  }
}
