// SPDX-License-Identifier: Apache-2.0
import Base
import Reports

/// What a node's work was, of one moment. Times in nanoseconds.
struct WorkFigures: Sendable, Equatable {
  var done: UInt64 = 0
  var failed: UInt64 = 0
  var timedOut: UInt64 = 0
  var lastRun: Int64 = 0
  var totalRun: Int64 = 0
  var longestRun: Int64 = 0
  /// Mean of about the last eight tasks.
  var recentRun: Int64 = 0
  var lastWait: Int64 = 0
  var totalWait: Int64 = 0
  var longestWait: Int64 = 0
  var bytesCopied: UInt64 = 0
  var bytesOut: UInt64 = 0
  /// When work last ended.
  var lastEnd: Int64 = 0
  /// Frames dropped after they were taken in.
  var dropped = DropCounts()

  var tasks: UInt64 { done + failed + timedOut }
  var meanRun: Int64 { tasks == 0 ? 0 : totalRun / Int64(clamping: tasks) }
}

/// Hears of each task that has ended, on the thread that ended it.
protocol TaskWatch: AnyObject, Sendable {
  /// - Parameters:
  ///   - wait: nanoseconds from its creation to its start.
  ///   - run: nanoseconds from its start to its end.
  ///   - end: CLOCK_MONOTONIC nanoseconds.
  func taskEnded(_ outcome: TaskOutcome, wait: Int64, run: Int64, at end: Int64)
}

/// The counters of the work done on frames after they were taken in; written by the worker that has the session.
struct WorkCounters: ~Copyable, Sendable {
  let block = CounterBlock(22)
  private let drops: DropMark
  private let watcher = Watcher()

  private final class Watcher: Sendable {
    // Set once before the first task; who works is alive while it does.
    nonisolated(unsafe) unowned(unsafe) var watch: (any TaskWatch)?
  }

  /// - Parameter watch: hears of each task from now on. Before the first.
  func connect(_ watch: any TaskWatch) { watcher.watch = watch }

  init(drops: DropMark = .none) { self.drops = drops }

  deinit { block.free() }

  private static let done = 0
  private static let failed = 1
  private static let timedOut = 2
  private static let lastRun = 3
  private static let totalRun = 4
  private static let longestRun = 5
  private static let lastWait = 6
  private static let totalWait = 7
  private static let longestWait = 8
  private static let copied = 9
  private static let bytesOut = 10
  private static let lastEnd = 11
  private static let dropped = 12
  private static let recentRun = 21

  /// Records one task that has ended.
  func record(_ outcome: TaskOutcome, wait: Int64, run: Int64, copied: Int = 0, end: Int64) {
    block.begin()
    let counter =
      switch outcome {
      case .failed: Self.failed
      case .timedOut: Self.timedOut
      case .done: Self.done
      }
    block[counter] = block[counter] &+ 1
    add(run, Self.lastRun)
    let recent = Int64(bitPattern: block[Self.recentRun])
    block[Self.recentRun] = UInt64(bitPattern: recent == 0 ? run : recent &+ (run &- recent) / 8)
    add(wait, Self.lastWait)
    if copied > 0 { block[Self.copied] = block[Self.copied] &+ UInt64(copied) }
    block[Self.lastEnd] = UInt64(bitPattern: end)
    block.end()
    watcher.watch?.taskEnded(outcome, wait: wait, run: run, at: end)
  }

  /// Last, total and longest lie side by side.
  @inline(__always) private func add(_ time: Int64, _ first: Int) {
    let time = UInt64(max(0, time))
    block[first] = time
    block[first + 1] = block[first + 1] &+ time
    if block[first + 2] < time { block[first + 2] = time }
  }

  /// Counts a frame that goes no further, and notes which it was.
  func drop(_ cause: DropCause, _ frame: DroppedFrame, at stage: DropStage = .work) {
    block.begin()
    block[Self.dropped + cause.index] = block[Self.dropped + cause.index] &+ 1
    block.end()
    drops.note(frame, cause, stage, at: Clock.now())
  }

  func copied(_ bytes: Int) {
    block.begin()
    block[Self.copied] = block[Self.copied] &+ UInt64(max(0, bytes))
    block.end()
  }

  func produced(_ bytes: Int) {
    block.begin()
    block[Self.bytesOut] = block[Self.bytesOut] &+ UInt64(max(0, bytes))
    block.end()
  }

  func figures() -> WorkFigures {
    block.read { block in
      func time(_ index: Int) -> Int64 { Int64(bitPattern: block[index]) }
      var figures = WorkFigures()
      figures.done = block[Self.done]
      figures.failed = block[Self.failed]
      figures.timedOut = block[Self.timedOut]
      figures.lastRun = time(Self.lastRun)
      figures.totalRun = time(Self.totalRun)
      figures.longestRun = time(Self.longestRun)
      figures.recentRun = time(Self.recentRun)
      figures.lastWait = time(Self.lastWait)
      figures.totalWait = time(Self.totalWait)
      figures.longestWait = time(Self.longestWait)
      figures.bytesCopied = block[Self.copied]
      figures.bytesOut = block[Self.bytesOut]
      figures.lastEnd = time(Self.lastEnd)
      figures.dropped = DropCounts(block, at: Self.dropped)
      return figures
    }
  }
}
