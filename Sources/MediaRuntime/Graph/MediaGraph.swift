// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore
import Reports
import Synchronization
import SystemPackage

/// The media graph: makes the objects, binds them, and says what is the case.
///
/// The administration drives it through ``ModuleFactory`` and ``ModuleObject``; everything else here only looks. Reports
/// take no lock the frame path takes.
public final class MediaGraph: ModuleFactory {
  let environment: Environment
  private let objects = Mutex<[ObjectPath: any Channel]>([:])
  /// The same in the order of the configuration.
  private let shown = Published<[any Channel]>([])
  /// What is fitted to them, in the same order.
  private let fittings = Published<[any Fitting]>([])
  /// Bindings are changed one at a time.
  private let binding = Mutex<[ObjectPath: ObjectPath]>([:])
  private let generations = Atomic<UInt64>(0)
  let createdAt = Clock.now()

  /// - Parameters:
  ///   - registry: encoders, scalers, sources and the picture encoder there are at any time.
  ///   - allocator: gives the memory of all pools the graph makes.
  ///   - listener: hears log lines and failures; held strongly.
  /// - Throws: EAGAIN when no worker thread could be made.
  public init(
    registry: EngineRegistry, allocator: any Allocator, options: GraphOptions = GraphOptions(),
    listener: (any GraphListener)? = nil
  ) throws(Failure) {
    // Never one alone: another must go on when a library hangs in it.
    let cores = max(2, Processors.available)
    environment = try Environment(
      registry: registry, allocator: allocator, options: options, cores: cores, listener: listener)
  }

  /// With engines that stay the same.
  public convenience init(
    engines: EngineCatalogue, allocator: any Allocator, options: GraphOptions = GraphOptions(),
    listener: (any GraphListener)? = nil
  ) throws(Failure) {
    try self.init(registry: EngineRegistry(engines), allocator: allocator, options: options, listener: listener)
  }

  /// SIGCONT has come: the process goes on after it had been stopped, and what stood still meanwhile is not to blame.
  public func resumed() { environment.resumption.note() }

  /// Ends the workers. After every object was stopped and retired; nothing of the graph may be used afterwards.
  public func close() {
    environment.workbench.close()
    environment.snapshots.close()
    environment.services.close()
  }

  // MARK: ModuleFactory

  public func make(_ path: ObjectPath, settings: ObjectSettings) throws(Refusal) -> any ModuleObject {
    if let old = object(path), !(old.state.value.kind == .stopped) {
      throw Refusal(.fileExists, path: "\(path)", reason: "exists and runs")
    }
    guard let module = module(path) else {
      throw Refusal(.notSupported, path: "\(path)", reason: "\(path.kind) is not built")
    }
    switch module.make {
    case .channel(let make):
      let object = try build(path, module, settings, make)
      objects.withLock { objects in
        objects[path] = object
        publish(objects)
      }
      environment.log(.system, .information, "\(path) created")
      return RetiringObject(object) { [self] in retired(object) }
    case .fitting(let make):
      let identity = ObjectIdentity(path: path, generation: generations.add(1, ordering: .relaxed).newValue)
      let object = try make(identity, settings, environment, path.isPart ? fitting(path.group) : nil)
      objects.withLock { _ in
        fittings.store((fittings.value + [object]).sorted { environment.table.precedes($0.path, $1.path) })
      }
      environment.log(ModuleKind(path.kind), .information, "\(path) created")
      return RetiringObject(object) { [self] in retired(object) }
    }
  }

  private func build(
    _ path: ObjectPath, _ module: ModuleClass, _ settings: ObjectSettings, _ make: ModuleClass.Make.Channel
  ) throws(Refusal) -> any Channel {
    let slot = environment.slots.take { [pools = environment.pools] in pools.holds($0) }
    let node = Node(
      path, user: slot, depth: module.hasQueue ? environment.options.queueDepth : 0,
      generation: generations.add(1, ordering: .relaxed).newValue, drops: environment.drops)
    environment.slots.name(slot, path.kind, node: node.id)
    do throws(Refusal) {
      return try make(node, settings, environment, path.isPart ? object(path.group) : nil)
    } catch {
      environment.slots.leave(slot)
      throw error
    }
  }

  private func retired(_ object: any Fitting) {
    objects.withLock { _ in fittings.store(fittings.value.filter { $0 !== object }) }
    environment.log(ModuleKind(object.path.kind), .information, "\(object.path) removed")
  }

  private func retired(_ object: any Channel) {
    objects.withLock { objects in
      guard objects[object.path] === object else { return }
      objects[object.path] = nil
      publish(objects)
    }
    binding.withLock { sources in
      sources[object.path] = nil
      for (receiver, source) in sources where source == object.path { sources[receiver] = nil }
    }
    environment.pools.prune()
    environment.log(.system, .information, "\(object.path) removed")
    Heap.trimSoon()
  }

  private func publish(_ objects: [ObjectPath: any Channel]) {
    shown.store(objects.keys.sorted(by: environment.table.precedes).compactMap { objects[$0] })
  }

  private func module(_ path: ObjectPath) -> ModuleClass? { environment.table.module(path.type) }

  func object(_ path: ObjectPath) -> (any Channel)? { objects.withLock { $0[path] } }

  /// What no frames come to.
  func fitting(_ path: ObjectPath) -> (any Fitting)? { fittings.value.first { $0.path == path } }
  var allFittings: [any Fitting] { fittings.value }

  /// All nodes in the order of the configuration.
  var all: [any Channel] { shown.value }

  // MARK: binding

