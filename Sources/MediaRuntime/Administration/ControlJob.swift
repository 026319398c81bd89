// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import SystemPackage

/// Transactions that start or stop something. Each on a thread of its own, which waits only with a deadline.
extension Administrator {
  /// What came of a job that was made.
  private struct Made {
    var ticket: Announcements.Ticket?
    /// Something of it has not come back in time.
    var late: Refusal?
  }

  /// Plans the job again (the objects may have changed while it waited), makes it, and answers.
  func run(_ job: Job) {
    let planned: Result<Plan, Refusal> = state.withLock { state in
      if state.isClosed || Clock.now() > job.deadline {
        for object in job.made { object.retire() }
        return .failure(state.isClosed ? Self.closing(job.transaction) : Self.tooLate(job.transaction))
      }
      do throws(Refusal) {
        return .success(try plan(job.transaction, state.table, made: job.made))
      } catch {
        return .failure(error)
      }
    }
    let result: Result<Made, Refusal>
    switch planned {
    case .failure(let refusal):
      result = .failure(refusal)
    case .success(let plan):
      do throws(Refusal) {
        result = .success(try make(plan, job))
      } catch {
        result = .failure(error)
      }
    }
    switch result {
    case .success(let made):
      if let late = made.late { errorLog.record(late) }
      announcements.deliver(made.ticket) { job.reply(made.late) }
    case .failure(let refusal):
      state.withLock { release(job, &$0) }
      errorLog.record(refusal)
      job.reply(refusal)
    }
    ended()
  }

  private static func tooLate(_ transaction: Transaction) -> Refusal {
    Refusal(
      .timedOut, path: transaction.changes.first?.path.description ?? "config",
      reason: "was not begun in time and will not be", hint: "others were at work on the same objects: try again")
  }

  /// Stops, commits, starts; everything back if a device refuses.
  private func make(_ plan: Plan, _ job: Job) throws(Refusal) -> Made {
    if let command = plan.command {
      let isBack = try onLane(command.object, .command, command.key, until: job.deadline) { () throws(Refusal) in
        try command.object.perform(command.key, argument: command.argument)
      }
      return finish(plan, job, isBack ? nil : Self.hangs("\(command.object.path)/\(command.key)"))
    }

    do throws(Refusal) {
      for preparation in plan.preparations { try prepare(preparation, job.deadline) }
    } catch {
      for object in plan.created { object.retire() }
      throw located(error, job)
    }
    let stopped = plan.stops.compactMap { path in object(path).map { (path, $0) } }
    for (path, object) in stopped where !stop(object, until: job.deadline) && plan.starts.contains(path) {
      for (path, other) in stopped { restart(plan, path, other) }
      for object in plan.created { object.retire() }
      throw located(Self.busy(path), job)
    }
    // Under the lock, as the modules are promised; nothing else has changed: the job has claimed its objects.
    state.withLock { _ in hand(plan) }

    var begun: [any ModuleObject] = []
    var stragglers: [Straggler] = []
    var late: Refusal?
    factory.starting(true)
    defer { factory.starting(false) }
    do throws(Refusal) {
      for path in plan.starts {
        guard let object = plan.created.first(where: { $0.path == path }) ?? object(path) else { continue }
        try attempt(path, object, plan, job) { () throws(Refusal) in
          try start(
            path, object, opening: target(path, plan), isKept: isKept(path, plan, job), job.deadline, &stragglers)
        }
        begun.append(object)
      }
      while let straggler = stragglers.first {
        stragglers.removeFirst()
        try attempt(straggler.path, straggler.object, plan, job) { () throws(Refusal) in
          if try !finish(straggler, job.deadline), late == nil { late = Self.hangs("\(straggler.path)/enable") }
        }
      }
      try setControls(plan, job.deadline)
    } catch {
      for straggler in stragglers { giveUp(straggler) }
      rollBack(plan, stopped: stopped, started: begun)
      throw located(error, job)
    }
    return finish(plan, job, job.transaction.waits ? nil : late)
  }

