// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// What the modules of one graph share.
final class Environment: Sendable {
  let options: GraphOptions
  private let registry: EngineRegistry
  /// Every attribute of every kind of object, as there is now.
  var table: SettingsTable { registry.table }
  /// What there is now.
  var engines: EngineCatalogue { registry.catalogue }
  /// Another number when there are other engines.
  var enginesVersion: Int { registry.version }
  /// Frames beyond one that a receiver's device may hold.
  var heldByDevices: Int { engines.encoders.contains { $0.isHardware } ? options.deviceDepth - 1 : 0 }
  /// Pictures of a source that can be in use: a full queue, those being worked on, one being made.
  var sourceBuffers: Int { options.queueDepth + 2 + heldByDevices }
  let allocator: any Allocator
  let ledger = MemoryLedger()
  let pools: PoolRegistry
  let slots = UserSlots()
  let drops = DropLog()
  let room: Room
  let services: Services
  let snapshots: SnapshotService
  let listener: (any GraphListener)?
  /// Whether an input may be opened; may hang as the input may.
  let inputGuard = Mutex<@Sendable (InputSpecification) throws(Failure) -> Void>({ _ in })
  let controlsListener = Mutex<(@Sendable (ObjectPath) -> Void)?>(nil)

  init(
    registry: EngineRegistry, allocator: any Allocator, options: GraphOptions, cores: Int,
    listener: (any GraphListener)?
  ) throws(Failure) {
    self.options = options
    self.registry = registry
    self.allocator = CountingAllocator(base: allocator, ledger: ledger)
    self.pools = PoolRegistry(ledger)
    self.room = Room(isLossless: options.isUnthrottled)
    self.services = try Services(workers: options.workers > 0 ? options.workers : cores)
    self.snapshots = SnapshotService(registry.catalogue.picture)
    self.listener = listener
  }

  func controlsChanged(_ path: ObjectPath) {
    let listener = controlsListener.withLock { $0 }
    listener?(path)
  }

  func log(
    _ module: ModuleKind, _ level: LogLevel, _ text: @autoclosure () -> String, function: StaticString = #function,
    line: Int = #line
  ) {
    listener?.log(module, level, text(), function: function, line: line)
  }
}

/// What an object is doing.
struct RunState: Sendable {
  enum Kind: Sendable, Equatable {
    case stopped
    case running
    case failed(String)
  }
  let kind: Kind
  /// CLOCK_MONOTONIC nanoseconds.
  let since: Int64
  init(_ kind: Kind) {
    self.kind = kind
    self.since = Clock.now()
  }

  var isRunning: Bool { kind != .stopped }
}

extension Published where Value == RunState {
  /// For workers: takes the state over unless the object is stopped, which only an administrator ends.
  /// - Returns: false when it is stopped.
  @discardableResult
  func change(to kind: RunState.Kind) -> Bool {
    update { $0.isRunning ? RunState(kind) : nil }
  }
}

/// What an object that cannot be started, or hangs there, waits for.
struct Awaited: Sendable {
  let what: String
  /// CLOCK_MONOTONIC nanoseconds.
  let since: Int64
}

/// Settings of an object and how often they were changed, to see what was made for older ones.
struct NumberedSettings: Sendable {
  let settings: ObjectSettings
  let version: UInt64
  init(_ settings: ObjectSettings, version: UInt64) {
    self.settings = settings
    self.version = version
  }
}

/// What every module object has.
protocol GraphObject: ModuleObject {
  var node: Node { get }
  var session: Session? { get }
  var state: Published<RunState> { get }
  /// Facts for `active`.
  func activeFacts() -> [KeyValue]
  /// What only this kind of object counts: the one place where it is declared.
  func moreStatistics() -> [Statistic]
  /// The next frame that passes goes to the request.
  var tap: FrameTap { get }
  /// What it waits for besides frames, for `health`.
  var waitingFor: String? { get }
}

extension GraphObject {
  /// For objects without commands.
  func perform(_ command: String, argument: String) throws(Refusal) {
    throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command")
  }

  /// The refusal of what only works while the object runs.
  func notRunning(_ key: String, _ errno: Errno = .resourceBusy) -> Refusal {
    Refusal(
      errno, path: "\(path)/\(key)", reason: "\(path) is not running", hint: "write 1 to \(path)/enable first")
  }

  func awaits(_ what: String?, since: Int64) {
    node.awaited.store(what.map { Awaited(what: $0, since: since) })
  }
  var isAwaiting: Bool { node.awaited.value != nil }

  var path: ObjectPath { node.path }
  var generation: UInt64 { node.generation }
  var waitingFor: String? { nil }
  var hasFailed: Bool {
    if case .failed = state.value.kind { return true }
    return false
  }
}
