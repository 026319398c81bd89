// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// One task that has ended, by its stages. CLOCK_MONOTONIC nanoseconds.
struct TaskTimes: Sendable {
  /// The object it was done for.
  var path: ObjectPath
  /// Counts the ended tasks of its session.
  var number: UInt64
  var outcome: TaskOutcome
  /// It came to its session's queue.
  var created: Int64
  var started: Int64
  var finished: Int64

  var whole: Int64 { finished - created }
}

/// Logs the stages of tasks that took longer than they should, as the vendor's driver does.
///
/// Asking whether one did is a load and a comparison. A log line is made by the worker, so there are at most ten tasks a second
/// in the log; the others are counted.
final class SlowTasks: Sendable {
  typealias Log = @Sendable (String) -> Void

  private struct Settings {
    var microseconds: UInt32 = 0
    /// `nil` while nothing is logged.
    var log: Log?
  }
  private let settings = Mutex(Settings())
  /// A task is slow above so many nanoseconds.
  private let threshold = Atomic<Int64>(.max)
  private let lastAt = Atomic<Int64>(0)
  private let skipped = Atomic<Int>(0)
  /// Nanoseconds between two tasks in the log.
  private static let interval = Int64.milliseconds(100)

  /// From how many microseconds on a task is slow; 0: none is.
  var microseconds: UInt32 {
    get { settings.withLock { $0.microseconds } }
    set { change { $0.microseconds = newValue } }
  }

  /// - Parameter log: where the lines go; `nil` logs nothing.
  func log(to log: Log?) { change { $0.log = log } }

  private func change(_ body: (inout sending Settings) -> Void) {
    settings.withLock { settings in
      body(&settings)
      let isOn = settings.log != nil && settings.microseconds > 0
      threshold.store(isOn ? .microseconds(Int64(settings.microseconds)) : .max, ordering: .relaxed)
    }
  }

  /// By the worker, after each task.
  /// - Parameter time: nanoseconds from its creation to its end.
  @inline(__always) func note(_ task: @autoclosure () -> TaskTimes, took time: Int64, on service: Service) {
    if time > threshold.load(ordering: .relaxed) { write(task(), service.shortName) }
  }

  @inline(never) private func write(_ task: TaskTimes, _ service: String) {
    let last = lastAt.load(ordering: .relaxed)
    let isDue = last == 0 || task.finished - last >= Self.interval
    guard isDue, lastAt.compareExchange(expected: last, desired: task.finished, ordering: .relaxed).exchanged else {
      skipped.add(1, ordering: .relaxed)
      return
    }
    guard let log = settings.withLock({ $0.log }) else { return }
    let missed = skipped.exchange(0, ordering: .relaxed)
    if missed > 0 { log("\(missed) more slow tasks on \(service)") }
    log(
      "task \(task.number) dump timing at \(task.whole / 1000) us: \(task.path) on \(service), \(task.outcome.word)")
    for (stage, time) in [("create", task.created), ("run", task.started), ("finish", task.finished)] {
      let padding = String(repeating: " ", count: max(0, 14 - stage.utf8.count))
      log(" timing: \(stage)\(padding) : \((time - task.created) / 1000) us")
    }
  }
}

extension TaskOutcome {
  /// In words, for the log.
  fileprivate var word: String {
    switch self {
    case .done: "done"
    case .failed: "failed"
    case .timedOut: "timed out"
    }
  }
}