  private func prepare(_ preparation: Plan.Preparation, _ deadline: Int64) throws(Refusal) {
    let (object, settings, changed) = (preparation.object, preparation.settings, preparation.changed)
    let name = changed.count == 1 ? "/\(changed.first ?? "")" : ""
    let isBack = try onLane(object, .command, changed.first ?? "", until: deadline) { () throws(Refusal) in
      do throws(Failure) {
        try object.prepare(settings, changed: changed)
      } catch {
        throw Refusal(error, path: "\(object.path)\(name)", hint: Self.hint(error))
      }
    }
    guard isBack else {
      throw Refusal(
        .timedOut, path: "\(object.path)\(name)", reason: "what it opens has not answered; nothing was changed",
        hint: "write it again when that answers; until then it is EBUSY")
    }
  }

  /// One step of a start; where the object is to be waited for, its refusal is no refusal of the whole.
  private func attempt(
    _ path: ObjectPath, _ object: any ModuleObject, _ plan: Plan, _ job: Job, _ step: () throws(Refusal) -> Void
  ) throws(Refusal) {
    do throws(Refusal) {
      try step()
    } catch {
      guard isKept(path, plan, job) else {
        moduleLog.record(ModuleKind(path.kind), .error, "\(path) did not start: \(error.reason)")
        throw error
      }
      errorLog.record(error)
      keepTrying(path, object, opening: target(path, plan), error)
    }
  }

  /// Whether the object keeps `enable` and is waited for when it cannot be started.
  private func isKept(_ path: ObjectPath, _ plan: Plan, _ job: Job) -> Bool {
    job.transaction.waits || plan.waits.contains(path)
  }

  private static func hangs(_ path: String) -> Refusal {
    Refusal(
      .timedOut, path: path, reason: "what it opens has not answered; the work goes on",
      hint: "state and health say when it is done")
  }

  private static func busy(_ path: ObjectPath) -> Refusal {
    Refusal(.resourceBusy, path: "\(path)/enable", reason: "has not come back from what it opens")
  }

  /// All of them, or none: what was set before one is refused gets its old value back, as far as it had one.
  private func setControls(_ plan: Plan, _ deadline: Int64) throws(Refusal) {
    var done: [(change: Plan.ControlChange, old: ControlValue?)] = []
    for change in plan.controls {
      let old = change.object.controls?.value(of: change.name)
      do throws(Refusal) {
        let path = "\(change.object.path)/\(ControlKey.key(change.name))"
        let isBack = try onLane(change.object, .command, ControlKey.key(change.name), until: deadline) {
          () throws(Refusal) in
          try change.object.setControl(change.name, change.value, written: change.written, isKept: change.isKept)
        }
        if !isBack { throw Self.hangs(path) }
      } catch {
        for (change, old) in done.reversed() {
          guard let old else { continue }
          do throws(Refusal) {
            try change.object.setControl(change.name, old, written: [], isKept: false)
          } catch {
            errorLog.record(error)
          }
        }
        throw error
      }
      done.append((change, old))
    }
  }

  private func finish(_ plan: Plan, _ job: Job, _ late: Refusal?) -> Made {
    state.withLock { state in
      release(job, &state)
      return Made(ticket: adopt(plan, &state), late: late)
    }
  }

  private func rollBack(
    _ plan: Plan, stopped: [(ObjectPath, any ModuleObject)], started: [any ModuleObject]
  ) {
    for object in started.reversed() { stop(object) }
    state.withLock { _ in takeBack(plan) }
    for object in plan.created { retire(object) }
    for (path, object) in stopped.reversed() { restart(plan, path, object) }
  }

  /// What was stopped for a change that failed runs again, if it can.
  private func restart(_ plan: Plan, _ path: ObjectPath, _ object: any ModuleObject) {
    if plan.failedBefore.contains(path) {
      disable(path, object)
      return
    }
    // With what it opened before.
    let (target, isKept) = (target(settings(of: path)), plan.waits.contains(path))
    if runsAgain(object, opening: target, isKept: isKept) { return }
    do throws(Refusal) {
      var stragglers: [Straggler] = []
      let deadline = Clock.now() + patience
      try start(path, object, opening: target, isKept: isKept, deadline, &stragglers)
      for straggler in stragglers { _ = try finish(straggler, deadline) }
    } catch {
      if isKept {
        keepTrying(path, object, opening: target, error)
        return
      }
      errorLog.record(
        Failure(error.errno, "enable", on: "\(path)", error.reason), path: "\(path)/enable",
        hint: "it was stopped for a change that failed; enable it again")
      moduleLog.record(ModuleKind(path.kind), .error, "\(path) did not start again: \(error.reason)")
      disable(path, object)
    }
  }

