// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import MediaRuntime
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// A door a test keeps shut: whoever passes waits until it is opened.
final class Gate: Sendable {
  private let opened = DispatchSemaphore(value: 0)
  private let reached = DispatchSemaphore(value: 0)
  private let visitors = Atomic<Int>(0)
  func pass() {
    visitors.add(1, ordering: .acquiringAndReleasing)
    reached.signal()
    opened.wait()
  }
  func open() { opened.signal() }
  /// Somebody has come to the door.
  var hasVisitor: Bool { visitors.load(ordering: .acquiring) > 0 }
  /// Waits until somebody stands at the door.
  func waitForVisitor() -> Bool { reached.wait(timeout: .now() + patience) == .success }
}

/// An answer that comes once, maybe later.
final class Answer: Sendable {
  private let value = Mutex<[Refusal?]>([])
  private let arrived = DispatchSemaphore(value: 0)
  var reply: @Sendable (Refusal?) -> Void {
    { refusal in
      self.value.withLock { $0.append(refusal) }
      self.arrived.signal()
    }
  }
  /// How often it was answered so far.
  var count: Int { value.withLock { $0.count } }
  /// The refusal, or `nil` for success. Fails the test when no answer comes.
  func wait(_ location: SourceLocation = #_sourceLocation) -> Refusal? {
    guard arrived.wait(timeout: .now() + patience) == .success else {
      Issue.record("no answer", sourceLocation: location)
      return nil
    }
    return value.withLock { $0.last ?? nil }
  }
}

/// What the fakes did, in order.
final class Journal: Sendable {
  private let lines = Mutex<[String]>([])
  func add(_ line: String) { lines.withLock { $0.append(line) } }
  func take() -> [String] {
    lines.withLock { taken in
      defer { taken = [] }
      return taken
    }
  }
}

final class FakeObject: ModuleObject {
  struct State {
    var settings: ObjectSettings
    var isRunning = false
    var isRetired = false
    var hasFailed = false
    var commits = 0
    var awaited: String?
  }
  let path: ObjectPath
  let generation: UInt64
  let factory: FakeFactory
  let state: Mutex<State>

  init(_ path: ObjectPath, _ generation: UInt64, _ settings: ObjectSettings, _ factory: FakeFactory) {
    self.path = path
    self.generation = generation
    self.factory = factory
    self.state = Mutex(State(settings: settings))
  }

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    if let refusal = factory.checks.withLock({ $0[path] }) { throw refusal }
  }

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    state.withLock {
      $0.settings = new
      $0.commits += 1
    }
    factory.journal.add("commit \(path) \(changed.sorted().joined(separator: ","))")
  }

  var hasFailed: Bool { state.withLock { $0.hasFailed } }

  func cancelStart() { factory.cancelled.withLock { $0[path] }?.open() }
  func awaits(_ what: String?, since: Int64) { state.withLock { $0.awaited = what } }
  var isAwaiting: Bool { state.withLock { $0.awaited != nil } }

  func start() throws(Failure) {
    let input = state.withLock { $0.settings.text("input") }.flatMap { InputSpecification($0) }
    if let input, let check = factory.inputGuard.withLock({ $0 }) { try check(input) }
    if let gate = factory.gates.withLock({ $0[path] }) { gate.pass() }
    if let failure = factory.failures.withLock({ $0[path] }) {
      factory.journal.add("refuse \(path)")
      throw failure
    }
    state.withLock {
      $0.isRunning = true
      $0.hasFailed = false
    }
    factory.journal.add("start \(path)")
  }

  func stop() {
    if let gate = factory.stopGates.withLock({ $0[path] }) { gate.pass() }
    state.withLock { $0.isRunning = false }
    factory.journal.add("stop \(path)")
  }

  func perform(_ command: String, argument: String) throws(Refusal) {
    if let refusal = factory.checks.withLock({ $0[path] }) { throw refusal }
    factory.journal.add("\(command) \(path)")
  }

  func retire() {
    state.withLock { $0.isRetired = true }
    factory.live.withLock { $0 = $0.filter { $0 !== self } }
    factory.journal.add("retire \(path)")
  }
}

