// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import Foundation
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Small engines whose behaviour a test decides, for the frame path alone.
enum Doubles {
  static let layout = FrameLayout(.i420, width: 64, height: 48)!
}

/// Gives frames when the test allows it: `limit` in all, or without end.
final class ScriptedSource: Source, @unchecked Sendable {
  struct Script: Sendable {
    /// Frames to give; then the input has ended.
    var limit: UInt64 = .max
    /// Shut: the device has gone away, and `next` fails with ENODEV.
    var isAway = GateBox()
    var isLive = true
    var rate = FrameRate.thirty
    /// Of the time stamps of one that is not live, where they are others than the rate says.
    var stampRate: FrameRate?
    /// Microseconds between two frames of a live source.
    var intervalMicroseconds: UInt32 = 1000
    var layout = Doubles.layout
    var heapCalls = HeapNotes()
    /// Paints each picture, by its number.
    var paint: (@Sendable (borrowing Frame, UInt64) -> Void)?
    /// Shut: `next` does not come back, whatever is asked.
    var hangs = GateBox()
  }

  let summary = "fake"
  let layout: FrameLayout
  let frameRate: FrameRate
  let isLive: Bool
  let memoryKind = "memfd"
  let counters = SourceCounters()
  var pool: (any BufferPool)? { frames }
  private let script: Script
  private let frames: Pool
  private let user: UserSlot
  private let stopped = Atomic<Bool>(false)
  private let paused: GateBox
  private var number: UInt64 = 0
  private let heapCalls: HeapNotes

  init(_ script: Script, _ request: SourceRequest, _ paused: GateBox) throws(Failure) {
    self.script = script
    self.layout = script.layout
    self.frameRate = script.rate
    self.isLive = script.isLive
    self.user = request.user
    self.paused = paused
    self.heapCalls = script.heapCalls
    frames = try Pool(
      name: request.poolName, size: script.layout.byteCount, count: request.bufferCount, allocator: request.allocator)
  }

  deinit { frames.close() }

  func next() throws(Failure) -> Frame? {
    while !stopped.load(ordering: .relaxed) {
      script.hangs.pass()
      if paused.turnsBack {
        usleep(500)
        continue
      }
      if number == script.limit { return nil }
      if script.isAway.isShut {
        throw Failure(Errno(rawValue: ENODEV), "VIDIOC_DQBUF", on: "fake")
      }
      if isLive && script.intervalMicroseconds > 0 { usleep(script.intervalMicroseconds) }
      guard let buffer = frames.take(as: user) else {
        if isLive { throw Failure(.noBufferSpace, "next", on: "fake") }
        usleep(50)
        continue
      }
      let rate = script.stampRate ?? frameRate
      let pts =
        isLive ? Clock.now() / 1000 : Int64(number) * 1_000_000 * Int64(rate.denominator) / Int64(rate.numerator)
      defer { number += 1 }
      heapCalls.note()
      let frame = Frame(
        buffer, layout: layout, pts: pts, sequence: number, stamps: FrameStamps(captured: Clock.now()))
      script.paint?(frame, number)
      return frame
    }
    return nil
  }

  func interrupt() { stopped.store(true, ordering: .relaxed) }
}

/// A gate tests shut and open.
final class GateBox: Sendable {
  private let shut = Atomic<Bool>(false)
  private let waiting = Atomic<Int>(0)
  private let turned = Atomic<Int>(0)
  var isShut: Bool { shut.load(ordering: .acquiring) }
  /// How many stand before it.
  var held: Int { waiting.load(ordering: .acquiring) }
  /// For who does not wait before it: whether it is shut, which is noted.
  var turnsBack: Bool {
    guard isShut else { return false }
    turned.add(1, ordering: .acquiringAndReleasing)
    return true
  }
  /// Somebody has come to it since it was shut, and was turned back: he is past what he did while it was open.
  var hasTurnedBack: Bool { turned.load(ordering: .acquiring) > 0 }
  /// Comes back once it is open.
  func pass() {
    guard isShut else { return }
    waiting.add(1, ordering: .acquiringAndReleasing)
    while isShut { usleep(500) }
    waiting.subtract(1, ordering: .acquiringAndReleasing)
  }
  func close() {
    turned.store(0, ordering: .releasing)
    shut.store(true, ordering: .releasing)
  }
  func open() { shut.store(false, ordering: .releasing) }
}

