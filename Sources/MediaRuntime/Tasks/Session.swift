// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization

/// How one frame's work ended.
public enum TaskOutcome: Sendable {
  case done, failed
  /// The device or the CPU took longer than it may.
  case timedOut

  /// That of a task that failed so, or did not.
  init(_ failure: Failure?) {
    self = failure == nil ? .done : failure?.errno == .timedOut ? .timedOut : .failed
  }
}

/// What a session's worker does: one task at a time, taken from the channel's queue.
protocol SessionWork: AnyObject, Sendable {
  /// Does one task if there is one.
  /// - Returns: false when there was nothing to do.
  func perform() -> Bool

  /// Goes on with what was begun, and begins nothing: for a service that is out of work.
  /// - Returns: false when nothing that was begun is left.
  func finish() -> Bool

  /// Called by the worker after a task that `halt` did not wait for to the end, or during which it was left to it: what
  /// would have been done at once is done now. No further task begins. May be called more than once.
  func cameBack()
}

extension SessionWork {
  func finish() -> Bool { false }
  func cameBack() {}
}

/// The serial work queue of one channel: its tasks run one after the other, on whatever worker of the service is free.
/// The service may change at any time; from the next task on it is the new one's.
///
/// `schedule` may be called from any thread; it costs one atomic operation while the session is at work already.
final class Session: Sendable {
  /// The object it works for.
  let path: ObjectPath
  private let current: Atomic<Unmanaged<Service>>
  /// All services it ever was with, so that whoever looks at `current` finds it alive.
  private let services: Mutex<[Service]>
  /// A task that runs longer is reported as stuck. Nanoseconds.
  let timeout: Int64
  /// How long who halts it waits for the running task, where nothing else is said. Nanoseconds.
  private let haltPatience: Int64

  private static let pending: UInt32 = 1
  private static let active: UInt32 = 2
  private static let halted: UInt32 = 4
  /// Whoever halted it has gone on without the running task.
  private static let left: UInt32 = 8
  /// It will do no more work.
  private static let retired: UInt32 = 16
  private let flags = Atomic<UInt32>(Session.halted)
  private let startedAt = Atomic<Int64>(0)
  private let startedTasks = Atomic<UInt64>(0)
  private let triggered = Atomic<UInt64>(0)
  /// The worker waits for its device, with `alarm` to end that.
  private let isWaiting = Atomic<Bool>(false)
  /// For who waits until no task runs.
  private let idle = Monitor(0)
  /// Who halts it: one control lane at a time.
  private let control = Mutex(())
  /// Held by who does something with the state of the work besides its worker.
  private let visit = Mutex(())
  /// Whose the work's own state is: the worker's while it is at a task, and in between of the control lane, which has halted
  /// the session then.
  let affinity = Affinity()
  /// Tasks that have ended, for their numbers. Of who has the work's state.
  private nonisolated(unsafe) var endedTasks: UInt64 = 0
  /// Of the worker that has it, or had it last; alive while it works.
  private nonisolated(unsafe) unowned(unsafe) var meter: WorkerMeter?
  // Set before the first `resume`, for good.
  nonisolated(unsafe) var alarm: (@Sendable () -> Void)?
  // Set before the first `resume` and cleared after the last `halt`.
  private nonisolated(unsafe) var work: (any SessionWork)?

  init(
    _ path: ObjectPath, service: Service, timeout: Int64 = .milliseconds(500), patience: Int64 = Session.patience
  ) {
    self.path = path
    self.current = Atomic(Unmanaged.passUnretained(service))
    self.services = Mutex([service])
    self.timeout = timeout
    haltPatience = patience
  }

  var service: Service { current.load(ordering: .acquiring).takeUnretainedValue() }

  /// Has the tasks from the next one on done by the workers of another service. From any thread, also while one runs.
  func move(to service: Service) {
    services.withLock { services in
      if !services.contains(where: { $0 === service }) { services.append(service) }
    }
    current.store(Unmanaged.passUnretained(service), ordering: .releasing)
  }

  func attach(_ work: (any SessionWork)?) { self.work = work }

  /// When the running task was begun, CLOCK_MONOTONIC nanoseconds; 0 when none runs.
  var runningSince: Int64 { startedAt.load(ordering: .relaxed) }
  /// Tasks begun so far.
  var begun: UInt64 { startedTasks.load(ordering: .relaxed) }
  /// Times it was told that there is work.
  var triggers: UInt64 { triggered.load(ordering: .relaxed) }
  /// Whether the running task is over its time.
  var isStuck: Bool {
    let since = runningSince
    return since != 0 && Clock.now() - since > timeout
  }

