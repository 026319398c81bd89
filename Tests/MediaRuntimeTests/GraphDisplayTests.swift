// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// A display that keeps what it was given until the test says what becomes of it.
private final class ScriptedDisplay: Display, DisplayFactory, @unchecked Sendable {
  final class Way: DisplayWay {
    let generation: UInt64
    let picture: DisplayPicture?
    init(generation: UInt64, picture: DisplayPicture?) {
      self.generation = generation
      self.picture = picture
    }
  }
  struct State: ~Copyable {
    var listener: (any DisplayListener)?
    var given: Frame?
    var arrived = 0
    var ways = 0
    var refusal: Failure?
    var picture: DisplayPicture?
    var commands: [String] = []
    var isClosed = false
    var generation: UInt64 = 1
    var rectangle: Rectangle?
  }
  let state = Mutex(State())

  func open(_ configuration: DisplayConfiguration, listener: any DisplayListener) throws(Failure) -> any Display {
    let refusal = state.withLock { state in
      state.listener = listener
      state.rectangle = configuration.rectangle
      return state.refusal
    }
    if let refusal { throw refusal }
    return self
  }

  var status: DisplayStatus {
    var status = DisplayStatus()
    (status.device, status.connector, status.mode) = ("/dev/dri/card5", "HDMI-A-1", "640x480@60.00")
    (status.width, status.height, status.way) = (640, 480, "scripted")
    return status
  }
  var counters: DisplayCounters {
    var counters = DisplayCounters()
    counters.flips = 7
    return counters
  }
  var generation: UInt64 { state.withLock { $0.generation } }

  func way(for frame: borrowing Frame) throws(Failure) -> any DisplayWay {
    let (refusal, way) = state.withLock { state in
      state.ways += 1
      return (state.refusal, Way(generation: state.generation, picture: state.picture))
    }
    if let refusal { throw refusal }
    return way
  }

  func show(_ frame: consuming Frame, by way: any DisplayWay) {
    var frame = Optional(frame)
    let replaced = state.withLock { state in
      let old = state.given.take() != nil
      state.given = frame.take()
      state.arrived += 1
      return old
    }
    if replaced { listener?.dropped(.superseded) }
  }

  private var listener: (any DisplayListener)? { state.withLock { $0.listener } }

  /// Puts the frame that waits onto the screen.
  /// - Returns: size of the picture; `nil` when none waited.
  func flip() -> Int32? {
    var frame: Frame? = state.withLock { $0.given.take() }
    guard let shown = frame.take() else { return nil }
    let width = shown.layout.width
    listener?.shown(shown, at: Clock.now())
    return width
  }

  func tell(_ condition: DisplayCondition) { listener?.changed(condition) }
  func place(_ rectangle: Rectangle?) {
    state.withLock { state in
      state.rectangle = rectangle
      state.generation += 1
    }
  }
  func release() throws(Failure) { state.withLock { $0.commands.append("release") } }
  func acquire() throws(Failure) { throw Failure(.resourceBusy, "acquire", on: "card") }
  func close() {
    let waited = state.withLock { state in
      state.isClosed = true
      return state.given.take() != nil
    }
    if waited { listener?.dropped(.flushed) }
  }
}

/// A display channel of the graph.
@Suite(.ownThread) struct GraphDisplayTests {
  private let display = ScriptedDisplay()

  private func bench(
    _ settings: [String: SettingValue] = [:], scalers: [ScriptedScalerFactory] = []
  ) throws -> Bench {
    let bench = try Bench(moreScalers: scalers, display: display)
    try bench.make("vi/0", ["input": .text("pattern")])
    try bench.make("vo/0", settings)
    bench.bind("vo/0", "vi/0")
    return bench
  }

  private func condition(_ bench: Bench) -> ObjectCondition? { bench.graph.objectState("vo/0")?.condition }

