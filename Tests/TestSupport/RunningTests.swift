// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Which tests have begun and not ended, and the end of those that exceed their time limit.
///
/// A thread that blocks cannot be ended from outside, so the first test over its limit ends the process: the tests that run are
/// named on stderr with the stacks of all threads, and the exit status is 1. With `MPIFS_TEST_JOURNAL` set to a file's path each
/// begin and end is a line there, from which the watchdog of Tests/run names tests, and Tests/run those that took longest.
final class RunningTests: Sendable {
  static let shared = RunningTests()

  private struct Running {
    var name: String
    var since: ContinuousClock.Instant
    var limit: Duration
  }

  private struct State {
    var running: [Int: Running] = [:]
    var next = 0
    var isWatched = false
  }

  private let state = Mutex(State())
  private let journal: Int32

  private init() {
    if let path = getenv("MPIFS_TEST_JOURNAL"), path.pointee != 0 {
      journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    } else {
      journal = -1
    }
  }

  func begin(_ name: String, limit: Duration) -> Int {
    let (number, isFirst) = state.withLock { state in
      state.next += 1
      state.running[state.next] = Running(name: name, since: .now, limit: limit)
      defer { state.isWatched = true }
      return (state.next, !state.isWatched)
    }
    note("begin \(number) \(name)")
    if isFirst { startThread(name: "test-limits") { self.watch() } }
    return number
  }

  func end(_ number: Int) {
    guard let test = state.withLock({ $0.running.removeValue(forKey: number) }) else { return }
    let took = ContinuousClock.now - test.since
    note("end \(number) \(Int(took / .milliseconds(1))) ms \(test.name)")
  }

  private func note(_ line: String) { if journal >= 0 { say(line + "\n", to: journal) } }

  private func say(_ text: String, to descriptor: Int32) {
    var text = text
    _ = text.withUTF8 { write(descriptor, $0.baseAddress, $0.count) }
  }

  private func watch() {
    while true {
      sleep(1)
      let running = state.withLock { $0.running }
      let now = ContinuousClock.now
      guard let late = running.values.first(where: { now - $0.since > $0.limit }) else { continue }
      var text =
        "\n✘ Test \(late.name) recorded an issue: it exceeds its time limit of \(late.limit.components.seconds) s\n"
      for test in running.values.sorted(by: { $0.since < $1.since }) {
        text += "begun and not ended: \(test.name), for \((now - test.since).components.seconds) s\n"
      }
      say(text, to: 2)
      showStacks()
      _exit(1)
    }
  }

  /// The stacks of this process's threads, by the script that the watchdog uses too.
  private func showStacks() {
    let script = "\(#filePath)".split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/support/stacks"
    var argv: [UnsafeMutablePointer<CChar>?] = [strdup(script), strdup(String(getpid())), nil]
    defer { for text in argv { free(text) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, 2, 1)
    var pid: pid_t = 0
    guard posix_spawn(&pid, script, &actions, nil, &argv, environ) == 0 else { return }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }
}
