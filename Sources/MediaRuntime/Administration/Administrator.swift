// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization
import SystemPackage

/// Makes every change of the runtime: one transaction checked as a whole, then made as a whole or not at all.
///
/// Ownership: `state.table` owns the objects. Its lock is held while a transaction is checked and committed, which is
/// computing only; it is never held while something is opened, started or stopped, and no frame-path thread takes it.
///
/// Order: changes that touch no device are made at once on the caller's thread. The others are jobs, each on a thread of
/// its own. A change that touches an object of a job waits for it, so changes of one object happen in the order they were
/// asked for; changes of other objects are not held up. A job ends within seconds, also where a device hangs: see
/// ``ControlTask`` and the extension of the control lanes.
///
/// Answers: each transaction is answered exactly once, when its job ends: made, refused, or ETIMEDOUT with the work going
/// on.
final class Administrator: Sendable {
  typealias Reply = @Sendable (Refusal?) -> Void

  struct State {
    var table = ObjectTable()
    /// Those that run and those that wait for them, in the order they came.
    var jobs: [Job] = []
    var nextJob = 0
    /// Work on objects that nobody waits for any more.
    var left: [ObjectIdentity: Left] = [:]
    var isClosed = false
    var hasEnded = false
    /// The one that the end stops or retires.
    var ending: ObjectPath?
  }

  struct Job: Sendable {
    var number = 0
    let transaction: Transaction
    /// Objects it touches.
    let claims: Set<ObjectPath>
    /// It may change bindings: two of them side by side could close a loop neither sees.
    let mayBind: Bool
    /// Objects made for it when it was checked the first time.
    var made: [any ModuleObject] = []
    /// Its writer is told ETIMEDOUT then. CLOCK_MONOTONIC nanoseconds.
    let deadline: Int64
    var isRunning = false
    let reply: Reply

    func excludes(_ other: Job) -> Bool {
      transaction.removesOthers || other.transaction.removesOthers || (mayBind && other.mayBind)
        || !claims.isDisjoint(with: other.claims)
    }
  }

  private let registry: EngineRegistry
  var settingsTable: SettingsTable { registry.table }
  let factory: any ModuleFactory
  let ownTree: OwnTree
  let errorLog: ErrorLog
  let moduleLog: ModuleLog
  let announcements: Announcements
  /// After so long a writer is told ETIMEDOUT. Nanoseconds; of the transactions that come.
  var patience: Int64 {
    get { currentPatience.load(ordering: .relaxed) }
    set { currentPatience.store(newValue, ordering: .relaxed) }
  }
  private let currentPatience: Atomic<Int64>
  let state = Monitor(State())

  init(
    registry: EngineRegistry, factory: any ModuleFactory, ownTree: OwnTree, errorLog: ErrorLog,
    moduleLog: ModuleLog, patience: Int64
  ) {
    self.registry = registry
    self.factory = factory
    self.ownTree = ownTree
    self.errorLog = errorLog
    self.moduleLog = moduleLog
    self.announcements = Announcements()
    currentPatience = Atomic(patience)
    factory.guardInputs { input throws(Failure) in try ownTree.check(input) }
  }

  private enum Outcome {
    case done(Announcements.Ticket?)
    case refused(Refusal)
    case queued([Job])
  }

  /// Makes the changes, or none of them. Does not block on devices, files or other jobs.
  /// - Parameter reply: called exactly once, with `nil` when the changes are made; on this thread unless a device is
  ///   involved, else on the job's.
  func apply(_ transaction: Transaction, reply: @escaping Reply) {
    let outcome: Outcome = state.withLock { state in
      if state.isClosed { return .refused(Self.closing(transaction)) }
      var job = Job(
        transaction: transaction, claims: self.claims(transaction, state.table), mayBind: Self.mayBind(transaction),
        deadline: Clock.now() + patience, reply: reply)
      if !state.jobs.contains(where: { $0.excludes(job) }) {
        do throws(Refusal) {
          let plan = try self.plan(transaction, state.table)
          if !plan.needsControl { return .done(try self.commitNow(plan, &state)) }
          job.made = plan.created
        } catch {
          return .refused(error)
        }
      }
      job.number = state.nextJob
      state.nextJob += 1
      state.jobs.append(job)
      return .queued(self.nextJobs(&state))
    }
    switch outcome {
    case .done(let ticket):
      announcements.deliver(ticket) { reply(nil) }
    case .refused(let refusal):
      errorLog.record(refusal)
      reply(refusal)
    case .queued(let ready):
      begin(ready)
    }
  }

  /// Jobs whose turn has come: nobody before them touches what they do.
  private func nextJobs(_ state: inout State) -> [Job] {
    var ready: [Job] = []
    for (index, job) in state.jobs.enumerated() where !job.isRunning {
      guard !state.jobs[..<index].contains(where: { $0.excludes(job) }) else { continue }
      state.jobs[index].isRunning = true
      ready.append(job)
    }
    return ready
  }

