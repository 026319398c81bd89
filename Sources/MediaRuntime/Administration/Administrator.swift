// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization
import SystemPackage

/// Makes every change of the runtime: one transaction checked as a whole, then made as a whole or not at all.
///
/// Ownership: `state.table` owns the objects. Its lock is held while a transaction is checked and committed, which is
/// computing only; it is never held while something is opened, started or stopped, and no frame-path thread takes it.
///
/// Order: changes that touch no device are made at once on the caller's thread. The others run one after the other on
/// the control executor. A change that touches an object somebody is already changing there waits in the same queue,
/// so changes of one object happen in the order they were asked for; changes of other objects are not held up.
final class Administrator: Sendable {
  typealias Reply = @Sendable (Refusal?) -> Void

  struct State {
    var table = ObjectTable()
    /// Objects that queued or running jobs touch, with how many of them.
    var claimed: [ObjectPath: Int] = [:]
    /// Jobs that may change bindings: two of them side by side could close a loop neither sees.
    var bindingJobs = 0
    /// Whole configurations under way; they may touch everything.
    var configurations = 0
    var isClosed = false
  }

  struct Job: Sendable {
    let transaction: Transaction
    let claims: Set<ObjectPath>
    let mayBind: Bool
    /// Objects made for it when it was checked the first time.
    var made: [any ModuleObject] = []
    let reply: Reply
  }

  private let registry: EngineRegistry
  var settingsTable: SettingsTable { registry.table }
  let factory: any ModuleFactory
  let ownTree: OwnTree
  let errorLog: ErrorLog
  let moduleLog: ModuleLog
  let announcements: Announcements
  let executor: ControlExecutor
  let state = Mutex(State())

  init(
    registry: EngineRegistry, factory: any ModuleFactory, ownTree: OwnTree, errorLog: ErrorLog,
    moduleLog: ModuleLog
  ) throws(Failure) {
    self.registry = registry
    self.factory = factory
    self.ownTree = ownTree
    self.errorLog = errorLog
    self.moduleLog = moduleLog
    self.announcements = Announcements()
    self.executor = try ControlExecutor(name: "control")
  }

  private enum Outcome {
    case done(Announcements.Ticket?)
    case refused(Refusal)
    case queued
  }

  /// Makes the changes, or none of them. Does not block on devices, files or other jobs.
  /// - Parameter reply: called exactly once, with `nil` when the changes are made; on this thread unless a device is
  ///   involved, else on the control executor's.
  func apply(_ transaction: Transaction, reply: @escaping Reply) {
    let outcome: Outcome = state.withLock { state in
      if state.isClosed { return .refused(Self.closing(transaction)) }
      let claims = self.claims(transaction, state.table)
      let mayBind = Self.mayBind(transaction)
      var job = Job(transaction: transaction, claims: claims, mayBind: mayBind, reply: reply)
      let mustWait =
        !claims.isDisjoint(with: state.claimed.keys) || (mayBind && state.bindingJobs > 0)
        || (transaction.removesOthers ? !state.claimed.isEmpty : state.configurations > 0)
      if !mustWait {
        do throws(Refusal) {
          let plan = try self.plan(transaction, state.table)
          if !plan.needsControl { return .done(try self.commitNow(plan, &state)) }
          job.made = plan.created
        } catch {
          return .refused(error)
        }
      }
      self.claim(job, &state)
      // Under the lock, so that jobs stand in the queue in the order in which they claimed their objects.
      self.executor.submit { [self, job] in run(job) }
      return .queued
    }
    switch outcome {
    case .done(let ticket):
      announcements.deliver(ticket) { reply(nil) }
    case .refused(let refusal):
      errorLog.record(refusal)
      reply(refusal)
    case .queued:
      break
    }
  }

  func plan(
    _ transaction: Transaction, _ table: ObjectTable, made: [any ModuleObject] = []
  ) throws(Refusal) -> Plan {
    var planner = Planner(
      settingsTable: settingsTable, factory: factory, ownTree: ownTree, table: table, made: made)
    return try planner.plan(transaction)
  }

  // MARK: what a transaction touches

