// SPDX-License-Identifier: Apache-2.0
import Base
import DequeModule
import Glibc
import MediaCore
import Reports
import Synchronization

/// What the workers of a service did, of one moment.
public struct ServiceFigures: Sendable, Equatable {
  public var name: String
  public var workers: Int
  /// Sessions that wait for a worker.
  public var waiting: Int
  /// Turns given to sessions, and times a session asked for one.
  public var runs: UInt64
  public var triggers: UInt64
  /// Tasks begun, and those that ended, by how.
  public var tasks: UInt64
  public var done: UInt64
  public var failed: UInt64
  public var timedOut: UInt64
  /// Time all workers spent in turns, nanoseconds; with the turns that are not over.
  public var busyNanoseconds: UInt64
  /// Processor time of the CPU's workers; of a device, the time in which one of its workers was in a turn. Nanoseconds; `nil`
  /// where it was not asked for.
  public var utilisedNanoseconds: UInt64?
  /// It gets no further work.
  public var isDisabled: Bool
  /// Time since the service was made, nanoseconds.
  public var sinceNanoseconds: Int64
  /// When a worker last began or ended a turn, CLOCK_MONOTONIC_RAW nanoseconds; 0 before the first.
  public var lastRunRawNanoseconds: Int64

  /// Share of the workers' time spent at work, 0...1, since the service was made.
  public var utilisation: Double {
    let whole = Double(sinceNanoseconds) * Double(max(1, workers))
    return whole <= 0 ? 0 : min(1, Double(busyNanoseconds) / whole)
  }

  var statistics: [Statistic] {
    [
      Statistic("workers", .gauge, "Threads that do the work: of the CPU, and for each session on a device.", workers),
      Statistic("waiting_sessions", .gauge, "Sessions that have work and wait for a worker.", waiting),
      Statistic("turns", .counter, "Turns given to sessions.", runs),
      Statistic("tasks_begun", .counter, "Tasks begun.", tasks),
      Statistic("tasks", .counter, cause: "done", "Tasks that ended, by how.", done),
      Statistic("tasks", .counter, cause: "failed", "Tasks that ended, by how.", failed),
      Statistic("tasks", .counter, cause: "timed_out", "Tasks that ended, by how.", timedOut),
      Statistic(
        "busy_seconds", .counter, unit: .seconds, "Time the workers spent at work or waiting for the device.",
        Double(busyNanoseconds) / 1e9),
      Statistic(
        "utilised_seconds", .counter, unit: .seconds,
        "Processor time of the CPU's workers; of a device, time in which it had a task.",
        Double(utilisedNanoseconds ?? 0) / 1e9),
      Statistic("disabled", .gauge, "1 when it gets no further work (disable_work), else 0.", isDisabled ? 1 : 0),
    ]
  }
}

/// The cores that execute tasks: the CPU workers, or the workers of a device, one for each session that works on it.
///
/// Sessions are taken in turn. Where work comes thick and fast, a worker that runs out of it looks on
/// for a few microseconds before it parks, so that frames in quick succession cost no wake-up call; at a camera's pace
/// that would only cost.
public final class Service: Sendable {
  public let name: String
  let turn: Int
  let isOwnThread: Bool
  /// Its workers wait for a device that they share.
  let isDevice: Bool
  let createdAt = Clock.now()
  /// What of its tasks goes into the log.
  let slowTasks = SlowTasks()

  private struct Ready {
    var queue = Deque<Session>(minimumCapacity: 64)
    var parked = 0
    /// Wake-ups sent whose threads have not come back yet.
    var waking = 0
    var spinning = 0
    /// How long a worker last was without work, nanoseconds.
    var lastIdle: Int64 = 0
    /// Workers there are, and those of them that end as soon as nothing waits.
    var workers = 0
    var leaving = 0
    /// Given to workers as they come, for the names of their threads.
    var made = 0
    var closing = false
    /// No session is taken but for what may not wait.
    var isDisabled = false

