// SPDX-License-Identifier: Apache-2.0
import Atomics
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A display channel: gives the newest frame to a screen, as it is where the device can reach and show it, else as a
/// picture made of it. For every channel: frames in = shown + dropped + in flight.
///
/// Ownership: `way` and `making` belong to the session's worker; the control lane touches them only while the session
/// is halted. A frame that was given to the display is the display's, until it says what became of it.
final class VoChannel: GraphObject, SessionWork {
  /// Buffers of pictures that are made: one on the screen, one on its way there, one that waits, one being made.
  private static let buffers = 4

  let node: Node
  let state = ManagedAtomic(RunState(.stopped))
  /// A display that is to be closed once nothing is at it any more.
  private let closing = Mutex<(any Display)?>(nil)
  let tap = FrameTap()
  var session: Session? { work }

  private let environment: Environment
  private let work: Session
  private let workplace: Workplace
  private let settings: ManagedAtomic<SettingsBox>
  private let inUse = ManagedAtomic<InUse?>(nil)
  private let shownMaking = ManagedAtomic<MakingText?>(nil)
  private let lastLatency = Atomic<Int64>(-1)

  // Of the worker.
  private nonisolated(unsafe) var way: (any DisplayWay)?
  private nonisolated(unsafe) var making: Making?
  private nonisolated(unsafe) var layout: FrameLayout?
  private nonisolated(unsafe) var isShared = false
  private nonisolated(unsafe) var retryAt: Int64 = 0
  /// What frames are counted as until then.
  private nonisolated(unsafe) var refusal = DropCause.deviceError

  private final class InUse: AtomicReference, Sendable {
    let display: any Display
    init(_ display: any Display) { self.display = display }
  }

  /// What makes pictures the display takes.
  private struct Making {
    let picture: DisplayPicture
    let scaler: any Scaler
    let pool: Pool
  }

