// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// Transactions that start or stop something. On the control executor only, one at a time.
extension Administrator {
  /// Plans the job again (the objects may have changed while it waited), makes it, and answers.
  func run(_ job: Job) {
    let planned: Result<Plan, Refusal> = state.withLock { state in
      if state.isClosed {
        for object in job.made { object.retire() }
        return .failure(Self.closing(job.transaction))
      }
      do throws(Refusal) {
        return .success(try plan(job.transaction, state.table, made: job.made))
      } catch {
        return .failure(error)
      }
    }
    let result: Result<Announcements.Ticket?, Refusal>
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
    case .success(let ticket):
      announcements.deliver(ticket) { job.reply(nil) }
    case .failure(let refusal):
      state.withLock { release(job, &$0) }
      errorLog.record(refusal)
      job.reply(refusal)
    }
  }

  /// Stops, commits, starts; everything back if a device refuses.
  private func make(_ plan: Plan, _ job: Job) throws(Refusal) -> Announcements.Ticket? {
    if let command = plan.command {
      try command.object.perform(command.key, argument: command.argument)
      return finish(plan, job)
    }
    do throws(Refusal) {
      try checkInputs(plan)
    } catch {
      for object in plan.created { object.retire() }
      throw located(error, job)
    }

    let stopped = plan.stops.compactMap { path in object(path).map { (path, $0) } }
    for (_, object) in stopped { object.stop() }
    // Under the lock, as the modules are promised; nothing else has changed: the job has claimed its objects.
    state.withLock { _ in hand(plan) }

    var started: [(ObjectPath, any ModuleObject)] = []
    for path in plan.starts {
      guard let object = plan.created.first(where: { $0.path == path }) ?? object(path) else { continue }
      do throws(Failure) {
        try object.start()
        started.append((path, object))
      } catch {
        moduleLog.record(Self.module(path), .error, "\(path) did not start: \(error)")
        rollBack(plan, stopped: stopped, started: started)
        var refusal = Refusal(error, path: "\(path)/enable", value: [UInt8(ascii: "1")], hint: Self.hint(error))
        refusal.errno = Self.answer(error.errno)
        throw located(refusal, job)
      }
    }
    do throws(Refusal) {
      try setControls(plan)
    } catch {
      rollBack(plan, stopped: stopped, started: started)
      throw located(error, job)
    }
    return finish(plan, job)
  }

  /// All of them, or none: what was set before one is refused gets its old value back, as far as it had one.
  private func setControls(_ plan: Plan) throws(Refusal) {
    var done: [(change: Plan.ControlChange, old: ControlValue?)] = []
    for change in plan.controls {
      let old = change.object.controls?.value(of: change.name)
      do throws(Refusal) {
        try change.object.setControl(change.name, change.value, written: change.written, isKept: change.isKept)
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

  private func finish(_ plan: Plan, _ job: Job) -> Announcements.Ticket? {
    state.withLock { state in
      release(job, &state)
      return adopt(plan, &state)
    }
  }

  private func rollBack(
    _ plan: Plan, stopped: [(ObjectPath, any ModuleObject)], started: [(ObjectPath, any ModuleObject)]
  ) {
    for (_, object) in started.reversed() { object.stop() }
    state.withLock { _ in takeBack(plan) }
    for object in plan.created { object.retire() }
    for (path, object) in stopped.reversed() {
      if plan.failedBefore.contains(path) {
        disable(path, object)
        continue
      }
      do throws(Failure) {
        try object.start()
      } catch {
        errorLog.record(error, path: "\(path)/enable", hint: "it was stopped for a change that failed; enable it again")
        moduleLog.record(Self.module(path), .error, "\(path) did not start again: \(error)")
        disable(path, object)
      }
    }
  }

  /// What ran before does not run any more, and `enable` must not say otherwise.
  private func disable(_ path: ObjectPath, _ object: any ModuleObject) {
    state.withLock { state in
      guard var settings = state.table.entries[path]?.settings else { return }
      settings["enable"] = .boolean(false)
      object.commit(settings, changed: ["enable"])
      state.table.entries[path]?.settings = settings
    }
  }

  /// Whether an input about to be opened lies in our own tree.
  private func checkInputs(_ plan: Plan) throws(Refusal) {
    for path in plan.starts where path.type == .input || path.type == .decoder {
      let settings = plan.updates.last { $0.path == path }?.new ?? settings(of: path)
      guard let text = settings?.text("input"), let input = InputSpecification(text) else { continue }
      try ownTree.check(input, path: "\(path)/input", value: Array(text.utf8))
    }
  }

  private func located(_ refusal: Refusal, _ job: Job) -> Refusal {
    Planner(settingsTable: settingsTable, factory: factory, ownTree: ownTree, table: ObjectTable())
      .located(refusal, job.transaction, nil)
  }

  /// What a writer can be told. Some numbers would mislead whoever reads them from `echo`: a device that does not know
  /// a request says ENOTTY, which is not about terminals, and ENOSYS is for system calls only.
  private static func answer(_ errno: Errno) -> Errno {
    switch errno {
    case .inappropriateIOCTLForDevice: .operationNotSupportedByDevice
    case .noFunction: .notSupported
    default: errno
    }
  }

  private static func hint(_ failure: Failure) -> String {
    switch failure.errno {
    case .noSuchFileOrDirectory: "check the path"
    case .permissionDenied: "this program may not open it: check owner and mode"
    case .resourceBusy: "another program has it open"
    default: ""
    }
  }

  // MARK: the end

  /// Refuses all further changes, stops what runs (inputs first, so that encoders can finish) and retires everything.
  /// - Returns: false when something was still not stopped after the given time.
  func shutDown(milliseconds: Int) -> Bool {
    let isFirst = state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
    if isFirst {
      executor.submit { [self] in
        let entries = state.withLock { state in
          defer { state.table = ObjectTable() }
          return state.table.entries.sorted { ($0.key.stage, $0.key) < ($1.key.stage, $1.key) }
        }
        for (_, entry) in entries where entry.isEnabled { entry.object.stop() }
        for (path, entry) in entries where entry.source != nil { factory.bind(receiver: path, source: nil) }
        for (_, entry) in entries.reversed() { entry.object.retire() }
      }
    }
    return executor.drain(milliseconds: milliseconds)
  }
}