    /// One worker more, and its number.
    mutating func nextWorker() -> Int {
      workers += 1
      defer { made += 1 }
      return made
    }
  }
  private let ready = Monitor(Ready())
  private let readyCount = Atomic<Int>(0)
  private let triggers = Atomic<UInt64>(0)
  private let workforce = Workforce()
  private let deviceTime = SharedTime()
  /// Channels' own threads, whose work is work of the CPU too.
  private let guests = Published(Guests())
  private struct Guests: Sendable {
    var services: [Service] = []
    /// Of those that have ended.
    var past = WorkSums()
  }
  private let disabledAs = Atomic<UInt32>(0)
  private let poolBuffersAs = Atomic<UInt32>(0)
  private let doneElsewhere = Atomic<UInt64>(0)
  private let failedElsewhere = Atomic<UInt64>(0)
  private let timedOutElsewhere = Atomic<UInt64>(0)
  private let lastRun = Atomic<Int64>(0)
  /// CLOCK_MONOTONIC nanoseconds of the same.
  private let lastTurn = Atomic<Int64>(0)
  private let rescues = Atomic<Int>(0)
  /// Workers added at most in place of stuck ones.
  private static let spares = 8
  /// With sessions waiting and no worker beginning or ending anything for so long, all are taken for stuck. Nanoseconds.
  private static let patience = Int64.seconds(2)
  /// Looking on is tried where work came again within so many nanoseconds: well above what waking a thread takes, well
  /// below a camera's interval.
  private static let shortIdle = Int64.milliseconds(1)
  private let workerCount = Atomic<Int>(0)

  /// - Parameter turn: tasks a session may do before its turn is over.
  /// - Throws: EAGAIN when workers were wanted and not even one could be made.
  public convenience init(name: String, workers: Int, turn: Int = 64) throws(Failure) {
    self.init(name: name, turn: turn)
    for index in 0..<workers {
      do {
        try addWorker()
      } catch {
        if index == 0 { throw error }
        break
      }
    }
  }

  /// One without workers yet.
  /// - Parameters:
  ///   - isOwnThread: its one worker is the thread of one channel, with the service's name.
  ///   - isDevice: its workers wait for a device that they share.
  init(name: String, turn: Int = .max, isOwnThread: Bool = false, isDevice: Bool = false) {
    self.name = name
    self.turn = turn
    self.isOwnThread = isOwnThread
    self.isDevice = isDevice
  }

  /// The workers hold the service, so it ends by this call.
  public func close() {
    ready.change { $0.closing = true }
  }

  /// One more worker.
  /// - Throws: EAGAIN when the system has no more threads.
  func addWorker() throws(Failure) {
    let number: Int? = ready.withLock { ready in
      guard ready.leaving == 0 else {
        ready.leaving -= 1
        return nil
      }
      return ready.nextWorker()
    }
    if let number { try startWorker(number) }
  }

  /// Starts the worker that is counted already.
  private func startWorker(_ number: Int) throws(Failure) {
    do throws(Failure) {
      _ = try Thread.start(isOwnThread ? name : "\(shortName)-\(number)") { [self] in work() }
    } catch {
      ready.withLock { $0.workers -= 1 }
      throw error
    }
    workerCount.add(1, ordering: .relaxed)
  }

  /// One worker fewer, once nothing waits.
  func removeWorker() {
    ready.change { $0.leaving += 1 }
  }

  /// As it was written: other than 0 while it gets no further work.
  var disabled: UInt32 { disabledAs.load(ordering: .relaxed) }

  /// Takes the service out of work, or back in: turns that run are ended, sessions that wait go on waiting. By an
  /// administrator.
  func disable(_ value: UInt32) {
    disabledAs.store(value, ordering: .relaxed)
    ready.change { $0.isDisabled = value != 0 }
  }

  /// As it was written: how many buffers new pools of pictures made by it have at least.
  var poolBuffers: UInt32 {
    get { poolBuffersAs.load(ordering: .relaxed) }
    set { poolBuffersAs.store(newValue, ordering: .relaxed) }
  }

  /// The same, at most as many as a session of the vendor's can have.
  var leastBuffers: Int { Int(min(poolBuffers, 60)) }

