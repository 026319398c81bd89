// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// What every channel has, whatever module it is of.
final class ChannelCore: Sendable {
  /// Who works for the channel.
  enum Host: Sendable {
    /// The CPU's workers, or a device's where its engine waits for one.
    case workers
    /// A thread of its own, which may wait for a device or a file as long as it likes.
    case ownThread
    /// Another channel's session does its work.
    case session(Session)
  }

  let node: Node
  let environment: Environment
  let session: Session
  let host: Host
  let workplace: Workplace
  let state = Published(RunState(.stopped))
  /// The next frame that passes goes to a request.
  let tap = FrameTap()
  let settings: Published<NumberedSettings>
  /// What runs have counted, one after the other.
  let counts = RunCounts()
  /// Draws regions into the pictures; `nil` where none can be attached.
  let painting: PaintStage?

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment, host: Host = .workers) {
    self.node = node
    self.environment = environment
    self.host = host
    self.settings = Published(NumberedSettings(settings, version: 0))
    let patience = environment.options.stopPatience
    switch host {
    case .workers: session = Session(node.path, service: environment.services.cpu, patience: patience)
    case .ownThread:
      let name = "\(node.path.kind)\(node.path.number)"
      session = Session(node.path, service: environment.services.ownThread(name), patience: patience)
    case .session(let other): session = other
    }
    workplace = Workplace(session, environment.services)
    let module = environment.table.module(node.path.type)
    painting =
      module?.takesRegions ?? false
      ? PaintStage(
        node, environment,
        copies: module?.givesFrames == nil ? 2 + environment.heldByDevices : environment.sourceBuffers + 1) : nil
    // What another channel's session does for it is that one's task already.
    if ownsSession { node.work.connect(session) }
  }

  /// The service of the channel's own thread, where it has one.
  var ownThread: Service? {
    if case .ownThread = host { return session.service }
    return nil
  }

  var ownsSession: Bool {
    if case .session = host { return false }
    return true
  }

  /// Has the session's tasks done where they wait for that device, or by the CPU's workers.
  func work(on device: String?) {
    if let obstacle = workplace.work(on: device) {
      environment.log(node.module, .warning, "\(node.path): \(obstacle)")
    }
  }
}

/// A channel of a module: one skeleton for all of them. It owns settings, state, session, start and stop; a module
/// writes what it opens, what one turn does, and what it has to tell.
///
/// A run begins with `open` and ends with `close`. What hangs at the end is given ``Session/patience`` and then left to
/// itself: the channel counts as stopped, cannot be started again before the worker has come back, and the worker closes
/// what it held. That is here and in ``Session``, once for all modules.
///
/// Ownership: what a run opens belongs to the session's worker; the control lane touches it only while the session is
/// halted, in `open` and `close`, as the session's affinity checks.
protocol Channel: ModuleObject, SessionWork {
  var core: ChannelCore { get }

  // MARK: what a module writes

  /// Settings have been taken over.
  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings)
  /// Opens what a run needs. On the object's control lane, with the session halted; may do I/O. What it leaves open when
  /// it throws `close` closes. Where another channel's session does the work that goes on meanwhile, and nothing is left open.
  /// - Returns: what was opened, for the log.
  func open(_ settings: ObjectSettings) throws(Failure) -> String
  /// The run begins right after this; its state is no longer the control lane's.
  func opened()
  /// Ends waits inside files and devices, for good: the run is about to be ended. From the control lane.
  func interrupt()
  /// Lets go of what the run holds. With the session halted and nobody in it; by the worker where it came back late.
  func close()
  /// The run has ended for all who look: what shows it or feeds it goes. On the control lane.
  /// - Parameter cameBack: false where the worker hangs, and `close` is called later.
  func ended(cameBack: Bool)
  /// The channel is removed for good.
  func removed()
  /// The graph is about to bind it to another source.
  func sourceChanges(from old: ObjectPath?, to new: ObjectPath?)

  // MARK: what it has to tell

  /// What does not come back when it hangs, for messages.
  var worker: String { get }
  /// Facts for `active`.
  func activeFacts() -> [KeyValue]
  /// What only this kind of channel counts: the one place where it is declared.
  func moreStatistics() -> [Statistic]
  /// What it waits for besides frames, for `health`.
  var waitingFor: String? { get }
  /// Its settings leave it to the channel which engine it takes, and one that is in work is there for the next frame.
  var hasOtherEngine: Bool { get }
  /// Frames come when the source has them (a camera, a writer), not when the channel takes them.
  var isLive: Bool { get }
  /// When the channel last lost the pace it keeps itself, CLOCK_MONOTONIC nanoseconds; 0 for never.
  var lostPaceAt: Int64 { get }
  /// Works on several frames at once: how long one is inside does not limit how many a second there are.
  var overlapsWork: Bool { get }
  /// The engine in use, for `health`.
  var engineName: String? { get }
  /// Bytes of pixels the CPU wrote that `node.work` does not count.
  var moreBytesCopied: UInt64 { get }
  /// The coded pictures it gives.
  var stream: PacketRing? { get }
  /// Where coded bytes are written to it.
  var intake: FeedQueue? { get }
  /// What became of changed settings.
  var effectRecords: [EffectRecord] { get }
  /// A reader of the lines it tells as things happen; `nil` where it has no file of this name.
  func openEvents(_ name: String) -> EventReader?
  /// What the vendor's encoder pages show of it.
  func encoderReport() -> EncoderReport?
  /// What it saw in the last picture.
  func detectionReport() -> DetectionReport?
}

extension Channel {
  var node: Node { core.node }
  var environment: Environment { core.environment }
  var session: Session { core.session }
  var state: Published<RunState> { core.state }
  var tap: FrameTap { core.tap }
  var settings: ObjectSettings { core.settings.value.settings }

