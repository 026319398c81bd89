// SPDX-License-Identifier: Apache-2.0
import Devices
import Foundation
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// A device that holds several frames: gives a picture for each when the test lets it.
private final class HoldingDevice: Sendable {
  struct State {
    /// Pictures it may still give.
    var allowed = 0
    var given = 0
    var coded = 0
    var fails: Errno?
    var isWoken = false
  }
  let state = Mutex(State())
  func allow(_ pictures: Int) { state.withLock { $0.allowed = pictures } }
  var given: Int { state.withLock { $0.given } }
  var coded: Int { state.withLock { $0.coded } }
}

private final class HoldingEncoder: Encoder, Waker, @unchecked Sendable {
  let engine = "holding 1"
  let capabilities: EncoderCapabilities = [.forceType]
  let inputFormats: [PixelFormat] = [.i420]
  private let device: HoldingDevice
  private let depth: Int
  private var waiting: [(pts: Int64, frame: BufferRefBox)] = []
  private final class BufferRefBox {
    let ref: BufferRef
    init(_ ref: consuming BufferRef) { self.ref = ref }
  }

  init(_ device: HoldingDevice, depth: Int) {
    self.device = device
    self.depth = depth
  }

  var inside: Int { waiting.count }
  var waker: (any Waker)? { self }
  func wake() { device.state.withLock { $0.isWoken = true } }

  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    waiting.append((frame.pts, BufferRefBox(frame.ref.share(as: frame.ref.user))))
    device.state.withLock { $0.given += 1 }
    while waiting.count >= depth { try take(into: &sink, orWake: false) }
  }

  func collect<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    try take(into: &sink, orWake: true)
  }

  private func take<Sink: PacketSink & ~Copyable>(into sink: inout Sink, orWake: Bool) throws(Failure) {
    while true {
      let (state, mayGive) = device.state.withLock { state in
        let mayGive = state.allowed > 0
        if mayGive {
          state.allowed -= 1
          state.coded += 1
        }
        defer { if orWake { state.isWoken = false } }
        return (state, mayGive)
      }
      if let errno = state.fails {
        waiting = []
        throw Failure(errno, "collect", on: "holding")
      }
      if mayGive {
        let picture: [UInt8] =
          state.coded == 0
          ? [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xff, 0, 0, 0, 1, 0x68, 0xce, 0x80, 0, 0, 0, 1, 0x65, 0x9a, 1]
          : [0, 0, 0, 1, 0x41, 0x9a, 1]
        picture.withUnsafeBytes { sink.append($0) }
        sink.finishPicture(pts: waiting.removeFirst().pts)
        return
      }
      if orWake, state.isWoken { return }
      usleep(200)
    }
  }

  func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool { true }

  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {
    while !waiting.isEmpty { try take(into: &sink, orWake: false) }
  }
}

private struct HoldingFactory: EncoderFactory {
  let device: HoldingDevice
  var name: String { "/dev/video7" }
  var codecs: [Codec] { [.h264] }
  var isHardware: Bool { true }
  var priority: Int { 0 }
  func capabilities(for codec: Codec) -> EncoderCapabilities { [.forceType] }
  func settings(for codec: Codec) -> EngineSettings {
    [EngineSetting(.gop, live: true), EngineSetting(.bitrate, live: true)]
  }
  func profiles(for codec: Codec) -> [String] { [] }
  func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    HoldingEncoder(device, depth: configuration.depth)
  }
}

/// A channel whose device has several frames inside.
@Suite(.ownThread) struct GraphDepthTests {
  private final class Machine {
    let device = HoldingDevice()
    let graph: MediaGraph
    let gate = GateBox()
    var objects: [any ModuleObject] = []
    init(frames: UInt64 = .max) throws {
      graph = try MediaGraph(
        engines: EngineCatalogue(
          encoders: [HoldingFactory(device: device)],
          sources: [ScriptedSourceFactory(script: ScriptedSource.Script(limit: frames), gate: gate)]),
        allocator: MemfdAllocator(), options: GraphOptions(workers: 2).patient)
      for (path, values) in [
        ("vi/0", ["input": .text("pattern")]), ("venc/0", ["codec": .text("h264"), "gop": .integer(30)]),
      ] as [(String, [String: SettingValue])] {
        objects.append(try graph.make(ObjectPath(path)!, settings: ObjectSettings(values)))
      }
      graph.bind(receiver: ObjectPath("venc/0")!, source: ObjectPath("vi/0")!)
      for object in objects.reversed() { try object.start() }
    }
    var node: Node { graph.object(ObjectPath("venc/0")!)!.node }
    var session: SessionReport? { graph.sessionFigures().first { $0.path == "venc/0" } }
    func finish() {
      for object in objects { object.stop() }
      for object in objects.reversed() { object.retire() }
      graph.close()
    }
  }

  @Test func aFrameThatComesGoesInAlthoughNoPictureHasComeOut() throws {
    let machine = try Machine()
    defer { machine.finish() }
    // The third waits inside `encode` for the first to come out; the queue behind it is full.
    #expect(eventually { machine.device.given == 3 && machine.session?.pending == 4 })
    #expect(machine.device.coded == 0)
    #expect(machine.session?.runningSince != nil && machine.session?.done == 0)
    #expect(eventually { machine.session?.isOverdue == true })
    machine.device.allow(1)
    #expect(eventually { machine.device.given == 4 })
    #expect(eventually { machine.session?.done == 1 })
    machine.device.allow(.max)
    #expect(eventually { (machine.session?.done ?? 0) > 20 })
    machine.objects[0].stop()
    #expect(eventually { machine.node.figures().inFlight == 0 })
    let figures = machine.node.figures()
    #expect(figures.work.done == figures.output.frames && figures.work.failed == 0)
    #expect(figures.input.frames == figures.output.frames + figures.input.dropped[.queueFull])
    #expect(eventually { machine.session?.runningSince == nil })
    // The first ones were inside for as long as the test looked at them.
    #expect(figures.work.longestRun > 500_000_000)
  }

