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
      complain("\(error)")
      return 1
    }
  }

  private func serve() throws(StartFailure) {
    Heap.keepSmall()
    let started = ClockReading.now().monotonicMicroseconds
    let path = try options.mountPoint()
    let watch = DeviceWatch()
    let configuration = try startConfiguration(watch.inventory)
    let log = RuntimeLogs()
    let memory = AllocatorPolicy()
    let registry = registry(watch, log)
    let (runtime, graph) = try makeRuntime(registry, memory, mountPoint: path, log: log)
    try load(configuration, into: runtime)
    let debug: DebugTree
    let mount: Mount
    do {
      debug = try DebugTree(
        runtime: runtime, graph: graph, pages: PageTable(options.dialect), identity: .ofThisProgram(),
        startedMonotonicMicroseconds: started, devices: devices(watch, registry, memory.reason))
      try MountPoint.create(path)
      let mountOptions = MountOptions(
        name: "mpifs", allowOther: options.allowOther, onUnmounted: { kill(getpid(), SIGUSR1) })
      mount = try Mount.start(debug.tree, at: path, options: mountOptions)
    } catch {
      _ = runtime.shutDown(milliseconds: 1000)
      throw StartFailure("\(error)")
    }
    if options.vendorPaths {
      do throws(StartFailure) {
        try MountPoint.linkVendorPath(to: path)
      } catch {
        mount.stop()
        _ = runtime.shutDown(milliseconds: 1000)
        throw error
      }
    }
    greet(path)
    ServiceManager.ready(serving: path)
    let signal = signals.wait()
    ServiceManager.stopping()
    if signal == SIGUSR1 { complain("\(path) was unmounted from outside") }
    if options.vendorPaths { MountPoint.unlinkVendorPath(to: path) }
    let ending = mount.stop()
    let isQuiet = runtime.shutDown(milliseconds: 1000)
    if ending != .clean || !isQuiet {
      // Threads hang in handlers or devices: there is nobody left to wait for, and exit handlers might wait for them.
      complain("ended by force: \(ending == .clean ? "an object did not stop" : "a handler did not return")")
      fflush(nil)
      _exit(0)
    }
  }

  // MARK: parts

  private static var converters: [any PictureConverterFactory] {
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
      inputFormats: usual + packed, outputFormats: usual + packed,
      display: KMSDisplayFactory(changed: { watch.lookAgain() }),
      picture: { () throws(Failure) in try SoftwareCodecs.pictureEncoder() })
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
    do throws(Failure) {
      let graph = try MediaGraph(
        registry: registry, allocator: memory.allocator, options: GraphOptions(isUnthrottled: options.unthrottled),
        listener: log)
      let runtime = try Runtime(
        registry: registry, graph: graph, logs: log, options: Runtime.Options(mountPoint: mountPoint))
      log.modules.record(.memory, .information, "buffers come from \(memory.reason)")
      return (runtime, graph)
    } catch {
      throw StartFailure("\(error)")
    }
  }

  // MARK: the configuration at the start

  private struct StartText {
    var name: String
    var text: [UInt8]
    /// Input of `vi/0` in place of the text's, and whether the user asked for it.
    var input: String?
    var isInputAsked = false
  }

  private func startConfiguration(_ inventory: DeviceInventory) throws(StartFailure) -> StartText? {
    let asked = try options.inputText()
    if options.load == "none" {
      if asked != nil { throw StartFailure("--input goes with a configuration, not with --load none") }
      return nil
    }
    if let file = options.load {
      return StartText(name: file, text: try contents(file), input: asked, isInputAsked: asked != nil)
    }
    let camera = asked == nil ? inventory.firstCamera(converting: Program.converters.flatMap(\.inputs)) : nil
    return StartText(
      name: "the default configuration", text: PackageResources.mpifs_conf, input: asked ?? camera,
      isInputAsked: asked != nil)
  }

  private func load(_ start: StartText?, into runtime: Runtime) throws(StartFailure) {
    guard var start else { return }
    while true {
      // `nil`: not answered yet.
      let answer = Monitor<MediaCore.Refusal??>(nil)
      var overriding: [Change] = []
      if let input = start.input, let path = ObjectPath(.vi, 0) { overriding = [.set(path, "input", input)] }
      runtime.loadConfig(start.text, name: start.name, overriding: overriding) { refusal in
        answer.change { $0 = .some(refusal) }
      }
      guard case .some(.some(let refusal)) = answer.wait(for: { $0 }) else { return }
      if start.input != nil, !start.isInputAsked {
        // Nobody asked for this camera: it being busy or broken must not keep the tree from being served.
        complain("\(refusal); using the test pattern instead")
        start.input = nil
        continue
      }
      _ = runtime.shutDown(milliseconds: 1000)
      throw StartFailure("\(refusal)")
    }
  }

  private func contents(_ file: String) throws(StartFailure) -> [UInt8] {
    do {
      let descriptor = try FileDescriptor.open(file, .readOnly, options: .closeOnExec)
      defer { try? descriptor.close() }
      var bytes: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: 65536)
      while true {
        let count = try chunk.withUnsafeMutableBytes { try descriptor.read(into: $0) }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
        if bytes.count > 1 << 20 { throw Errno.fileTooLarge }
      }
    } catch {
      throw StartFailure("--load \(file): \(error)")
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

  private func complain(_ text: String) {
    let line = Array("mpifs: \(text)\n".utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