  /// It takes no frames of others.
  var isSource: Bool { core.ownThread != nil }

  var path: ObjectPath { node.path }
  var generation: UInt64 { node.generation }
  var hasFailed: Bool {
    switch state.value.kind {
    case .failed, .ended: true
    default: false
    }
  }

  func awaits(_ what: String?, since: Int64) {
    node.awaited.store(what.map { Awaited(what: $0, since: since) })
  }
  var isAwaiting: Bool { node.awaited.value != nil }

  func log(
    _ level: LogLevel, _ text: @autoclosure () -> String, function: StaticString = #function, line: Int = #line
  ) {
    environment.log(node.module, level, text(), function: function, line: line)
  }

  // MARK: administration

  func commit(_ new: ObjectSettings, changed keys: Set<String>) {
    let old = core.settings.value
    core.settings.store(NumberedSettings(new, version: old.version + 1))
    changed(keys, from: old.settings, to: new)
  }

  func start() throws(Failure) {
    guard !state.value.isRunning else { return }
    guard !core.ownsSession || session.isIdle else {
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its \(worker) has not come back from the last frame")
    }
    // What is opened may have to say at once that it waits or fails.
    state.store(RunState(.starting))
    node.output.counters.restartRate()
    node.output.end(false)
    let summary: String
    do throws(Failure) {
      try core.ownThread?.addWorker()
      summary =
        try core.ownsSession
        ? session.visited { () throws(Failure) in try open(settings) } : try open(settings)
    } catch {
      if core.ownsSession { session.visited { close() } }
      leave(cameBack: true)
      throw error
    }
    state.update { $0.kind == .starting ? RunState(.running) : nil }
    opened()
    if core.ownsSession { session.resume() }
    node.input.accept(true)
    log(.information, "\(path) started\(summary.isEmpty ? "" : ": \(summary)")")
  }

  func stop() {
    guard state.value.isRunning else { return }
    node.input.accept(false)
    interrupt()
    environment.room.wake()
    let came: Bool
    if core.ownsSession {
      came = session.halt()
      if came { session.visited { cameBack() } }
    } else {
      came = session.between { cameBack() }
    }
    if !came {
      let failure = Failure(.timedOut, "disable", on: "\(path)", "its \(worker) does not come back")
      log(.error, "\(failure)")
      environment.listener?.failed(path, failure)
    }
    leave(cameBack: came)
    log(.information, "\(path) stopped")
  }

  private func leave(cameBack: Bool) {
    core.ownThread?.removeWorker()
    ended(cameBack: cameBack)
    core.painting?.close()
    core.counts.end()
    node.output.end(false)
    node.output.announce(nil)
    state.store(RunState(.stopped))
    environment.room.wake()
    Heap.trimSoon()
  }

  func cameBack() {
    node.input.flush(into: node.work)
    close()
    session.ended()
  }

  func retire() {
    node.input.watchUpstream(nil)
    node.input.bind(to: nil)
    for binding in node.output.removeAll() { binding.port.bind(to: nil) }
    removed()
    // One that hangs keeps its work until it comes back.
    if core.ownsSession { session.retire() }
    if let ownThread = core.ownThread { environment.services.close(ownThread: ownThread) }
    environment.slots.leave(node.user)
  }

  // MARK: what befalls a run

  /// It does not work now. Says so in `state`, the error log and the module log, once until it works again or fails
  /// otherwise.
  /// - Parameter isFault: false for what somebody did by hand, which the error log does not have.
  func fails(_ failure: Failure, _ level: LogLevel = .error, isFault: Bool = true) {
    let new = RunState.Kind.failed("\(failure)")
    guard state.value.kind != new, state.change(to: new) else { return }
    if isFault { environment.listener?.failed(path, failure) }
    log(level, "\(path): \(failure)")
  }

  /// Nothing more comes, which is no failure of anybody.
  func ends(_ why: String = "the input has ended") {
    guard state.value.kind != .ended, state.change(to: .ended) else { return }
    node.output.end(true)
    log(.information, "\(path): \(why)")
  }

  /// - Parameter text: for the log.
  func works(_ text: @autoclosure () -> String = "works again") {
    guard hasFailed, state.change(to: .running) else { return }
    node.output.end(false)
    log(.information, "\(path) \(text())")
  }

  /// The refusal of what only works while the object runs.
  func notRunning(_ key: String, _ errno: Errno = .resourceBusy) -> Refusal {
    Refusal(
      errno, path: "\(path)/\(key)", reason: "\(path) is not running", hint: "write 1 to \(path)/enable first")
  }
}

/// What most modules do not need.
extension Channel {
  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {}
  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings) {}
  func opened() {}
  func interrupt() {}
  func close() {}
  func ended(cameBack: Bool) {}
  func removed() {}
  func sourceChanges(from old: ObjectPath?, to new: ObjectPath?) {}
  func perform(_ command: String, argument: String) throws(Refusal) {
    throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command")
  }

  var worker: String { "worker" }
  func moreStatistics() -> [Statistic] { [] }
  var waitingFor: String? { nil }
  var hasOtherEngine: Bool { false }
  var isLive: Bool { false }
  var lostPaceAt: Int64 { 0 }
  var overlapsWork: Bool { false }
  var engineName: String? { nil }
  var moreBytesCopied: UInt64 { 0 }
  var stream: PacketRing? { nil }
  var intake: FeedQueue? { nil }
  var effectRecords: [EffectRecord] { [] }
  func openEvents(_ name: String) -> EventReader? { nil }
  func encoderReport() -> EncoderReport? { nil }
  func detectionReport() -> DetectionReport? { nil }
}
