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
  /// Another number when there are other engines, or a device was taken out of work or back in.
  var enginesVersion: Int { registry.version &+ services.changesOfWork }
  /// Frames beyond one that a receiver's device may hold.
  var heldByDevices: Int { engines.encoders.contains { $0.isHardware } ? options.deviceDepth - 1 : 0 }
  /// Pictures of a source that can be in use: a full queue, those being worked on, one being made.
  var sourceBuffers: Int { options.queueDepth + 2 + heldByDevices }
  let allocator: any Allocator
  let ledger: MemoryLedger
  let pools: PoolRegistry
  /// Pools that are objects, as long as they run.
  let shared = Published<[ObjectPath: Pool]>([:])
  /// Coded pictures that wait for readers, of all channels.
  let packets: PacketPool
  let slots = UserSlots()
  /// What the last look at the descriptors of this process found.
  let lastCheck = Published<MemoryCheckReport?>(nil)
  /// Somebody is at it.
  let isChecking = Atomic<Bool>(false)
  let drops = DropLog()
  let room: Room
  let services: Services
  let snapshots: SnapshotService
  let muxers = MuxerLoader()
  /// What is drawn into the pictures of each channel, and who prepares it.
  let drawings = DrawingBoard()
  let workbench: Workbench
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
    ledger = MemoryLedger(limit: options.memoryLimit, machine: options.machineMemory)
    self.allocator = CountingAllocator(base: allocator, ledger: ledger)
    self.pools = PoolRegistry(ledger)
    self.packets = PacketPool(limit: options.packetLimit)
    self.room = Room(isLossless: options.isUnthrottled)
    self.services = try Services(workers: options.workers > 0 ? options.workers : cores)
    workbench = Workbench { [drawings] in drawings.publish(by: registry.catalogue.painter) }
    self.snapshots = SnapshotService(
      registry.catalogue.picture, packed: registry.catalogue.packed, patience: options.snapshotPatience)
    self.listener = listener
  }

  /// The pool an object is to take its buffers from; `nil` where it has one of its own.
  /// - Throws: ENOBUFS when it is stopped.
  func sharedPool(_ settings: ObjectSettings) throws(Failure) -> Pool? {
    guard let path = settings.object(CommonRows.poolKey) else { return nil }
    guard let pool = shared.value[path] else { throw Failure(.noBufferSpace, "pool", on: "\(path)", "it is stopped") }
    return pool
  }

  /// The objects that take buffers from a pool.
  func users(of pool: Pool) -> [String] {
    pools.entries.first { $0.pool === pool }?.takers.map(\.path) ?? []
  }

  /// Takes memory of that kind, counted.
  func allocator(ofHeap name: String) -> any Allocator {
    guard name != "auto", let make = engines.makeAllocator else { return allocator }
    return CountingAllocator(base: make(name), ledger: ledger)
  }

  let resumption = Resumption()

  /// Transactions that are starting objects.
  private let starts = Monitor(0)

  func starting(_ isOn: Bool) { starts.change { $0 += isOn ? 1 : -1 } }

  /// By an input before its first picture: until its receivers, which are started with it, are there too. Not for long, since
  /// one of them may hang.
  /// - Parameter cancelled: the input is to end; see ``wakeAwaiting()``.
  func awaitStarts(cancelled: () -> Bool) {
    _ = starts.wait(until: Clock.now() + options.startPatience) { $0 == 0 || cancelled() ? true : nil }
  }

  /// Has inputs that wait for others' starts look whether they are to end: a start that is taken back is stopped while it counts.
  func wakeAwaiting() { starts.wakeAll() }

  /// Scalers that can do this work, the preferred first. With `auto` those whose device is in work, all where none is. A device
  /// that is named does what it can of it: the CPU takes the other steps.
  func scalers(
    _ backend: String, _ input: FrameLayout, crop: Rectangle? = nil, transform: PictureTransform = PictureTransform(),
    to layout: FrameLayout, for node: Node
  ) -> [any ScalerFactory] {
    let able = engines.scalers(backend: backend).filter {
      $0.supports(input, crop: crop, transform: transform, to: layout)
    }
    if backend == "auto" { return services.inWork(able) { $0.device } }
    guard let base = engines.scalers(backend: backend).first, base.isHardware,
      let helper = engines.scalers(backend: "software").first
    else { return able }
    let inSteps = SteppedScalerFactory(base: base, helper: helper, node: node, environment: self)
    return able + (inSteps.supports(input, crop: crop, transform: transform, to: layout) ? [inSteps] : [])
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
