// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization

/// A pool of buffers that is an object: modules that name it in `pool` take the buffers of their pictures from it, several of
/// them from one. Its memory is taken when it is started, at once, and given back when it is stopped.
///
/// Ownership: the pool is the object's, and the registry's until its last buffer has come home.
final class VbPool: Fitting {
  static let module = ModuleClass(
    fitting: ObjectType("vb"), stage: Region.before - 1, givesBuffers: true, rows: VbSettings.rows
  ) { identity, settings, environment, _ in VbPool(identity, settings, environment) }

  let path: ObjectPath
  let generation: UInt64
  let createdAt = Clock.now()
  private let environment: Environment
  private let settings: Published<ObjectSettings>
  private let state = Published(RunState(.stopped))
  private let current = Published<Pool?>(nil)
  /// What pools before this one refused.
  private let refusedBefore = Atomic<UInt64>(0)
  private let awaited = Published<Awaited?>(nil)

  private init(_ identity: ObjectIdentity, _ settings: ObjectSettings, _ environment: Environment) {
    path = identity.path
    generation = identity.generation
    self.environment = environment
    self.settings = Published(settings)
  }

  // MARK: administration

  /// - Throws: ERANGE where the one piece of memory of wrap mode would be larger than an allocator gives.
  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    guard new.flag("wrap") else { return }
    let (size, count) = (new.integer("size") ?? 0, new.integer("count") ?? 0)
    guard MemoryPart.size(holding: size) * count > MemorySize.largest else { return }
    throw Refusal(
      .outOfRange, path: "\(path)/\(["wrap", "count", "size"].first(where: changed.contains) ?? "wrap")",
      reason: "\(count) buffers of \(size) bytes are more than one piece of memory has",
      hint: "wrap = 1 takes \(MemorySize.largest) bytes at most; wrap = 0 has no such bound")
  }
  func commit(_ new: ObjectSettings, changed: Set<String>) { settings.store(new) }

  func start() throws(Failure) {
    guard current.value == nil else { return }
    let settings = settings.value
    let pool = try Pool(
      name: "\(path.kind)\(path.number)", size: settings.integer("size") ?? 0, count: settings.integer("count") ?? 0,
      allocator: environment.allocator(ofHeap: settings.text("heap") ?? "auto"), isShared: true,
      isWrapped: settings.flag("wrap"))
    let creator = PoolRegistry.Creator(path: "\(path)", generation: generation)
    try environment.pools.add(pool, creator: creator, user: nil, isLent: false)
    current.store(pool)
    environment.shared.update { [path] in $0.merging([path: pool]) { $1 } }
    state.store(RunState(.running))
    environment.log(
      .memory, .information,
      "\(path) started: \(pool.buffers.count) buffers of \(pool.bufferSize) bytes of \(pool.memoryKind)")
  }

  func stop() {
    guard let pool = current.exchange(nil) else { return }
    environment.shared.update { [path] in $0.filter { $0.key != path } }
    refusedBefore.add(pool.refused, ordering: .relaxed)
    pool.close()
    environment.pools.giveUp(pool, user: nil)
    state.store(RunState(.stopped))
    environment.log(.memory, .information, "\(path) stopped")
    Heap.trimSoon()
  }

  func perform(_ command: String, argument: String) throws(Refusal) {
    throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command")
  }

  func retire() { stop() }

  func awaits(_ what: String?, since: Int64) { awaited.store(what.map { Awaited(what: $0, since: since) }) }
  var isAwaiting: Bool { awaited.value != nil }

  // MARK: reports

  var condition: ObjectCondition? {
    if let awaited = awaited.value, current.value == nil { return .waiting(for: awaited.what) }
    return current.value == nil ? .stopped : .running
  }
  var since: Int64 { state.value.since }
  var pool: Pool? { current.value }

  func activeFacts() -> [KeyValue] {
    guard let pool = current.value else { return [] }
    let memory = pool.buffers.first?.memory.whole
    return [
      KeyValue(key: "heap", value: pool.memoryKind), KeyValue(key: "exporter", value: memory?.exporter ?? "unknown"),
      KeyValue(key: "buffers", value: "\(pool.buffers.count)"), KeyValue(key: "size", value: "\(pool.bufferSize)"),
      KeyValue(key: "wrap", value: pool.isWrapped ? "all are parts of one piece of memory" : "off"),
    ] + environment.users(of: pool).map { KeyValue(key: "user", value: $0) }
  }

  func statistics() -> [Statistic] {
    let pool = current.value
    let refused = refusedBefore.load(ordering: .relaxed) + (pool?.refused ?? 0)
    return [
      Statistic("buffers", .gauge, "Buffers it has.", pool?.buffers.count ?? 0),
      Statistic("free_buffers", .gauge, "Buffers nobody holds now.", pool?.free ?? 0),
      Statistic("refused_requests", .counter, "Requests that found no free buffer.", refused),
    ]
  }
}