  @Test func everyFrameIsShownOvertakenOrStillWaiting() throws {
    let bench = try bench()
    defer { bench.finish() }
    try bench.start("vo/0", "vi/0")
    // Nothing is flipped yet, so newer frames overtake the one that waits.
    #expect(eventually { bench.figures("vo/0").dropped[.late] > 0 })
    var shown: UInt64 = 0
    #expect(
      eventually {
        if display.flip() != nil { shown += 1 }
        return shown >= 20
      })
    bench.stop("vi/0")
    bench.stop("vo/0")
    let figures = bench.figures("vo/0")
    #expect(figures.output.frames == shown)
    #expect(figures.inFlight == 0)
    #expect(figures.input.frames == shown + figures.dropped.total)
    #expect(figures.dropped[.late] > 0)
    #expect(display.state.withLock { $0.isClosed })
  }

  @Test func countsGoOnOverTheRuns() throws {
    let bench = try bench()
    defer { bench.finish() }
    func flips() -> Double? { bench.graph.objectState("vo/0")?.moreStatistics.first { $0.key == "flips" }?.value }
    #expect(flips() == nil, "before the first run nobody knows what there will be")
    // Every display of this double says seven.
    try bench.start("vo/0")
    #expect(flips() == 7)
    bench.stop("vo/0")
    #expect(flips() == 7)
    try bench.start("vo/0")
    #expect(flips() == 14)
  }

  @Test func whatTheDisplayCannotTakeIsMadeIntoAPicture() throws {
    let layout = try #require(FrameLayout(.xrgb8888, width: 320, height: 240))
    display.state.withLock {
      $0.picture = DisplayPicture(layout: layout, bufferSize: layout.byteCount, allocator: MemfdAllocator())
    }
    let bench = try bench()
    defer { bench.finish() }
    try bench.start("vo/0", "vi/0")
    #expect(eventually { display.flip() == 320 })
    let state = try #require(bench.graph.objectState("vo/0"))
    #expect(state.active.contains { $0.key == "memory" && $0.value == "memfd" })
    #expect(state.active.contains { $0.key == "backend" && $0.value == "/dev/dri/card5" })
    #expect(bench.graph.allocations().pools.contains { $0.total == 4 })
    // A way is looked for once, and again when the display says so.
    #expect(display.state.withLock { $0.ways } == 1)
    try bench.set("vo/0", ["rect": .rectangle(Rectangle(x: 0, y: 0, width: 64, height: 64))])
    #expect(eventually { display.state.withLock { $0.ways } == 2 })
    bench.stop("vi/0", "vo/0")
    #expect(eventually { !bench.graph.allocations().pools.contains { $0.total == 4 } })
  }

  @Test func aPictureIsMadeByAnotherScalerWhileTheDevicesIsOutOfWork() throws {
    let layout = try #require(FrameLayout(.xrgb8888, width: 320, height: 240))
    display.state.withLock {
      $0.picture = DisplayPicture(layout: layout, bufferSize: layout.byteCount, allocator: MemfdAllocator())
    }
    let device = ScriptedScalerFactory(name: "/dev/video8", isHardware: true)
    let bench = try bench(scalers: [device])
    defer { bench.finish() }
    try bench.start("vo/0", "vi/0")
    #expect(eventually { device.script.calls.load(ordering: .relaxed) > 3 })
    #expect(bench.scaler.script.calls.load(ordering: .relaxed) == 0)
    try bench.graph.set(.disabled, of: "/dev/video8", to: 1, path: "disable_work")
    #expect(eventually { bench.scaler.script.calls.load(ordering: .relaxed) > 3 })
    #expect(eventually { condition(bench) == .running })
    #expect(bench.graph.allocations().pools.filter { $0.total == 4 }.count == 1, "in the same pool")
    let before = device.script.calls.load(ordering: .relaxed)
    try bench.graph.set(.disabled, of: "/dev/video8", to: 0, path: "disable_work")
    #expect(eventually { device.script.calls.load(ordering: .relaxed) > before + 3 })
    bench.stop("vi/0", "vo/0")
  }

  @Test func aPlaceOutsideTheScreenIsRefusedWhileItRuns() throws {
    let bench = try bench()
    defer { bench.finish() }
    try bench.start("vo/0")
    let outside = Rectangle(x: 400, y: 0, width: 320, height: 240)
    let refusal = #expect(throws: Refusal.self) { try bench.set("vo/0", ["rect": .rectangle(outside)]) }
    #expect(refusal?.errno == .outOfRange)
    #expect(refusal?.reason.contains("640x480") == true)
  }

  @Test func aScreenThatIsAwayShowsInTheStateAndItsFramesCount() throws {
    let bench = try bench()
    defer { bench.finish() }
    try bench.start("vo/0", "vi/0")
    #expect(eventually { display.flip() != nil })
    let failure = Failure(.operationNotSupportedByDevice, "show", on: "card", "HDMI-A-1 is not connected")
    display.state.withLock { state in
      state.refusal = failure
      state.generation += 1
    }
    display.tell(.failed(failure))
    #expect(condition(bench) == .failed(why: "\(failure)"))
    #expect(bench.graph.health().verdict == .failed)
    #expect(eventually { bench.figures("vo/0").dropped[.deviceError] > 10 })
    display.state.withLock { $0.refusal = nil }
    // A picture on the screen says more than any announcement.
    #expect(eventually { display.flip() != nil && condition(bench) == .running })
  }

  @Test func framesForAScreenThatWasLetGoAreDisabled() throws {
    let bench = try bench()
    defer { bench.finish() }
    try bench.start("vo/0", "vi/0")
    #expect(eventually { display.flip() != nil })
    let object = bench.object("vo/0")
    #expect(object.touchesDevice("release"))
    try object.perform("release", argument: "")
    #expect(display.state.withLock { $0.commands } == ["release"])
    display.state.withLock { state in
      state.refusal = Failure(.canceled, "release", on: "card")
      state.generation += 1
    }
    #expect(eventually { bench.figures("vo/0").dropped[.disabled] > 10 })
    #expect(bench.figures("vo/0").dropped[.deviceError] == 0)
    let refusal = #expect(throws: Refusal.self) { try object.perform("acquire", argument: "") }
    #expect(refusal?.errno == .resourceBusy)
  }

  @Test func aDisplayThatDoesNotOpenLeavesTheChannelStopped() throws {
    display.state.withLock { $0.refusal = Failure(.resourceBusy, "enable", on: "card") }
    let bench = try bench()
    defer { bench.finish() }
    #expect(throws: Failure.self) { try bench.start("vo/0") }
    #expect(condition(bench) == .stopped)
    #expect(throws: Refusal.self) { try bench.object("vo/0").perform("release", argument: "") }
  }
}