  /// There is, or may be, something to do.
  @inline(__always) func schedule() {
    triggered.add(1, ordering: .relaxed)
    let old = flags.bitwiseOr(Session.pending, ordering: .sequentiallyConsistent).oldValue
    if old & (Session.active | Session.halted) == 0 { activate() }
    ring()
  }

  @inline(__always) private func ring() {
    if isWaiting.load(ordering: .sequentiallyConsistent) { alarm?() }
  }

  /// Does a wait that `alarm` ends, by the worker within a task. `schedule` and `halt` ring; the wait is not begun where
  /// `isNeeded` says so once nothing can come unnoticed any more.
  /// - Returns: whether it was begun.
  func wait(while isNeeded: () -> Bool, in body: () -> Void) -> Bool {
    // What was scheduled until now `isNeeded` sees; what comes later stays pending.
    flags.bitwiseAnd(~Session.pending, ordering: .sequentiallyConsistent)
    isWaiting.store(true, ordering: .sequentiallyConsistent)
    defer { isWaiting.store(false, ordering: .sequentiallyConsistent) }
    guard flags.load(ordering: .sequentiallyConsistent) & (Session.pending | Session.halted) == 0, isNeeded() else {
      return false
    }
    body()
    return true
  }

  private func activate() {
    let old = flags.bitwiseOr(Session.active, ordering: .sequentiallyConsistent).oldValue
    if old & Session.active == 0 { queue() }
  }

  /// Puts it where the service's workers find it.
  func queue() {
    // A service refuses when it has lost its workers, which is after the session was moved away.
    while !service.enqueue(self) {}
  }