  private final class MakingText: AtomicReference, Sendable {
    let engine: String
    let memory: String
    let from: FrameLayout
    init(engine: String, memory: String, from: FrameLayout) {
      self.engine = engine
      self.memory = memory
      self.from = from
    }
  }

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    self.node = node
    self.environment = environment
    self.settings = ManagedAtomic(SettingsBox(settings, version: 0))
    self.work = Session(node.path, service: environment.services.cpu)
    self.workplace = Workplace(work, environment.services)
    node.input.connect(work)
    work.attach(self)
  }

  private var current: ObjectSettings { settings.load(ordering: .acquiring).settings }
  private var display: (any Display)? { inUse.load(ordering: .acquiring)?.display }

  // MARK: administration

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    guard running, changed.contains("rect"), let part = new.rectangle("rect"), let status = display?.status,
      status.width > 0, part.x + part.width > status.width || part.y + part.height > status.height
    else { return }
    throw Refusal(
      .outOfRange, path: "\(path)/rect", reason: "outside the screen of \(status.width)x\(status.height)",
      hint: "a rectangle inside it, or an empty line")
  }

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    let old = settings.load(ordering: .acquiring)
    settings.store(SettingsBox(new, version: old.version + 1), ordering: .releasing)
    if changed.contains("rect") { display?.place(new.rectangle("rect")) }
  }

  func start() throws(Failure) {
    guard !state.load(ordering: .acquiring).isRunning else { return }
    guard work.isIdle else {
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its last frame is still being worked on")
    }
    guard let factory = environment.engines.display else {
      throw Failure(.notSupported, "enable", on: "\(path)", "this build has no display")
    }
    clear()
    let settings = current
    let configuration = DisplayConfiguration(
      device: settings.text("device") ?? "auto", connector: settings.text("connector") ?? "auto",
      mode: settings.text("mode").flatMap { DisplayMode($0) } ?? .preferred, rectangle: settings.rectangle("rect"),
      name: "\(path)")
    // The display may say at once that it waits for its monitor.
    state.store(RunState(.running), ordering: .releasing)
    let display: any Display
    do throws(Failure) {
      display = try factory.open(configuration, listener: self)
    } catch {
      state.store(RunState(.stopped), ordering: .releasing)
      throw error
    }
    inUse.store(InUse(display), ordering: .releasing)
    work.resume()
    node.input.accept(true)
    let status = display.status
    environment.log(
      .videoOutput, .information,
      "\(path) started: \(status.device) (\(status.driver)) \(status.connector) \(status.mode)")
  }

  func stop() {
    guard state.load(ordering: .acquiring).isRunning else { return }
    node.input.accept(false)
    closing.withLock { $0 = display }
    // A worker that hangs in the device may hold what closing needs: it closes itself when it comes back.
    if work.halt() { cameBack() }
    inUse.store(nil, ordering: .releasing)
    state.store(RunState(.stopped), ordering: .releasing)
    environment.room.wake()
    environment.log(.videoOutput, .information, "\(path) stopped")
  }

  func cameBack() {
    let display = closing.withLock { $0.take() }
    display?.close()
    clear()
  }

  /// Only while the session is halted and idle.
  private func clear() {
    node.input.flush(into: node.work)
    way = nil
    layout = nil
    retryAt = 0
    dropMaking()
  }

  private func dropMaking() {
    guard let old = making else { return }
    making = nil
    workplace.work(on: nil)
    shownMaking.store(nil, ordering: .releasing)
    old.pool.close()
    environment.pools.giveUp(old.pool)
  }

  func touchesDevice(_ command: String) -> Bool { true }

  func perform(_ command: String, argument: String) throws(Refusal) {
    guard let display else { throw notRunning(command) }
    do throws(Failure) {
      switch command {
      case "release": try display.release()
      case "acquire": try display.acquire()
      default:
        throw Failure(.noSuchFileOrDirectory, command, on: "\(path)", "no such command")
      }
    } catch {
      throw Refusal(error, path: "\(path)/\(command)")
    }
    environment.log(.videoOutput, .information, "\(path): \(command)")
  }

  func retire() {
    node.input.bind(to: nil)
    work.retire()
    environment.slots.leave(node.user)
  }

  // MARK: the worker

  func perform() -> Bool {
    guard var frame = node.input.queue.pop() else { return false }
    environment.room.made(in: node.input)
    if !environment.room.isLossless {
      // The newest wins; what is late would only make the next one late.
      while let newer = node.input.queue.pop() {
        frame = newer
        node.work.drop(.late)
      }
    }
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    work.began(at: start)
    frame.stamps.started = start
    let copied = give(frame, start)
    let end = Clock.now()
    work.ended()
    node.work.record(copied == nil ? .failed : .done, wait: wait, run: end - start, copied: copied ?? 0, end: end)
    return true
  }

  /// - Returns: bytes of pixels the CPU wrote; `nil` when the frame was dropped.
  private func give(_ frame: consuming Frame, _ now: Int64) -> Int? {
    guard let display else {
      node.work.drop(.disabled)
      return nil
    }
    guard let way = valid(display, frame, now) else { return nil }
    guard let making, way.picture != nil else {
      display.show(frame, by: way)
      return 0
    }
    guard let buffer = making.pool.take(as: node.user) else {
      node.work.drop(.noBuffer)
      return nil
    }
    var picture = Frame(
      buffer, layout: making.picture.layout, pts: frame.pts, sequence: frame.sequence, stamps: frame.stamps)
    do throws(Failure) {
      let copied = try making.scaler.scale(frame, crop: nil, transform: PictureTransform(), to: &picture)
      _ = consume frame
      display.show(picture, by: way)
      return copied
    } catch {
      self.way = nil
      retryAt = now + 200_000_000
      changed(.failed(error))
      node.work.drop(.deviceError)
      return nil
    }
  }

  /// The way for this frame, found anew where needed; `nil` when there is none, and the frame is counted as dropped.
  private func valid(_ display: any Display, _ frame: borrowing Frame, _ now: Int64) -> (any DisplayWay)? {
    let shared = frame.buffer.memory.isDMABuf
    if let way, way.generation == display.generation, layout == frame.layout, isShared == shared,
      !frame.stamps.startsAnew
    {
      return way
    }
    guard now >= retryAt else {
      node.work.drop(refusal)
      return nil
    }
    do throws(Failure) {
      let found = try display.way(for: frame)
      try prepare(found.picture, from: frame.layout)
      (way, layout, isShared) = (found, frame.layout, shared)
      return found
    } catch {
      way = nil
      retryAt = now + 200_000_000
      // The display says so itself where somebody let it go.
      refusal = error.errno == .canceled ? .disabled : .deviceError
      if refusal == .deviceError { changed(.failed(error)) }
      node.work.drop(refusal)
      return nil
    }
  }

  private func prepare(_ picture: DisplayPicture?, from layout: FrameLayout) throws(Failure) {
    guard let picture else {
      dropMaking()
      return
    }
    // What was made last, if its pictures are of this kind.
    let fitting = making.flatMap {
      $0.picture.layout == picture.layout && $0.picture.bufferSize == picture.bufferSize ? $0 : nil
    }
    if fitting != nil, self.layout == layout { return }
    let transform = PictureTransform()
    // Pictures inside a larger one are the CPU's work: a device writes whole buffers.
    let isPart = picture.layout.byteCount < picture.bufferSize || picture.layout.plane0.offset != 0
    guard
      let factory = environment.engines.scalers(backend: isPart ? "software" : "auto").first(where: {
        $0.supports(layout, crop: nil, transform: transform, to: picture.layout)
      })
    else {
      throw Failure(
        .notSupported, "convert", on: "\(path)",
        "no scaler here makes \(picture.layout.format) of \(layout.format)")
    }
    let scaler = try factory.open(layout, crop: nil, transform: transform, to: picture.layout)
    let pool: Pool
    if let fitting {
      pool = fitting.pool
    } else {
      dropMaking()
      pool = try Pool(
        name: "vo\(path.number)", size: picture.bufferSize, count: VoChannel.buffers, allocator: picture.allocator)
      environment.pools.add(pool, user: node.user, isLent: true)
    }
    making = Making(picture: picture, scaler: scaler, pool: pool)
    if let obstacle = workplace.work(on: factory.device) {
      environment.log(.videoOutput, .warning, "\(path): \(obstacle)")
    }
    shownMaking.store(
      MakingText(engine: scaler.engine, memory: pool.memoryKind, from: layout), ordering: .releasing)
  }

  // MARK: reports

  func activeFacts() -> [KeyValue] {
    guard let status = display?.status else { return [] }
    let making = shownMaking.load(ordering: .acquiring)
    let source = node.input.upstream?.format
    let asked = current
    var facts = [
      KeyValue(key: "backend", value: status.device), KeyValue(key: "engine", value: status.driver),
      KeyValue(key: "connector", value: status.connector), KeyValue(key: "monitor", value: status.monitor ?? ""),
      KeyValue(key: "mode", value: status.mode.isEmpty ? "off" : status.mode),
      KeyValue(key: "master", value: status.isMaster ? "yes" : "no"),
      KeyValue(key: "plane", value: status.plane),
      KeyValue(
        key: "rect", value: status.rectangle.map { "\($0.x),\($0.y),\($0.width),\($0.height)" } ?? ""),
      KeyValue(key: "width", value: source.map { "\($0.layout.width)" } ?? ""),
      KeyValue(key: "height", value: source.map { "\($0.layout.height)" } ?? ""),
      KeyValue(key: "format", value: source.map { "\($0.layout.format)" } ?? ""),
      KeyValue(key: "fps", value: source.map { "\($0.rate)" } ?? ""),
      KeyValue(key: "way", value: making.map { "\(status.way) by \($0.engine)" } ?? status.way),
      KeyValue(key: "way_why", value: status.reason),
      KeyValue(key: "memory", value: status.way.isEmpty ? "" : making?.memory ?? "the source's"),
    ]
    if asked.text("device") == "auto" {
      facts.append(KeyValue(key: "backend_why", value: "auto: the first card with a monitor"))
    }
    return facts.filter { !$0.value.isEmpty }
  }

  func moreStatistics() -> [KeyValue] {
    guard let counters = display?.counters else { return [] }
    var facts = [
      KeyValue(key: "flips", value: "\(counters.flips)"),
      KeyValue(key: "repeated_vblanks", value: "\(counters.repeatedVblanks)"),
      KeyValue(key: "missed_vblanks", value: "\(counters.missedVblanks)"),
      KeyValue(key: "mode_sets", value: "\(counters.modeSets)"),
      KeyValue(key: "outages", value: "\(counters.outages)"),
      KeyValue(key: "timeouts", value: "\(counters.timeouts)"),
      KeyValue(key: "imports", value: "\(counters.imports)"),
    ]
    let latency = lastLatency.load(ordering: .relaxed)
    if latency >= 0 { facts.append(KeyValue(key: "capture_to_screen_us", value: "\(latency / 1000)")) }
    return facts
  }

  var waitingFor: String? {
    guard let status = display?.status else { return nil }
    return "\(status.device) \(status.connector)"
  }
}