  /// A session wants to come to rest: one that waits for a service which is out of work is taken for that.
  func lookAgain() {
    if disabled != 0 { ready.wakeAll() }
  }

  /// A task ended that none of its workers was at.
  func ended(_ outcome: TaskOutcome) {
    switch outcome {
    case .done: doneElsewhere.add(1, ordering: .relaxed)
    case .failed: failedElsewhere.add(1, ordering: .relaxed)
    case .timedOut: timedOutElsewhere.add(1, ordering: .relaxed)
    }
  }

  /// Its name without a directory.
  var shortName: String { ServiceReport.shortName(of: name) }

  /// What its sessions wait for besides a worker, for `state`.
  var obstacle: String? {
    disabled == 0 ? nil : "service \(shortName), out of work by disable_work"
  }

  var workers: Int { workerCount.load(ordering: .relaxed) }

  @inline(__always) func hasOthersWaiting() -> Bool {
    readyCount.load(ordering: .relaxed) > 0
  }

  /// - Returns: false when the service has no workers any more, because the session has been moved to another.
  func enqueue(_ session: Session) -> Bool {
    let wake: Bool? = ready.withLock { ready in
      guard ready.workers > 0 || ready.closing else { return nil }
      ready.queue.append(session)
      let waiting = readyCount.load(ordering: .relaxed) + 1
      readyCount.store(waiting, ordering: .relaxed)
      let wake =
        ready.parked > ready.waking && waiting > ready.spinning + ready.waking
        && (!ready.isDisabled || session.isHalted)
      if wake { ready.waking += 1 }
      return wake
    }
    guard let wake else { return false }
    triggers.add(1, ordering: .relaxed)
    if wake { ready.wakeOne() }
    return true
  }

  /// Called where a frame found a queue full: if every worker hangs in some library, one more is made, so that what
  /// does not hang goes on.
  @inline(__always) func relieve(at now: Int64) {
    if readyCount.load(ordering: .relaxed) > 0, now &- lastTurn.load(ordering: .relaxed) > Service.patience,
      disabled == 0
    {
      addSpare(at: now)
    }
  }

  @inline(never) private func addSpare(at now: Int64) {
    let last = lastTurn.load(ordering: .relaxed)
    // One of those that see it does it, and the next only after as long again.
    guard last != 0, rescues.load(ordering: .relaxed) < Service.spares,
      lastTurn.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
    else { return }
    // The source is not held up by a worker that stands still with the lock, as one in a debugger does. Without the lock
    // or a thread to be had, things stay as they are and are tried again.
    guard let number = ready.withLockIfAvailable({ $0.nextWorker() }) else { return }
    rescues.add(1, ordering: .relaxed)
    try? startWorker(number)
  }

  private func take(_ ready: inout Ready) -> Session? {
    if ready.isDisabled { return takeExempt(&ready) }
    guard let session = ready.queue.popFirst() else { return nil }
    readyCount.store(readyCount.load(ordering: .relaxed) - 1, ordering: .relaxed)
    return session
  }

  /// Of a service that gets no work: one that is to be another service's, is to come to rest, or has work inside the device.
  private func takeExempt(_ ready: inout Ready) -> Session? {
    let index = ready.queue.firstIndex { $0.service !== self || $0.isHalted || $0.runningSince != 0 }
    guard let index else { return nil }
    readyCount.store(readyCount.load(ordering: .relaxed) - 1, ordering: .relaxed)
    return ready.queue.remove(at: index)
  }

  private func next() -> Session? {
    var idleSince: Int64 = 0
    var looksOn = false
    let found = ready.withLock { ready -> Session? in
      if let session = take(&ready) { return session }
      idleSince = Clock.now()
      // One worker looks on a little; the others park at once.
      looksOn =
        !isOwnThread && ready.spinning == 0 && !ready.closing && ready.leaving == 0
        && ready.lastIdle < Service.shortIdle
      if looksOn { ready.spinning = 1 }
      return nil
    }
    if let found { return found }
    if looksOn {
      var rounds = 0
      while rounds < 64 && readyCount.load(ordering: .relaxed) == 0 {
        rounds += 1
        if rounds & 7 == 0 { sched_yield() }
      }
    }
    return park(since: idleSince, looksOn)
  }