  private func begin(_ jobs: [Job]) {
    for job in jobs {
      do throws(Failure) {
        _ = try Thread.start("control") { [self] in run(job) }
      } catch {
        run(job)
      }
    }
  }

  /// The job's objects are free for others.
  func release(_ job: Job, _ state: inout State) { state.jobs.removeAll { $0.number == job.number } }

  /// The job was answered.
  func ended() {
    begin(state.withLock { nextJobs(&$0) })
    state.wakeAll()
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
      if let target = path.target { found.insert(target) }
    }
    for change in transaction.changes {
      add(change.path)
      if case .set(_, CommonRows.poolKey, let value) = change {
        if let new = ObjectPath(String(decoding: value, as: UTF8.self).split(separator: "\n").first ?? "") { add(new) }
      }
      if case .set(let path, "source", let value) = change {
        if let old = table.entries[path]?.source { add(old) }
        if let new = ObjectPath(String(decoding: value, as: UTF8.self).split(separator: "\n").first ?? "") { add(new) }
      }
    }
    for path in found {
      if let pool = table.entries[path]?.used.object(CommonRows.poolKey) { add(pool) }
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
    factory.changing(true)
    defer { factory.changing(false) }
    if let limit = plan.memoryLimit { factory.limitMemory(to: MemoryLimit.bytes(limit.new)) }
    for update in plan.updates { update.object.commit(update.new, changed: update.changed) }
    if plan.unbindsFirst { for change in plan.rebindings { factory.bind(receiver: change.receiver, source: nil) } }
    for change in plan.rebindings where !plan.unbindsFirst || change.new != nil {
      factory.bind(receiver: change.receiver, source: change.new)
    }
    for object in plan.created { object.enter() }
  }

  /// Takes back what `hand` gave.
  func takeBack(_ plan: Plan) {
    for change in plan.rebindings { factory.bind(receiver: change.receiver, source: nil) }
    for change in plan.rebindings where change.old != nil {
      factory.bind(receiver: change.receiver, source: change.old)
    }
    for update in plan.updates { update.object.commit(update.old, changed: update.changed) }
    if let limit = plan.memoryLimit { factory.limitMemory(to: MemoryLimit.bytes(limit.old)) }
  }

  /// Makes the plan the truth everybody sees.
  func adopt(_ plan: Plan, _ state: inout State) -> Announcements.Ticket? {
    if let limit = plan.memoryLimit { state.table.memoryLimit = limit.new }
    for object in plan.created {
      let settings = settingsTable.defaults(object.path.type)
      state.table.entries[object.path] = ObjectTable.Entry(object: object, settings: settings, used: settings)
    }
    for update in plan.updates {
      state.table.entries[update.path]?.settings = update.asked
      state.table.entries[update.path]?.used = update.new
    }
    var gone: [any ModuleObject] = []
    for path in plan.removed {
      if let entry = state.table.entries.removeValue(forKey: path) { gone.append(entry.object) }
    }
    guard !plan.created.isEmpty || !gone.isEmpty else { return nil }
    // What something of them still hangs in is retired when it comes back.
    let retiring = gone.filter { !isLeft($0, &state) }
    return announcements.enqueue(
      ObjectsChange(
        created: plan.created.map { ObjectIdentity($0) }, removed: gone.map { ObjectIdentity($0) }), retiring: retiring)
  }

  /// Whether work that was left retires the object when it comes back.
  private func isLeft(_ object: any ModuleObject, _ state: inout State) -> Bool {
    let identity = ObjectIdentity(object)
    guard state.left[identity] != nil else { return false }
    state.left[identity]?.isRemoved = true
    return true
  }

  func retire(_ object: any ModuleObject) {
    if !state.withLock({ isLeft(object, &$0) }) { object.retire() }
  }

  // MARK: reading

  func settings(of path: ObjectPath) -> ObjectSettings? { state.withLock { $0.table.entries[path]?.settings } }

  var objects: [ObjectIdentity] {
    state.withLock { $0.table.entries.values.map { ObjectIdentity($0.object) } }
      .sorted { [settingsTable] in settingsTable.precedes($0.path, $1.path) }
  }

  func object(_ path: ObjectPath) -> (any ModuleObject)? { state.withLock { $0.table.entries[path]?.object } }

  /// What was asked of `memory_limit`.
  var memoryLimit: SettingValue { state.withLock { $0.table.memoryLimit } }

  /// Everything of one moment, in canonical order.
  var configuration: [(path: ObjectPath, settings: ObjectSettings)] {
    state.withLock { $0.table.entries.map { (path: $0.key, settings: $0.value.settings) } }
      .sorted { [settingsTable] in settingsTable.precedes($0.path, $1.path) }
  }
}