extension VoChannel: DisplayListener {
  func shown(_ frame: borrowing Frame, at time: Int64) {
    node.output.counters.countAlone(at: Clock.now())
    if frame.stamps.captured > 0 { lastLatency.store(max(0, time - frame.stamps.captured), ordering: .relaxed) }
    tap.pass(frame)
    if hasFailed { changed(.works) }
  }

  func dropped(_ cause: DisplayDrop) {
    switch cause {
    case .superseded: node.work.drop(.late)
    case .failed, .timedOut: node.work.drop(.deviceError)
    case .released: node.work.drop(.disabled)
    case .flushed: node.work.drop(.flushed)
    }
  }

  func changed(_ condition: DisplayCondition) {
    let old = state.load(ordering: .acquiring).kind
    guard old != .stopped else { return }
    switch condition {
    case .works:
      guard old != .running else { return }
      state.store(RunState(.running), ordering: .releasing)
      environment.log(.videoOutput, .information, "\(path) works again")
    case .failed(let failure):
      guard old != .failed("\(failure)") else { return }
      state.store(RunState(.failed("\(failure)")), ordering: .releasing)
      // What somebody did by hand is no failure to be recorded.
      if failure.errno != .canceled { environment.listener?.failed(path, failure) }
      environment.log(.videoOutput, .warning, "\(path): \(failure)")
    }
  }

  func noted(_ text: String) { environment.log(.videoOutput, .information, "\(path): \(text)") }
}