struct ScriptedSourceFactory: SourceFactory {
  var script = ScriptedSource.Script()
  var gate = GateBox()
  func handles(_ input: InputSpecification) -> Bool { true }
  func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    if input == .file("/missing") { throw Failure(.noSuchFileOrDirectory, "open", on: "/missing") }
    return try ScriptedSource(script, request, gate)
  }
}

/// What a fake encoder does and what was asked of it.
final class EncoderScript: Sendable {
  /// Shut: `encode` does not come back.
  let gate = GateBox()
  let fails = GateBox()
  /// Shut: can be opened, and encodes nothing.
  let failsToEncode = GateBox()
  /// Shut: every frame is left out.
  let skips = GateBox()
  /// Shut: takes changes without acting on them.
  let isDeaf = GateBox()
  /// Shut: the device refuses every change.
  let refusesChanges = GateBox()
  let opened = Atomic<Int>(0)
  let encoded = Atomic<Int>(0)
  let pictureBytes = Atomic<Int>(600)
  /// How long `encode` takes, microseconds.
  let takes = Atomic<UInt32>(0)
  /// What it gives of the bitrate it is asked for, in per cent.
  let percent = Atomic<Int>(100)
  /// Kilobits a second it was last asked for.
  let asked = Atomic<Int>(0)
  let heapCalls = HeapNotes()
  /// Looks at each picture.
  let look = Mutex<(@Sendable (borrowing Frame) -> Void)?>(nil)
  init() {}
}

/// Writes pictures that a parser takes for H.264: an IDR slice or another one, filled up with a harmless byte.
final class ScriptedEncoder: Encoder, @unchecked Sendable {
  let engine = "fake 1"
  var capabilities: EncoderCapabilities { .forceType }
  let inputFormats: [PixelFormat]
  private let script: EncoderScript
  private var configuration: EncoderConfiguration
  private var sinceKey = 0
  private var keyPicture: [UInt8] = []
  private var otherPicture: [UInt8] = []

  /// Makes the two pictures anew when their size changes, so that encoding allocates nothing.
  private func prepare(_ size: Int) {
    guard otherPicture.count != size else { return }
    otherPicture = [0, 0, 0, 1, 0x41, 0x9a] + [UInt8](repeating: 0x55, count: max(0, size - 6))
    keyPicture =
      [0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xff, 0, 0, 0, 1, 0x68, 0xce, 0x80, 0, 0, 0, 1, 0x65, 0x9a]
      + [UInt8](repeating: 0x55, count: max(0, size - 22))
  }

  init(_ configuration: EncoderConfiguration, _ script: EncoderScript, formats: [PixelFormat]) {
    self.configuration = configuration
    self.script = script
    self.inputFormats = formats
    script.opened.add(1, ordering: .relaxed)
  }

  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    script.gate.pass()
    script.look.withLock { $0 }?(frame)
    let takes = script.takes.load(ordering: .relaxed)
    if takes > 0 { usleep(takes) }
    if script.fails.isShut || script.failsToEncode.isShut { throw Failure(.ioError, "encode", on: "fake") }
    if script.skips.isShut { return }
    // A deaf one keeps the groups it was opened with.
    let isKey = sinceKey == 0 || (script.isDeaf.isShut ? sinceKey >= configuration.gop : directive.type == .idr)
    if isKey { sinceKey = 0 }
    sinceKey += 1
    let size = max(
      8,
      script.pictureBytes.load(ordering: .relaxed) > 0
        ? script.pictureBytes.load(ordering: .relaxed)
        : Int(Double(configuration.bitrate) * 125 / configuration.frameRate.framesPerSecond)
          * script.percent.load(ordering: .relaxed) / 100)
    prepare(size)
    (isKey ? keyPicture : otherPicture).withUnsafeBytes { sink.append($0) }
    script.heapCalls.note()
    script.encoded.add(1, ordering: .relaxed)
    sink.finishPicture(pts: frame.pts)
  }

  func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
    guard new.codec == configuration.codec, new.width == configuration.width, new.profile == configuration.profile
    else { return false }
    script.asked.store(new.bitrate, ordering: .relaxed)
    if script.refusesChanges.isShut { throw Failure(.ioError, "VIDIOC_S_EXT_CTRLS", on: "fake") }
    if !script.isDeaf.isShut { configuration = new }
    return true
  }

  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}

