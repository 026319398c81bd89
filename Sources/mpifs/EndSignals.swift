// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The signals that end the program, taken by the main thread in turn with nothing else to do.
///
/// Block them before the first thread is made: threads inherit the mask, so that no other thread is interrupted.
struct EndSignals {
  private var set = sigset_t()

  /// Blocks the signals for this thread and all it makes, and ignores SIGPIPE: a reader that went away is an errno.
  init() {
    sigemptyset(&set)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  /// Waits for one of them; SIGUSR1 is this program's own, sent when the mount was taken away from outside.
  func wait() -> Int32 {
    var set = set
    var number: Int32 = 0
    while sigwait(&set, &number) != 0 {}
    return number
  }
}