  public func checkBinding(receiver: ObjectPath, source: ObjectPath?) throws(Refusal) {
    let file = "\(receiver)/source"
    guard module(receiver)?.takesFrames ?? false else {
      let hint = !receiver.isPart ? "" : "write it to \(receiver.group)/source"
      throw Refusal(.invalidArgument, path: file, reason: "\(receiver) receives from no source", hint: hint)
    }
    guard let source else { return }
    guard module(source)?.givesFrames == nil else { return }
    let value = Array("\(source)".utf8)
    if let output = ObjectPath(source.kind, source.number, output: 0), module(output)?.givesFrames != nil {
      throw Refusal(
        .invalidArgument, path: file, value: value, reason: "\(source) gives its frames through its outputs",
        hint: "an output such as \(output)")
    }
    let able = environment.table.modules.compactMap(\.givesFrames)
    throw Refusal(
      .invalidArgument, path: file, value: value, reason: "\(source) gives no frames",
      hint: able.dropLast().joined(separator: ", ") + " or " + (able.last ?? ""))
  }

  public func bind(receiver: ObjectPath, source: ObjectPath?) {
    guard let object = object(receiver) else { return }
    binding.withLock { sources in
      let old = sources[receiver]
      // Same source again: nothing to do, as long as it is the same object.
      let port = source.flatMap { self.object($0)?.node.output }
      if old == source && port === object.node.input.upstream { return }
      sources[receiver] = source
      object.sourceChanges(from: old, to: source)
      object.node.input.bind(to: port)
      environment.log(
        .system, .debug, "bind source(\(source.map { "\($0)" } ?? "none")) sink(\(receiver))")
    }
    environment.room.wake()
  }

  public func starting(_ isOn: Bool) { environment.starting(isOn) }

  public func changing(_ isOn: Bool) { environment.workbench.hold(isOn) }

  public func limitMemory(to bytes: Int?) { environment.ledger.limit = bytes ?? environment.options.memoryLimit }

  public func guardInputs(_ check: @escaping @Sendable (InputSpecification) throws(Failure) -> Void) {
    environment.inputGuard.withLock { $0 = check }
  }

  // MARK: controls

  /// The controls of the device an input channel runs on; `nil` while it runs on none. No I/O.
  public func controls(of path: ObjectPath) -> (any ControlSurface)? { object(path)?.controls }

  /// Calls back when an object's controls came or went, or are others than before: before whoever started or stopped it
  /// is answered. At most one listener; it may read from the graph and must not block.
  public func controlsChanged(_ listener: @escaping @Sendable (ObjectPath) -> Void) {
    environment.controlsListener.withLock { $0 = listener }
  }

  // MARK: streams and pictures

  /// Opens a decoder channel's way in for coded bytes.
  /// - Throws: ENOENT no such channel, ENOTSUP it takes no bytes, EBUSY there is a writer, ENODEV it is being removed.
  public func openFeed(_ path: ObjectPath) throws(Refusal) -> FeedWriter {
    guard let object = object(path) else {
      throw Refusal(.noSuchFileOrDirectory, path: "\(path)/feed", reason: "\(path) does not exist")
    }
    guard let intake = object.intake else {
      throw Refusal(.notSupported, path: "\(path)/feed", reason: "\(path) takes no bytes")
    }
    return try intake.attach()
  }

  /// Makes a file of the next frame that passes the object, a JPEG or its pixels by the file's name, an empty one where it does not run or nothing comes to it.
  /// `reply` is called once, on another thread or, when refused at once, on this one.
  ///
  /// Failures: ENOENT, ENOTSUP, EBUSY one is being made, EAGAIN no frame came within two seconds.
  public func snapshot(
    _ path: ObjectPath, named name: String, reply: @escaping @Sendable (Result<[UInt8], Failure>) -> Void
  ) {
    guard let object = object(path), let form = SnapshotForm(rawValue: name) else {
      reply(.failure(Failure(.noSuchFileOrDirectory, "snapshot", on: "\(path)")))
      return
    }
    // No picture passes, so there is none: not a failure, which would end who copies the whole tree.
    guard condition(of: object, object.node.figures()) == .running else { return reply(.success([])) }
    environment.snapshots.request(path, form, tap: object.tap, reply: reply)
  }
}

/// What the administration holds: takes the object out of the graph when it is retired.
final class RetiringObject: ModuleObject {
  private let object: any ModuleObject
  private let leave: @Sendable () -> Void
  init(_ object: any ModuleObject, leave: @escaping @Sendable () -> Void) {
    self.object = object
    self.leave = leave
  }

  var path: ObjectPath { object.path }
  var generation: UInt64 { object.generation }
  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    try object.check(new, changed: changed, running: running)
  }
  func commit(_ new: ObjectSettings, changed: Set<String>) { object.commit(new, changed: changed) }
  func start() throws(Failure) { try object.start() }
  func stop() { object.stop() }
  func cancelStart() { object.cancelStart() }
  func awaits(_ what: String?, since: Int64) { object.awaits(what, since: since) }
  var isAwaiting: Bool { object.isAwaiting }
  var hasFailed: Bool { object.hasFailed }
  func perform(_ command: String, argument: String) throws(Refusal) {
    try object.perform(command, argument: argument)
  }
  func touchesDevice(_ command: String) -> Bool { object.touchesDevice(command) }
  var controls: (any ControlSurface)? { object.controls }
  func setControl(_ name: String, _ value: ControlValue, written: [UInt8], isKept: Bool) throws(Refusal) {
    try object.setControl(name, value, written: written, isKept: isKept)
  }
  func enter() { object.enter() }
  func prepare(_ new: ObjectSettings, changed: Set<String>) throws(Failure) {
    try object.prepare(new, changed: changed)
  }
  func retire() {
    leave()
    object.retire()
  }
}