struct ScriptedEncoderFactory: EncoderFactory {
  var name = "fake"
  var script = EncoderScript()
  var formats: [PixelFormat] = [.i420]
  var codecs: [Codec] { [.h264] }
  var isHardware = false
  var priority = 1
  /// Most pixels a line of a picture may have.
  var widest = Int.max
  func capabilities(for codec: Codec) -> EncoderCapabilities { .forceType }
  func settings(for codec: Codec) -> EngineSettings {
    [
      EngineSetting(.gop, live: true), EngineSetting(.bitrate, live: true, 1...100_000),
      EngineSetting(.codedRate, live: true), EngineSetting(.profile),
    ]
  }
  func profiles(for codec: Codec) -> [String] { ["main"] }
  func validate(_ configuration: EncoderConfiguration) throws(Failure) {
    try settings(for: .h264).check(configuration.settings, engine: "fake")
    if configuration.width > widest { throw Failure(.outOfRange, "size", on: name, "at most \(widest) wide") }
  }
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    if script.fails.isShut { throw Failure(.ioError, "open", on: "fake") }
    try validate(configuration)
    return ScriptedEncoder(configuration, script, formats: formats)
  }
}

/// Scales by doing nothing, or hangs or fails when told to.
final class ScalerScript: Sendable {
  let gate = GateBox()
  let fails = GateBox()
  let calls = Atomic<Int>(0)
  init() {}
}

final class ScriptedScaler: Scaler, @unchecked Sendable {
  let engine = "fakescale 1"
  private let script: ScalerScript
  init(_ script: ScalerScript) { self.script = script }
  func scale(
    _ source: borrowing Frame, crop: Rectangle?, transform: PictureTransform, to destination: inout Frame
  ) throws(Failure) -> Int {
    script.calls.add(1, ordering: .relaxed)
    script.gate.pass()
    if script.fails.isShut { throw Failure(.ioError, "scale", on: "fake") }
    return 100
  }
}

struct ScriptedScalerFactory: ScalerFactory {
  var script = ScalerScript()
  var name = "fakescale"
  var isHardware = false
  func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool { true }
  func open() throws(Failure) -> any Scaler { ScriptedScaler(script) }
}

/// Gives the bytes of a made-up picture.
final class ScriptedPictureEncoder: PictureEncoder, @unchecked Sendable {
  func jpeg(_ frame: borrowing Frame, quality: Int) throws(Failure) -> [UInt8] { [0xff, 0xd8, 0xff, 0xd9] }
}

/// A graph with fakes and the objects a test makes on it.
final class Bench: @unchecked Sendable {
  let graph: MediaGraph
  let registry: EngineRegistry
  var source: ScriptedSourceFactory
  let encoder: ScriptedEncoderFactory
  let scaler: ScriptedScalerFactory
  private(set) var objects: [ObjectPath: any ModuleObject] = [:]
  private var settings: [ObjectPath: ObjectSettings] = [:]

  init(
    source: ScriptedSourceFactory = ScriptedSourceFactory(), encoder: ScriptedEncoderFactory = ScriptedEncoderFactory(),
    scaler: ScriptedScalerFactory = ScriptedScalerFactory(), decoders: [any DecoderFactory] = [],
    moreEncoders: [ScriptedEncoderFactory] = [], moreScalers: [any ScalerFactory] = [],
    scalers: [any ScalerFactory]? = nil, options: GraphOptions = GraphOptions(workers: 3),
    display: (any DisplayFactory)? = nil, painter: (any Painter)? = nil
  ) throws {
    self.source = source
    self.encoder = encoder
    self.scaler = scaler
    registry = EngineRegistry(
      EngineCatalogue(
        encoders: [encoder] + moreEncoders, decoders: decoders, scalers: scalers ?? [scaler] + moreScalers,
        sources: [source],
        display: display, picture: { () throws(Failure) in ScriptedPictureEncoder() }, painter: painter))
    graph = try MediaGraph(registry: registry, allocator: MemfdAllocator(), options: options.patient)
  }

  static func path(_ text: String) -> ObjectPath { ObjectPath(text)! }

  @discardableResult
  func make(_ text: String, _ values: [String: SettingValue] = [:]) throws -> any ModuleObject {
    let path = Self.path(text)
    let settings = ObjectSettings(values)
    let object = try graph.make(path, settings: settings)
    objects[path] = object
    self.settings[path] = settings
    return object
  }