  /// Waits for a session.
  /// - Parameter lookedOn: whether it is the worker that looked on.
  /// - Returns: `nil` when the worker is to end.
  private func park(since idleSince: Int64, _ lookedOn: Bool) -> Session? {
    var isFirst = true
    return ready.wait { ready -> Session?? in
      if isFirst {
        if lookedOn { ready.spinning = 0 }
        isFirst = false
      } else {
        ready.parked -= 1
        if ready.waking > 0 { ready.waking -= 1 }
      }
      if let session = take(&ready) {
        ready.lastIdle = Clock.now() - idleSince
        return session
      }
      if ready.closing || ready.leaving > 0 {
        ready.lastIdle = Clock.now() - idleSince
        ready.leaving = max(0, ready.leaving - 1)
        ready.workers -= 1
        return .some(nil)
      }
      ready.parked += 1
      return nil
    } ?? nil
  }

  private func work() {
    let meter = workforce.join(ofTasks: isOwnThread)
    while let session = next() {
      let start = Clock.now()
      lastRun.store(Clock.rawNanoseconds(), ordering: .relaxed)
      lastTurn.store(start, ordering: .relaxed)
      meter.begin(at: start)
      if isDevice { deviceTime.enter(at: start) }
      let again = session.run(on: self, by: meter)
      let end = Clock.now()
      if isDevice { deviceTime.leave(at: end) }
      meter.end(at: end)
      lastTurn.store(end, ordering: .relaxed)
      lastRun.store(Clock.rawNanoseconds(), ordering: .relaxed)
      if again { session.queue() }
    }
    workforce.leave(meter)
    workerCount.subtract(1, ordering: .relaxed)
  }

  /// Has the work of another service told as work of this one.
  func host(_ guest: Service) {
    guests.update { old in
      var new = old
      new.services.append(guest)
      return new
    }
  }

  /// The guest's workers have ended.
  func bidFarewell(to guest: Service) {
    guests.update { old in
      guard old.services.contains(where: { $0 === guest }) else { return nil }
      var new = old
      new.services.removeAll { $0 === guest }
      new.past.add(guest.sums(at: Clock.now()))
      return new
    }
  }

  /// What its workers did up to now. Takes no lock.
  /// - Parameter processorTime: with that of the CPU's workers, a system call for each.
  func sums(at now: Int64, processorTime: Bool = true) -> WorkSums {
    var sums = workforce.sums(at: now, processorTime: processorTime && !isDevice)
    if isDevice { sums.utilised = deviceTime.nanoseconds(at: now) }
    let guests = guests.value
    sums.add(guests.past)
    for guest in guests.services { sums.add(guest.sums(at: now, processorTime: processorTime)) }
    sums.count(.done, doneElsewhere.load(ordering: .relaxed))
    sums.count(.failed, failedElsewhere.load(ordering: .relaxed))
    sums.count(.timedOut, timedOutElsewhere.load(ordering: .relaxed))
    return sums
  }

  /// For reports; takes no lock.
  /// - Parameter processorTime: with how much the workers' time was used, a system call for each of the CPU's.
  public func figures(processorTime: Bool = false) -> ServiceFigures {
    let now = Clock.now()
    let sums = sums(at: now, processorTime: processorTime)
    return ServiceFigures(
      name: name, workers: workers, waiting: readyCount.load(ordering: .relaxed), runs: sums.turns,
      triggers: triggers.load(ordering: .relaxed), tasks: sums.tasks, done: sums.done, failed: sums.failed,
      timedOut: sums.timedOut, busyNanoseconds: UInt64(max(0, sums.busy)),
      utilisedNanoseconds: processorTime ? UInt64(max(0, sums.utilised)) : nil, isDisabled: disabled != 0,
      sinceNanoseconds: now - createdAt, lastRunRawNanoseconds: lastRun.load(ordering: .relaxed))
  }
}