  /// What ran before does not run any more, and `enable` must not say otherwise.
  func disable(_ path: ObjectPath, _ object: any ModuleObject) {
    state.withLock { state in
      guard let entry = state.table.entries[path], entry.object === object else { return }
      var used = entry.used
      used["enable"] = .boolean(false)
      object.commit(used, changed: ["enable"])
      state.table.entries[path]?.used = used
      state.table.entries[path]?.settings["enable"] = .boolean(false)
    }
  }

  private func located(_ refusal: Refusal, _ job: Job) -> Refusal {
    Planner(settingsTable: settingsTable, factory: factory, ownTree: ownTree, table: ObjectTable())
      .located(refusal, job.transaction, nil)
  }

  /// What a writer can be told. Some numbers would mislead whoever reads them from `echo`: a device that does not know
  /// a request says ENOTTY, which is not about terminals, and ENOSYS is for system calls only.
  static func answer(_ errno: Errno) -> Errno {
    switch errno {
    case .inappropriateIOCTLForDevice: .operationNotSupportedByDevice
    case .noFunction: .notSupported
    default: errno
    }
  }

  static func hint(_ failure: Failure) -> String {
    switch failure.errno {
    case .noSuchFileOrDirectory: "check the path"
    case .permissionDenied: "this program may not open it: check owner and mode"
    case .noMemory where failure.operation == MemoryLedger.operation:
      "stop or shrink something, or raise memory_limit"
    // Who knows better has said so.
    case .resourceBusy where failure.detail.isEmpty: "another program has it open"
    default: ""
    }
  }

  // MARK: the end

  /// Refuses all further changes, stops what runs (inputs first, so that encoders can finish) and retires everything.
  /// - Returns: false when something was still not stopped after the given time.
  func shutDown(milliseconds: Int) -> Bool {
    let deadline = Clock.now() + .milliseconds(Int64(milliseconds))
    let objects: [any ModuleObject]? = state.withLock { state in
      if state.isClosed { return nil }
      state.isClosed = true
      return state.table.entries.values.map(\.object) + state.jobs.flatMap(\.made)
    }
    if let objects {
      do throws(Failure) {
        _ = try Thread.start("control") { [self] in end(objects) }
      } catch {
        return false
      }
    }
    return reaches(until: deadline) { $0.hasEnded && $0.left.isEmpty }
  }

  private func end(_ objects: [any ModuleObject]) {
    // Nobody is to wait for what is being opened.
    repeat {
      for object in objects { object.cancelStart() }
    } while !reaches(until: Clock.now() + .milliseconds(20), { $0.jobs.isEmpty })
    let entries = state.withLock { state in
      defer { state.table = ObjectTable() }
      return state.table.entries.sorted { settingsTable.runsBefore($0.key, $1.key) }
    }
    for (path, entry) in entries where entry.isEnabled {
      state.withLock { $0.ending = path }
      stop(entry.object)
    }
    for (path, entry) in entries where entry.source != nil { factory.bind(receiver: path, source: nil) }
    for (path, entry) in entries.reversed() {
      state.withLock { $0.ending = path }
      retire(entry.object)
    }
    state.withLock { ($0.hasEnded, $0.ending) = (true, nil) }
    ended()
  }

  /// Objects the end waits for: what is worked on, and what was left.
  var unended: [ObjectPath] {
    let paths = state.withLock { state in
      Set(state.left.keys.map(\.path)).union(state.jobs.filter(\.isRunning).flatMap(\.claims))
        .union(state.ending.map { [$0] } ?? [])
    }
    return paths.sorted { [settingsTable] in settingsTable.precedes($0, $1) }
  }

  /// - Returns: false when it was not so at the deadline.
  private func reaches(until deadline: Int64, _ isSo: (State) -> Bool) -> Bool {
    while true {
      // What was left tells nobody.
      let now = Clock.now()
      if state.wait(until: min(deadline, now + .milliseconds(20)), for: { isSo($0) ? true : nil }) != nil {
        return true
      }
      if now >= deadline { return false }
    }
  }
}
