// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The signals that end the program, and the one with which it goes on after it was stopped, taken by the main thread in
/// turn with nothing else to do.
///
/// Block them before the first thread is made: threads inherit the mask, so that no other thread is interrupted.
struct EndSignals {
  private var set = sigset_t()

  /// Blocks the signals for this thread and all it makes, and ignores SIGPIPE: a reader that went away is an errno.
  ///
  /// What whoever started the program has it ignore stays ignored: SIGHUP under nohup(1), SIGINT where a script's shell
  /// puts it in the background. Blocked it would come back, for Linux keeps a blocked signal also when it is ignored.
  init() {
    sigemptyset(&set)
    for number in [SIGTERM, SIGUSR1, SIGUSR2, SIGCONT] { sigaddset(&set, number) }
    for number in [SIGINT, SIGHUP] where !Self.isIgnored(number) { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    signal(SIGPIPE, SIG_IGN)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Waits for one of them; SIGUSR1 and SIGUSR2 are this program's own: the mount was taken away from outside, the
  /// configuration of the start has been dealt with. SIGCONT has done its work by then, blocked or not.
  /// - Returns: `nil` when none came in time.
  func wait(seconds: Int? = nil) -> Int32? {
    var set = set
    while true {
      var number: Int32
      if let seconds {
        var limit = timespec(tv_sec: seconds, tv_nsec: 0)
        number = sigtimedwait(&set, nil, &limit)
        if number < 0, errno == EAGAIN { return nil }
      } else {
        number = sigwaitinfo(&set, nil)
      }
      if number > 0 { return number }
    }
  }
}