final class FakeFactory: ModuleFactory {
  let journal = Journal()
  /// Objects that were made and not retired.
  let live = Mutex<[FakeObject]>([])
  let bindings = Mutex<[ObjectPath: ObjectPath]>([:])
  let gates = Mutex<[ObjectPath: Gate]>([:])
  let stopGates = Mutex<[ObjectPath: Gate]>([:])
  /// Opened when a start is given up.
  let cancelled = Mutex<[ObjectPath: Gate]>([:])
  let inputGuard = Mutex<(@Sendable (InputSpecification) throws(Failure) -> Void)?>(nil)
  let failures = Mutex<[ObjectPath: Failure]>([:])
  let checks = Mutex<[ObjectPath: Refusal]>([:])
  private let nextGeneration = Mutex<UInt64>(1)

  func make(_ path: ObjectPath, settings: ObjectSettings) throws(Refusal) -> any ModuleObject {
    guard path.number < 60 else { throw Refusal(.noSpace, path: path.description, reason: "no more channels") }
    let generation = nextGeneration.withLock { next in
      defer { next += 1 }
      return next
    }
    let object = FakeObject(path, generation, settings, self)
    live.withLock { $0.append(object) }
    return object
  }

  func checkBinding(receiver: ObjectPath, source: ObjectPath?) throws(Refusal) {}

  func starting(_ isOn: Bool) {}

  func guardInputs(_ check: @escaping @Sendable (InputSpecification) throws(Failure) -> Void) {
    inputGuard.withLock { $0 = check }
  }

  func bind(receiver: ObjectPath, source: ObjectPath?) {
    bindings.withLock { $0[receiver] = source }
    journal.add("bind \(receiver) \(source?.description ?? "-")")
  }

  func object(_ path: ObjectPath) -> FakeObject? { live.withLock { $0.last { $0.path == path } } }
}

struct FakeEncoder: EncoderFactory {
  var name: String
  var codecs: [Codec]
  var isHardware: Bool { false }
  var priority: Int { 0 }
  func capabilities(for codec: Codec) -> EncoderCapabilities { [] }
  func settings(for codec: Codec) -> EngineSettings {
    [EngineSetting(.gop, live: true), EngineSetting(.bitrate, live: true)]
  }
  func profiles(for codec: Codec) -> [String] { codec == .h264 ? ["baseline", "main"] : [] }
  func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    throw Failure(.notSupported, "open", on: name)
  }
}

struct FakeSource: SourceFactory {
  func handles(_ input: InputSpecification) -> Bool {
    if case .device = input { return false }
    return true
  }
  func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    throw Failure(.notSupported, "open", on: input.description)
  }
}

extension Runtime.Options {
  /// For a machine that has much to do: nobody is told ETIMEDOUT for that.
  static var patient: Self { Self(patience: 60_000_000_000) }
}

/// A runtime over fakes.
struct FakeRuntime {
  let factory = FakeFactory()
  let runtime: Runtime

  init(mountPoint: String? = nil) throws {
    let registry = EngineRegistry(
      EngineCatalogue(
        encoders: [FakeEncoder(name: "openh264", codecs: [.h264]), FakeEncoder(name: "turbojpeg", codecs: [.mjpeg])],
        sources: [FakeSource()]))
    runtime = try Runtime(
      registry: registry, factory: factory, errorLog: ErrorLog(), moduleLog: ModuleLog(),
      options: .init(mountPoint: mountPoint, patience: Runtime.Options.patient.patience))
  }

  func apply(_ changes: Change..., location: SourceLocation = #_sourceLocation) -> Refusal? {
    let answer = Answer()
    runtime.apply(changes, reply: answer.reply)
    return answer.wait(location)
  }

  func load(_ text: String, waits: Bool = false, location: SourceLocation = #_sourceLocation) -> Refusal? {
    let answer = Answer()
    runtime.loadConfig(Array(text.utf8), waits: waits, reply: answer.reply)
    return answer.wait(location)
  }

  var config: String { String(decoding: runtime.configText(), as: UTF8.self) }

  /// Everything a refused change must leave as it was.
  var picture: String {
    let objects = factory.live.withLock { $0 }.map { object in
      object.state.withLock {
        "\(object.path) \(object.generation) \($0.isRunning) \($0.settings.values.sorted { $0.key < $1.key })"
      }
    }
    let bindings = factory.bindings.withLock { $0.map { "\($0.key)<-\($0.value)" }.sorted() }
    return config + objects.sorted().joined(separator: "\n") + bindings.joined(separator: "\n")
  }
}

/// An object by its name.
func p(_ text: String) -> ObjectPath { ObjectPath(text)! }
