// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
public import MediaCore
public import Reports
internal import SystemPackage

/// The DMA-BUFs of the whole system: looked at by a thread of its own when somebody asks, and seldom for the history.
///
/// Whoever asks is called back from that thread; nobody waits.
public final class SystemMemoryWatch: Sendable {
  /// For so long a look is good enough for the next reader, nanoseconds.
  static let age = Int64.seconds(1)
  /// The history looks so often at most, nanoseconds, and so seldom that it takes a two-hundredth of one processor.
  static let shortestInterval = Int64.seconds(1)
  static let restPerWork: Int64 = 200
  /// Marks that are kept.
  public static let mostMarks = 8

  /// Is told the bytes of all DMA-BUFs after each look, and whether there are some that were not there before. Returns the
  /// bytes with those of this process that are no DMA-BUFs.
  public typealias Listener = @Sendable (_ bytes: UInt64, _ hasNew: Bool) -> UInt64

  fileprivate struct Waiting {
    var look: MemoryLook
    /// The looks that had begun when it was asked for: a later one is wanted.
    var after: UInt64?
    var done: @Sendable () -> Void
  }

  fileprivate struct State {
    var waiting: [Waiting] = []
    var begun: UInt64 = 0
    var latest: MemoryScan?
    var latestTime: Int64?
    var attached: MemoryScan?
    var attachedTime: Int64?
    var holders: MemoryScan?
    var holdersTime: Int64?
    /// Why the last look saw nothing.
    var failure: Errno?
    var interval = SystemMemoryWatch.shortestInterval
    var marks: [MemoryMark] = []
    var history = MemoryHistory()
    var isEnding = false
  }

  /// What the thread has of it.
  fileprivate final class Core: Sendable {
    let state = Monitor(State())
    let listener: Listener
    let isSampling: Bool

    init(_ listener: @escaping Listener, isSampling: Bool) {
      self.listener = listener
      self.isSampling = isSampling
    }
  }

  private let core: Core

  /// - Parameter isSampling: looks for the history also when nobody asks.
  public init(
    _ roots: KernelRoots = KernelRoots(), isSampling: Bool = true, listener: @escaping Listener = { bytes, _ in bytes }
  ) {
    let core = Core(listener, isSampling: isSampling)
    self.core = core
    // Without a thread nobody is called back, and readers get the errno of their deadline.
    _ = try? Thread("memory") { core.run(MemoryScanner(roots)) }
  }

  deinit { core.state.change { $0.isEnding = true } }

  // MARK: for readers

  public var report: SystemMemoryReport {
    core.state.withLock {
      var report = SystemMemoryReport()
      report.latest = $0.latest
      report.attached = $0.attached
      report.holders = $0.holders
      report.failure = $0.failure.map { "\($0)" }
      report.marks = $0.marks
      report.seconds = $0.history.recent.inOrder
      report.minutes = $0.history.long.inOrder
      report.ageMilliseconds = Int(Self.age / .milliseconds(1))
      report.intervalMilliseconds = $0.interval / .milliseconds(1)
      report.ownProcess = getpid()
      return report
    }
  }

  public func isFresh(_ look: MemoryLook) -> Bool {
    let now = Clock.now()
    return core.state.withLock { state in
      let time =
        switch look {
        case .totals: state.latestTime
        case .attachments: state.attachedTime
        case .holders: state.holdersTime
        }
      return time.map { now - $0 < Self.age } ?? false
    }
  }

  /// Calls back when a look that says so much is there.
  public func refresh(_ look: MemoryLook, _ done: @escaping @Sendable () -> Void) {
    core.state.change { $0.waiting.append(Waiting(look: look, after: nil, done: done)) }
  }

  /// The same with one that has not begun yet.
  public func lookAnew(_ look: MemoryLook, _ done: @escaping @Sendable () -> Void) {
    core.state.change { $0.waiting.append(Waiting(look: look, after: $0.begun, done: done)) }
  }

  // MARK: marks