  /// The objects a transaction changes or depends on, as far as it names them.
  private func claims(_ transaction: Transaction, _ table: ObjectTable) -> Set<ObjectPath> {
    var found: Set<ObjectPath> = []
    func add(_ path: ObjectPath) {
      found.insert(path)
      found.insert(path.group)
    }
    for change in transaction.changes {
      add(change.path)
      if case .set(let path, "source", let value) = change {
        if let old = table.entries[path]?.source { add(old) }
        if let new = ObjectPath(String(decoding: value, as: UTF8.self).split(separator: "\n").first ?? "") { add(new) }
      }
    }
    if transaction.removesOthers { for path in table.entries.keys { add(path) } }
    return found
  }

  private static func mayBind(_ transaction: Transaction) -> Bool {
    transaction.removesOthers
      || transaction.changes.contains {
        switch $0 {
        case .set(_, let key, _): key == "source"
        case .remove: true
        case .create, .command: false
        }
      }
  }

  private func claim(_ job: Job, _ state: inout State) {
    for path in job.claims { state.claimed[path, default: 0] += 1 }
    if job.mayBind { state.bindingJobs += 1 }
    if job.transaction.removesOthers { state.configurations += 1 }
  }

  func release(_ job: Job, _ state: inout State) {
    for path in job.claims {
      if let count = state.claimed[path], count > 1 {
        state.claimed[path] = count - 1
      } else {
        state.claimed[path] = nil
      }
    }
    if job.mayBind { state.bindingJobs -= 1 }
    if job.transaction.removesOthers { state.configurations -= 1 }
  }

  static func closing(_ transaction: Transaction) -> Refusal {
    Refusal(
      .operationNotSupportedByDevice, path: transaction.changes.first?.path.description ?? "config",
      reason: "the program is ending")
  }

  // MARK: committing

  /// Makes a plan that touches no device.
  private func commitNow(_ plan: Plan, _ state: inout State) throws(Refusal) -> Announcements.Ticket? {
    if let command = plan.command {
      try command.object.perform(command.key, argument: command.argument)
      return nil
    }
    hand(plan)
    return adopt(plan, &state)
  }

  /// Gives the modules their new settings and bindings. Cannot fail: all of it was checked.
  func hand(_ plan: Plan) {
    for update in plan.updates { update.object.commit(update.new, changed: update.changed) }
    if plan.unbindsFirst { for change in plan.rebindings { factory.bind(receiver: change.receiver, source: nil) } }
    for change in plan.rebindings where !plan.unbindsFirst || change.new != nil {
      factory.bind(receiver: change.receiver, source: change.new)
    }
  }

  /// Takes back what `hand` gave.
  func takeBack(_ plan: Plan) {
    for change in plan.rebindings { factory.bind(receiver: change.receiver, source: nil) }
    for change in plan.rebindings where change.old != nil {
      factory.bind(receiver: change.receiver, source: change.old)
    }
    for update in plan.updates { update.object.commit(update.old, changed: update.changed) }
  }

  /// Makes the plan the truth everybody sees.
  func adopt(_ plan: Plan, _ state: inout State) -> Announcements.Ticket? {
    for object in plan.created {
      state.table.entries[object.path] = ObjectTable.Entry(
        object: object, settings: settingsTable.defaults(object.path.type))
    }
    for update in plan.updates { state.table.entries[update.path]?.settings = update.new }
    var gone: [any ModuleObject] = []
    for path in plan.removed {
      if let entry = state.table.entries.removeValue(forKey: path) { gone.append(entry.object) }
    }
    guard !plan.created.isEmpty || !gone.isEmpty else { return nil }
    return announcements.enqueue(
      ObjectsChange(
        created: plan.created.map { ObjectIdentity($0) }, removed: gone.map { ObjectIdentity($0) }), retiring: gone)
  }

  // MARK: reading

  func settings(of path: ObjectPath) -> ObjectSettings? { state.withLock { $0.table.entries[path]?.settings } }

  var objects: [ObjectIdentity] {
    state.withLock { $0.table.entries.values.map { ObjectIdentity($0.object) } }.sorted { $0.path < $1.path }
  }

  func object(_ path: ObjectPath) -> (any ModuleObject)? { state.withLock { $0.table.entries[path]?.object } }

  /// Everything of one moment, in canonical order.
  var configuration: [(path: ObjectPath, settings: ObjectSettings)] {
    state.withLock { $0.table.entries.map { (path: $0.key, settings: $0.value.settings) } }
      .sorted { $0.path < $1.path }
  }
}
