// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import SystemPackage

/// The signals that end the program, and the one with which it goes on after it was stopped, taken by the main thread in
/// turn with nothing else to do.
///
/// Block them before the first thread is made: threads inherit the mask, so that no other thread is interrupted.
struct EndSignals {
  private var set = sigset_t()
  /// Those that ``wait(seconds:)`` takes: all but SIGCONT, which the graph takes.
  private var taken = sigset_t()
  /// Readable while one of the set is pending; for as long as the program runs.
  private let pending: CInt

  /// Blocks the signals for this thread and all it makes, and ignores SIGPIPE: a reader that went away is an errno.
  ///
  /// What whoever started the program has it ignore stays ignored: SIGHUP under nohup(1), SIGINT where a script's shell
  /// puts it in the background. Blocked it would come back, for Linux keeps a blocked signal also when it is ignored.
  init() throws(StartFailure) {
    sigemptyset(&set)
    for number in [SIGTERM, SIGUSR1, SIGUSR2, SIGCONT] { sigaddset(&set, number) }
    for number in [SIGINT, SIGHUP] where !Self.isIgnored(number) { sigaddset(&set, number) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    taken = set
    sigdelset(&taken, SIGCONT)
    pending = mpifs_signalfd(&set)
    if pending < 0 { throw StartFailure("signalfd: \(Errno(rawValue: -pending))") }
    signal(SIGPIPE, SIG_IGN)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Waits for one of them; SIGUSR1 and SIGUSR2 are this program's own: the mount was taken away from outside, the
  /// configuration of the start has been dealt with. SIGCONT is told and stays pending, for whoever takes it.
  /// - Returns: `nil` when none came in time.
  func wait(seconds: Int? = nil) -> CInt? {
    var taken = taken
    var nothing = timespec()
    while true {
      var descriptor = pollfd(fd: pending, events: Int16(POLLIN), revents: 0)
      let ready = poll(&descriptor, 1, seconds.map { CInt($0 * 1000) } ?? -1)
      if ready == 0 { return nil }
      let number = sigtimedwait(&taken, nil, &nothing)
      if number > 0 { return number }
      if ready > 0 { return SIGCONT }
    }
  }
}