  func bind(_ receiver: String, _ source: String?) {
    graph.bind(receiver: Self.path(receiver), source: source.map(Self.path))
  }

  func object(_ text: String) -> any ModuleObject { objects[Self.path(text)]! }

  func start(_ names: String...) throws { for name in names { try object(name).start() } }
  /// Whether it can be started sooner or later: what hung has to come back first.
  func startsInTheEnd(_ name: String) -> Bool {
    eventually {
      do {
        try start(name)
        return true
      } catch { return false }
    }
  }
  func stop(_ names: String...) { for name in names { object(name).stop() } }

  /// As the administration changes a setting.
  func set(_ text: String, _ values: [String: SettingValue], running: Bool = true) throws {
    let path = Self.path(text)
    var new = settings[path] ?? ObjectSettings()
    for (key, value) in values { new[key] = value }
    try object(text).check(new, changed: Set(values.keys), running: running)
    object(text).commit(new, changed: Set(values.keys))
    settings[path] = new
  }

  func remove(_ text: String) {
    object(text).stop()
    object(text).retire()
    objects[Self.path(text)] = nil
  }

  func node(_ text: String) -> Node { graph.object(Self.path(text))!.node }
  func figures(_ text: String) -> NodeFigures { node(text).figures() }

  /// Stops everything from the sources on, and ends the workers.
  func finish() {
    let paths = objects.keys.sorted(by: registry.table.precedes)
    for path in paths { objects[path]?.stop() }
    for path in paths.reversed() { objects[path]?.retire() }
    objects = [:]
    graph.close()
  }

  /// vi/0 -> vpss/0 -> (0: passed on, 1: scaled) -> venc/0, venc/1, all running.
  func pipeline() throws {
    try make("vi/0", ["input": .text("pattern")])
    try make("vpss/0")
    try make("vpss/0/0", ["width": .integer(64), "height": .integer(48), "format": .text("i420")])
    try make("vpss/0/1", ["width": .integer(32), "height": .integer(32), "format": .text("i420")])
    try make("venc/0", ["codec": .text("h264"), "gop": .integer(10)])
    try make("venc/1", ["codec": .text("h264"), "gop": .integer(10)])
    bind("vpss/0", "vi/0")
    bind("venc/0", "vpss/0/0")
    bind("venc/1", "vpss/0/1")
    try start("venc/0", "venc/1", "vpss/0/0", "vpss/0/1", "vpss/0", "vi/0")
  }
}

extension NodeFigures {
  /// What every node must hold when nothing moves.
  func balances(waiting: Int) -> Bool { inFlight == waiting }
}

#if MPIFS_TRACED_LOCKS
  /// The one lock of the tests as well, where both are visible.
  typealias Mutex<Value: ~Copyable> = MediaRuntime.Mutex<Value>
#endif

extension GraphOptions {
  /// For tests in which nothing hangs but on purpose: who stops, shows or starts something waits until that has happened,
  /// however long the machine takes. What a test sets itself stays.
  var patient: GraphOptions {
    let usual = GraphOptions()
    var all = self
    if stopPatience == usual.stopPatience { all.stopPatience = .seconds(60) }
    if startPatience == usual.startPatience { all.startPatience = .seconds(60) }
    if drawingPatience == usual.drawingPatience { all.drawingPatience = .seconds(60) }
    if snapshotPatience == usual.snapshotPatience { all.snapshotPatience = .seconds(60) }
    return all
  }
}

extension MediaGraph {
  /// Nothing moves, and nothing will: no session is at work, nothing waits for one, and what was counted and noted stays as it is.
  /// For when the sources have ended or were stopped, or, with `besidesSources`, give nothing. A frame is counted where it leaves before it
  /// is counted where it comes, so that nothing in flight in two nodes does not say that nothing is between them; they
  /// are looked at in the frames' order, so that what one has given stands in the next one's queue by then.
  func isAtRest(besidesSources: Bool = false) -> Bool {
    all.allSatisfy { object in
      if besidesSources, object.isSource { return true }
      return object.node.input.waiting == 0 && object.session.isIdle
    }
  }

  /// By the text of a path, as tests write it.
  func objectState(_ path: String) -> ObjectState? { ObjectPath(path).flatMap { objectState($0) } }
  func effectRecords(of path: String) -> [EffectRecord] { objectState(path)?.effects ?? [] }
}