  @Test func aSecondFrameEndsTheWaitForTheFirst() throws {
    let machine = try Machine(frames: 2)
    defer { machine.finish() }
    #expect(eventually { machine.device.given == 2 })
    #expect(machine.device.coded == 0)
    #expect(machine.node.figures().inFlight == 2)
    machine.device.allow(1)
    #expect(eventually { machine.node.figures().output.frames == 1 })
    machine.device.allow(1)
    #expect(eventually { machine.node.figures().output.frames == 2 })
    #expect(machine.node.figures().inFlight == 0)
  }

  @Test func whatIsInsideComesOutWhenTheChannelStops() throws {
    let machine = try Machine(frames: 2)
    defer { machine.finish() }
    #expect(eventually { machine.device.given == 2 })
    machine.gate.close()
    // From the drain on: `stop` has to end the worker's wait itself.
    let device = machine.device
    let helper = Background("device") {
      while device.coded < 2 {
        device.allow(1)
        usleep(1000)
      }
    }
    machine.objects[1].stop()
    try helper.value
    let figures = machine.node.figures()
    #expect(figures.output.frames == 2 && figures.inFlight == 0, "\(figures)")
  }

  @Test func aFailureCountsEveryFrameThatWasInside() throws {
    let machine = try Machine(frames: 2)
    defer { machine.finish() }
    #expect(eventually { machine.device.given == 2 })
    machine.device.state.withLock { $0.fails = .ioError }
    // Each is dropped first, and its task has failed then.
    #expect(eventually { machine.node.figures().work.failed == 2 })
    let figures = machine.node.figures()
    #expect(figures.inFlight == 0 && figures.work.dropped[.deviceError] == 2, "\(figures)")
    #expect(eventually { machine.graph.object(ObjectPath("venc/0")!)?.hasFailed == true })
  }

  // MARK: the device's service

  private func figures(_ machine: Machine) -> ServiceFigures? {
    machine.graph.serviceFigures().first { $0.name == "/dev/video7" }
  }

  @Test func aDeviceOutOfWorkGivesThePicturesOfWhatIsInsideAndTakesNoMore() throws {
    let machine = try Machine()
    defer { machine.finish() }
    let path = ObjectPath("venc/0")!
    #expect(eventually { machine.device.given == 3 && machine.session?.pending == 4 })
    try machine.graph.set(.disabled, of: "/dev/video7", to: 1, path: "disable_work")
    machine.device.allow(3)
    #expect(eventually { machine.device.coded == 3 && machine.session?.runningSince == nil })
    #expect(eventually { figures(machine)?.waiting == 1 })
    #expect(machine.device.given == 3 && machine.session?.pending == 4 && machine.session?.done == 3)
    let waits = ObjectCondition.waiting(for: "service video7, out of work by disable_work")
    #expect(machine.graph.objectState(path)?.condition == waits)
    #expect(eventually { machine.graph.health().findings.contains { $0.path == "venc/0" && $0.condition == waits } })
    machine.device.allow(.max)
    try machine.graph.set(.disabled, of: "/dev/video7", to: 0, path: "disable_work")
    #expect(eventually { (machine.session?.done ?? 0) > 20 })
    #expect(eventually { machine.graph.health().findings.isEmpty })
    // It is stopped at once also while its service is out of work.
    try machine.graph.set(.disabled, of: "/dev/video7", to: 1, path: "disable_work")
    machine.objects[1].stop()
    #expect(machine.graph.object(path)?.session.isIdle == true)
  }

  @Test(arguments: [(Errno.ioError, 2, 0), (.timedOut, 0, 2)])
  func itsServiceCountsHowTasksEnd(_ errno: Errno, _ failed: UInt64, _ timedOut: UInt64) throws {
    let machine = try Machine(frames: 2)
    defer { machine.finish() }
    #expect(eventually { machine.device.given == 2 })
    #expect(figures(machine)?.tasks == 2 && figures(machine)?.done == 0)
    machine.device.state.withLock { $0.fails = errno }
    // The service counts a task after its session.
    #expect(eventually { figures(machine).map { $0.failed + $0.timedOut } == 2 })
    let session = try #require(machine.session)
    #expect(session.failed == failed && session.timedOut == timedOut)
    let service = try #require(figures(machine))
    #expect(service.failed == failed && service.timedOut == timedOut && service.done == 0)
  }

  @Test func slowTasksAreLoggedWhereTimingIsOn() throws {
    let machine = try Machine(frames: 2)
    defer { machine.finish() }
    let lines = Mutex<[String]>([])
    machine.graph.environment.services.logSlowTasks(1) { line in lines.withLock { $0.append(line) } }
    try machine.graph.set(.slowTask, of: "/dev/video7", to: 1, path: "timing_check")
    #expect(eventually { machine.device.given == 2 })
    machine.device.allow(1)
    #expect(eventually { lines.withLock { $0.count } == 4 })
    let first = lines.withLock { $0[0] }
    #expect(first.hasPrefix("task 1 dump timing at ") && first.hasSuffix(" us: venc/0 on video7, done"), "\(first)")
    machine.device.allow(1)
  }
}
