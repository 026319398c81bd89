// SPDX-License-Identifier: Apache-2.0
import Base
import Codecs
import DebugTree
import Devices
import Glibc
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// Wires the parts together and holds them while the tree is served.
struct Program {
  let options: Options
  let signals: EndSignals

  /// - Returns: the exit status; what went wrong stands on stderr.
  func run() -> Int32 {
    do throws(StartFailure) {
      try serve()
      return 0
    } catch {
      Self.complain("\(error)")
      return 1
    }
  }

  /// The tree is served before anything is opened that may be absent or hang: inputs, and the configuration itself.
  private func serve() throws(StartFailure) {
    Heap.keepSmall()
    let started = ClockReading.now().monotonicMicroseconds
    let path = try options.mountPoint()
    let input = try options.inputText()
    let watch = DeviceWatch()
    let log = RuntimeLogs()
    let memory = AllocatorPolicy()
    let registry = registry(watch, log)
    let (runtime, graph) = try makeRuntime(registry, memory, mountPoint: path, log: log)
    let systemMemory = SystemMemoryWatch(KernelRoots(under: options.kernelRoot)) { [weak graph] in
      graph?.noteSystemMemory($0, hasNew: $1) ?? $0
    }
    let layout = PhysicalMemoryWatch(KernelRoots(under: options.kernelRoot)) { [weak graph] in
      graph?.pictureMemories ?? []
    }
    let debug: DebugTree
    let mount: Mount
    do {
      debug = try DebugTree(
        runtime: runtime, graph: graph, pages: PageTable(options.dialect), identity: .ofThisProgram(),
        startedMonotonicMicroseconds: started, devices: devices(watch, registry, memory.reason),
        memory: SystemMemorySource(systemMemory, layout))
      try MountPoint.create(path)
      let mountOptions = MountOptions(
        name: "mpifs", allowOther: options.allowOther, onUnmounted: { kill(getpid(), SIGUSR1) })
      mount = try Mount.start(debug.tree, at: path, options: mountOptions)
    } catch {
      _ = runtime.shutDown(milliseconds: 1000)
      throw StartFailure("\(error)")
    }
    do throws(StartFailure) {
      if options.vendorPaths { try MountPoint.linkVendorPath(to: path) }
      let start = StartConfiguration(options: options, input: input, inventory: watch.inventory)
      // `nil`: not dealt with yet.
      let outcome = Monitor<StartFailure??>(nil)
      do throws(Errno) {
        // It may hang as what it reads and opens may; nobody waits for its end.
        _ = try Thread("start") {
          let failure = start.load(into: runtime)
          outcome.change { $0 = .some(failure) }
          kill(getpid(), SIGUSR2)
        }
      } catch {
        throw StartFailure("no thread: \(error)")
      }
      try waitForTheEnd(path, outcome, graph)
    } catch {
      end(path, mount, runtime)
      throw error
    }
    if end(path, mount, runtime) { return }
    // Threads hang in handlers or devices: there is nobody left to wait for, and exit handlers might wait for them.
    fflush(nil)
    _exit(0)
  }

  private func waitForTheEnd(
    _ path: String, _ outcome: Monitor<StartFailure??>, _ graph: MediaGraph
  ) throws(StartFailure) {
    var isGreeted = false
    func ready() {
      if isGreeted { return }
      isGreeted = true
      greet(path)
      ServiceManager.ready(serving: path)
    }
    while true {
      switch signals.wait(seconds: isGreeted ? nil : 3) {
      case nil:
        Self.complain("\(options.load ?? "the configuration") has not been read yet; serving without it meanwhile")
        ready()
      case SIGUSR2:
        if let failure = outcome.withLock({ $0 }) ?? nil { throw failure }
        ready()
      case SIGUSR1:
        Self.complain("\(path) was unmounted from outside")
        return
      case SIGCONT: graph.resumed()
      default: return
      }
    }
  }

  /// - Returns: false when something did not come back.
  @discardableResult
  private func end(_ path: String, _ mount: Mount, _ runtime: Runtime) -> Bool {
    ServiceManager.stopping()
    if options.vendorPaths { MountPoint.unlinkVendorPath(to: path) }
    let ending = mount.stop()
    let isQuiet = runtime.shutDown(milliseconds: 1000)
    if ending == .clean, isQuiet { return true }
    let objects = runtime.unended.map { "\($0)" }.joined(separator: ", ")
    Self.complain(
      "ended by force: "
        + (ending != .clean
          ? "a handler did not return" : "\(objects.isEmpty ? "an object" : objects) did not stop within a second"))
    return false
  }

  // MARK: parts

  static var converters: [any PictureConverterFactory] {
    SoftwareCodecs.converterFactories() + [VendorConverterFactory()]
  }