  /// Marks the start and the end of a task, for whoever asks what is running.
  @inline(__always) func began(at now: Int64) {
    startedAt.store(now, ordering: .relaxed)
    startedTasks.store(startedTasks.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    meter?.began(at: now)
  }
  /// Work that is no task of its own: what a decoder still has is got out of it.
  @inline(__always) func works(at now: Int64) {
    startedAt.store(now, ordering: .relaxed)
    meter?.works(at: now)
  }
  /// Threads of an engine have worked for the task, nanoseconds of processor time. By its worker.
  func helped(_ time: Int64) { meter?.helped(time) }
  /// The oldest task that is not ended was begun then.
  @inline(__always) func running(since time: Int64) { startedAt.store(time, ordering: .relaxed) }
  @inline(__always) func ended() {
    startedAt.store(0, ordering: .relaxed)
    // The control lane, which may come later than the worker has ended, is no worker.
    if flags.load(ordering: .relaxed) & Session.active != 0 { meter?.rests() }
  }

  @inline(__always) private func isHosted(by service: Service) -> Bool {
    current.load(ordering: .acquiring).toOpaque() == Unmanaged.passUnretained(service).toOpaque()
  }

  /// Runs tasks until there are none, or others should have their turn. By a worker that took it.
  /// - Returns: true when it must be queued again.
  func run(on host: Service, by meter: WorkerMeter) -> Bool {
    self.meter = meter
    var turns = 0
    while true {
      guard isHosted(by: host) else { return true }
      let old = flags.bitwiseAnd(~Session.pending, ordering: .sequentiallyConsistent).oldValue
      if old & Session.halted == 0, host.disabled != 0 {
        affinity.within { while let work, work.finish() {} }
        flags.bitwiseOr(Session.pending, ordering: .relaxed)
        return true
      }
      if old & Session.halted == 0, let work, !affinity.within({ hasDone(work, &turns, on: host) }) { return true }
      // Idle, unless something came meanwhile.
      let seen = flags.load(ordering: .acquiring)
      if seen & Session.pending != 0 && seen & Session.halted == 0 { continue }
      if seen & Session.left != 0 {
        flags.bitwiseAnd(~Session.left, ordering: .acquiringAndReleasing)
        clearUp()
        continue
      }
      if flags.compareExchange(
        expected: seen, desired: seen & ~Session.active, ordering: .sequentiallyConsistent
      ).exchanged {
        if seen & Session.halted != 0 { idle.wakeAll() }
        return false
      }
    }
  }

  /// Does one task after the other.
  /// - Returns: false when others should have their turn although there may be more.
  @inline(__always) private func hasDone(_ work: any SessionWork, _ turns: inout Int, on host: Service) -> Bool {
    while work.perform() {
      turns += 1
      if flags.load(ordering: .relaxed) & Session.halted != 0 { break }
      if host.hasOthersWaiting() || turns >= host.turn || !isHosted(by: host) {
        flags.bitwiseOr(Session.pending, ordering: .relaxed)
        return false
      }
    }
    return true
  }

  /// Lets tasks run. By the control lane that halted it; another that does something between two tasks is let finish that, and then knows.
  func resume() { control.withLock { _ in letRun() } }

  private func letRun() {
    flags.bitwiseAnd(~Session.halted, ordering: .sequentiallyConsistent)
    schedule()
  }

  /// Somebody lets no further task begin. It is taken then also by a service that is out of work, to come to rest.
  var isHalted: Bool { flags.load(ordering: .sequentiallyConsistent) & Session.halted != 0 }

  /// No task runs and none is about to.
  var isIdle: Bool { flags.load(ordering: .acquiring) & Session.active == 0 }

  /// What hangs is left to itself after so long, so that whoever stops it is answered in time. Nanoseconds.
  static let patience: Int64 = 1_500_000_000

  /// Lets no further task begin and waits for the running one.
  /// - Parameter patience: nanoseconds to wait; `nil` for as long as this session is waited for.
  /// - Returns: false when the running task did not come back in time; it will not be followed by another, and the worker
  ///   calls `cameBack`.
  func halt(patience: Int64? = nil) -> Bool {
    control.withLock { _ in
      isAsked(toHalt: patience ?? haltPatience) || !leaveToWorker()
    }
  }

  /// Does something between two tasks, on the calling thread, with the work's state its own.
  /// - Returns: false when the running task did not come back in time, and nothing was done.
  func between(patience: Int64? = nil, _ body: () -> Void) -> Bool {
    control.withLock { _ in
      let wasHalted = flags.load(ordering: .acquiring) & Session.halted != 0
      let came = isAsked(toHalt: patience ?? haltPatience)
      if came { visited(body) }
      if !wasHalted { letRun() }
      return came
    }
  }

  /// Does something on the calling thread, with the work's state its own, in a session that is halted: those that share a session have
  /// control lanes of their own, and one of them is in there at a time.
  func visited<Result, Thrown: Error>(_ body: () throws(Thrown) -> Result) throws(Thrown) -> Result {
    visit._unsafeLock()
    defer { visit._unsafeUnlock() }
    return try affinity.within(body)
  }

  /// - Returns: whether no task runs any more.
  private func isAsked(toHalt patience: Int64) -> Bool {
    flags.bitwiseOr(Session.halted, ordering: .sequentiallyConsistent)
    ring()
    service.lookAgain()
    return idle.wait(until: Clock.now() + patience) { _ in
      flags.load(ordering: .sequentiallyConsistent) & Session.active == 0 ? true : nil
    } ?? false
  }

  /// Ends a session that is halted: its work is cleared up and let go of, by the worker if a task still runs.
  func retire() {
    flags.bitwiseOr(Session.retired, ordering: .acquiringAndReleasing)
    if !leaveToWorker() { clearUp() }
  }

  private func clearUp() {
    affinity.within { work?.cameBack() }
    if flags.load(ordering: .acquiring) & Session.retired != 0 { work = nil }
  }

  /// For a session that is halted: has the worker call `cameBack` at the end of the running task.
  /// - Returns: false when no task runs, and nobody calls it.
  func leaveToWorker() -> Bool {
    let old = flags.bitwiseOr(Session.left, ordering: .acquiringAndReleasing).oldValue
    guard old & Session.active == 0 else { return true }
    flags.bitwiseAnd(~Session.left, ordering: .acquiringAndReleasing)
    return false
  }
}

extension Session: TaskWatch {
  @inline(__always) func taskEnded(_ outcome: TaskOutcome, wait: Int64, run: Int64, at end: Int64) {
    let service = service
    endedTasks &+= 1
    // What the control lane gets out of an engine that it closes is no worker's doing.
    if flags.load(ordering: .relaxed) & Session.active != 0 {
      meter?.ended(outcome)
    } else {
      service.ended(outcome)
    }
    service.slowTasks.note(
      TaskTimes(
        path: path, number: endedTasks, outcome: outcome, created: end - run - wait, started: end - run, finished: end),
      took: run + wait, on: service)
  }
}