  /// Remembers what there is now; a mark of that name is set anew.
  /// - Parameter done: gets what was wrong.
  public func mark(_ name: String, _ done: @escaping @Sendable (Refusal?) -> Void) {
    lookAnew(.totals) { [core] in
      if let failure = core.state.withLock({ $0.failure }) {
        return done(
          Refusal(failure, path: "rk_dmabuf/growth", reason: "the memory of the system cannot be looked at now"))
      }
      let isKept = core.state.withLock { state in
        guard let scan = state.latest else { return false }
        state.marks.removeAll { $0.name == name }
        guard state.marks.count < Self.mostMarks else { return false }
        state.marks.append(
          MemoryMark(
            name: name, monotonicMicroseconds: scan.monotonicMicroseconds, bytes: scan.bytes,
            inodes: Set(scan.buffers.map(\.inode))))
        return true
      }
      done(
        isKept
          ? nil
          : Refusal(
            .noSpace, path: "rk_dmabuf/growth", reason: "there are \(Self.mostMarks) marks",
            hint: "clear NAME, or clear for all, makes room"))
    }
  }

  /// - Parameter name: `nil` for all.
  /// - Returns: whether there was one.
  public func clearMark(_ name: String?) -> Bool {
    core.state.withLock { state in
      let before = state.marks.count
      state.marks.removeAll { name == nil || $0.name == name }
      return name == nil || state.marks.count < before
    }
  }
}

extension SystemMemoryWatch.Core {
  fileprivate enum Step {
    case look(MemoryLook)
    case end
  }

  fileprivate func run(_ scanner: MemoryScanner) {
    var book = MemoryBook()
    var sampled = Int64.min
    while true {
      let step = next(sampled)
      guard case .look(let look) = step else { return }
      let number = state.withLock { state in
        state.begun += 1
        return state.begun
      }
      var scan: MemoryScan
      do throws(Errno) {
        scan = try scanner.look(look)
      } catch {
        sampled = Clock.now()
        for done in fail(error, number) { done() }
        continue
      }
      let hasNew = book.note(&scan)
      let total = listener(scan.bytes, hasNew)
      sampled = Clock.now()
      for done in keep(scan, number, total: total, at: sampled) { done() }
    }
  }

  /// Waits for something to do.
  private func next(_ sampled: Int64) -> Step {
    let deadline = !isSampling ? .max : sampled == .min ? Clock.now() : sampled + state.withLock { $0.interval }
    return state.wait(until: deadline) { state in
      if state.isEnding { return .end }
      return state.waiting.map(\.look).max().map { .look($0) }
    } ?? .look(.totals)
  }

  /// The looks before are what there is.
  /// - Returns: whom to tell.
  private func fail(_ error: Errno, _ number: UInt64) -> [@Sendable () -> Void] {
    state.withLock { state in
      state.failure = error
      let told = state.waiting.filter { ($0.after ?? 0) < number }
      state.waiting.removeAll { ($0.after ?? 0) < number }
      return told.map(\.done)
    }
  }

  /// - Returns: whom to tell.
  private func keep(_ scan: MemoryScan, _ number: UInt64, total: UInt64, at time: Int64) -> [@Sendable () -> Void] {
    state.withLock { state in
      state.latest = scan
      state.latestTime = time
      state.failure = nil
      if scan.depth >= .attachments {
        state.attached = scan
        state.attachedTime = time
      }
      if scan.depth == .holders {
        state.holders = scan
        state.holdersTime = time
      }
      let cost = scan.costMicroseconds * 1000
      state.interval = max(
        SystemMemoryWatch.shortestInterval,
        cost.multipliedReportingOverflow(by: SystemMemoryWatch.restPerWork).partialValue)
      state.history.note(second: time / .seconds(1), bytes: total, count: scan.buffers.count)
      let told = state.waiting.filter { $0.look <= scan.depth && ($0.after ?? 0) < number }
      state.waiting.removeAll { $0.look <= scan.depth && ($0.after ?? 0) < number }
      return told.map(\.done)
    }
  }
}