  /// The engines of this build and of the devices there are, which may come and go.
  private func registry(_ watch: DeviceWatch, _ log: RuntimeLogs) -> EngineRegistry {
    let devices = DeviceEngines()
    let inventory = watch.inventory
    devices.update(inventory)
    let registry = EngineRegistry(Program.engines(watch, inventory, devices.engines))
    watch.whenLooked { inventory in
      guard devices.update(inventory) else { return }
      let engines = devices.engines
      registry.replace(Program.engines(watch, inventory, engines))
      let names = engines.encoders.map(\.name) + engines.decoders.map(\.name) + engines.scalers.map(\.name)
      log.modules.record(
        .system, .information,
        "devices have changed: engines are now \(names.isEmpty ? "software only" : names.joined(separator: " "))")
    }
    return registry
  }

  private static func engines(
    _ watch: DeviceWatch, _ inventory: DeviceInventory, _ devices: DeviceEngines.Engines
  ) -> EngineCatalogue {
    let encoders = devices.encoders
    // I420 leads, which the software engines take as it is, but where a device's encoder would have it converted.
    let needsNV12 = encoders.contains { $0.inputFormats.contains(.nv12) && !$0.inputFormats.contains(.i420) }
    let usual: [PixelFormat] = needsNV12 ? [.nv12, .i420] : [.i420, .nv12]
    let scalers = devices.scalers
    // What only devices give and take is offered where there are devices.
    let packed: [PixelFormat] =
      !scalers.isEmpty ? [.yuyv, .uyvy, .rgb24, .xrgb8888] : inventory.cards.isEmpty ? [] : [.xrgb8888]
    let cameras = V4L2SourceFactory(convertible: Program.converters.flatMap(\.inputs))
    return EngineCatalogue(
      encoders: encoders + SoftwareCodecs.encoderFactories(),
      decoders: devices.decoders + SoftwareCodecs.decoderFactories(),
      scalers: scalers + SoftwareCodecs.scalerFactories(),
      sources: SoftwareCodecs.sourceFactories() + [cameras],
      packetSources: SoftwareCodecs.packetSourceFactories(), converters: Program.converters,
      inputFormats: usual + packed,
      outputFormats: usual + SoftwareCodecs.scaledFormats().filter { !usual.contains($0) },
      display: KMSDisplayFactory(changed: { watch.lookAgain() }), muxer: SoftwareCodecs.muxerFactory(),
      picture: { () throws(Failure) in try SoftwareCodecs.pictureEncoder() },
      packed: { (frame: borrowing Frame) throws(Failure) in try PackedPicture.bytes(of: frame) },
      painter: SoftwareCodecs.painter(),
      pictureReaders: SoftwareCodecs.pictureReaders(),
      textRenderer: { () throws(Failure) in SoftwareCodecs.textRenderer() },
      heaps: ["memfd"] + (inventory.hasUdmabuf ? ["udmabuf"] : []) + inventory.heaps,
      makeAllocator: { AllocatorPolicy.allocator(named: $0) }, inspector: ProcInspector())
  }

  private func devices(
    _ watch: DeviceWatch, _ registry: EngineRegistry, _ memoryChoice: String
  ) -> @Sendable () -> DevicesReport {
    {
      let now = registry.catalogue
      let names = Set(now.encoders.map(\.name) + now.decoders.map(\.name) + now.scalers.map(\.name))
      return DevicesReport(watch.inventory, engines: names, memoryChoice: memoryChoice)
    }
  }

  private func makeRuntime(
    _ registry: EngineRegistry, _ memory: AllocatorPolicy, mountPoint: String, log: RuntimeLogs
  ) throws(StartFailure) -> (Runtime, MediaGraph) {
    let machine = MachineMemory.now(under: options.kernelRoot ?? "")
    do throws(Failure) {
      let graph = try MediaGraph(
        registry: registry, allocator: memory.allocator,
        options: GraphOptions(
          isUnthrottled: options.unthrottled,
          packetLimit: options.dialect == .rockit1432 ? GraphOptions.packets : GraphOptions.laterPackets,
          memoryLimit: options.memoryLimit ?? machine.available.map { max(1 << 20, $0 / 2) } ?? .max,
          machineMemory: machine.total ?? .max),
        listener: log)
      let runtime = try Runtime(
        registry: registry, graph: graph, logs: log, options: Runtime.Options(mountPoint: mountPoint))
      log.modules.record(.memory, .information, "buffers come from \(memory.reason)")
      return (runtime, graph)
    } catch {
      throw StartFailure("\(error)")
    }
  }

  // MARK: words to the user

  private func greet(_ path: String) {
    print(
      """
      mpifs: serving \(path)
      Try, from another shell:
        cat \(path)/health                            is everything moving?
        cat \(path)/vsys                              the graph: frames in and out of every node
        echo 4000 > \(path)/venc/0/bitrate            retune a running encoder; then cat \(path)/venc/0/effect
        timeout 5 cat \(path)/venc/0/stream > a.h264  the coded stream (or: ffplay \(path)/venc/0/stream)
        cat \(path)/help                              every file and what it takes
      """)
    // A script that waits for the first line reads a pipe, which is not flushed by line.
    fflush(nil)
  }

  static func complain(_ text: String) {
    let line = Array("mpifs: \(text)\n".utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
