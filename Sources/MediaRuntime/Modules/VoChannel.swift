// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A display channel: gives the newest frame to a screen, as it is where the device can reach and show it, else as a
/// picture made of it. For every channel: frames in = shown + dropped + in flight.
///
/// Ownership: way and what makes pictures belong to the session's worker; the control lane touches them only while the
/// session is halted, as the session's affinity checks. A frame that was given to the display is the display's, until it says what became of it.
final class VoChannel: GraphObject, SessionWork {
  /// Buffers of pictures that are made: one on the screen, one on its way there, one that waits, one being made.
  private static let buffers = 4

  let node: Node
  let state = Published(RunState(.stopped))
  /// A display that is to be closed once nothing is at it any more.
  private let closing = Mutex<(any Display)?>(nil)
  let tap = FrameTap()
  var session: Session? { work }

  private let environment: Environment
  private let work: Session
  private let workplace: Workplace
  private let settings: Published<NumberedSettings>
  private let inUse = Published<(any Display)?>(nil)
  private let shownMaking = Published<MakingText?>(nil)
  private let lastLatency = Atomic<Int64>(-1)
  private let counts = RunCounts()

  private struct Worker {
    var way: (any DisplayWay)?
    var making: Making?
    var layout: FrameLayout?
    var isShared = false
    var retryAt: Int64 = 0
    /// What frames are counted as until then.
    var refusal = DropCause.deviceError
  }
  private let worker: Confined<Worker>

  /// What makes pictures the display takes.
  private struct Making {
    let picture: DisplayPicture
    let scaler: any Scaler
    let pool: Pool
  }

  private struct MakingText: Sendable {
    let engine: String
    let memory: String
    let from: FrameLayout
  }

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    self.node = node
    self.environment = environment
    self.settings = Published(NumberedSettings(settings, version: 0))
    self.work = Session(node.path, service: environment.services.cpu)
    self.worker = Confined(Worker(), to: work.affinity)
    self.workplace = Workplace(work, environment.services)
    node.input.connect(work)
    work.attach(self)
  }

  private var current: ObjectSettings { settings.value.settings }
  private var display: (any Display)? { inUse.value }

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
    let old = settings.value
    settings.store(NumberedSettings(new, version: old.version + 1))
    if changed.contains("rect") { display?.place(new.rectangle("rect")) }
  }

  func start() throws(Failure) {
    guard !state.value.isRunning else { return }
    guard work.isIdle else {
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its last frame is still being worked on")
    }
    guard let factory = environment.engines.display else {
      throw Failure(.notSupported, "enable", on: "\(path)", "this build has no display")
    }
    work.affinity.within { clear() }
    let settings = current
    let configuration = DisplayConfiguration(
      device: settings.text("device") ?? "auto", connector: settings.text("connector") ?? "auto",
      mode: settings.text("mode").flatMap { DisplayMode($0) } ?? .preferred, rectangle: settings.rectangle("rect"),
      name: "\(path)")
    // The display may say at once that it waits for its monitor.
    state.store(RunState(.running))
    let display: any Display
    do throws(Failure) {
      display = try factory.open(configuration, listener: self)
    } catch {
      state.store(RunState(.stopped))
      throw error
    }
    inUse.store(display)
    counts.begin { VoChannel.statistics(display.counters) }
    work.resume()
    node.input.accept(true)
    let status = display.status
    environment.log(
      .videoOutput, .information,
      "\(path) started: \(status.device) (\(status.driver)) \(status.connector) \(status.mode)")
  }

  func stop() {
    guard state.value.isRunning else { return }
    node.input.accept(false)
    closing.withLock { $0 = display }
    // A worker that hangs in the device may hold what closing needs: it closes itself when it comes back.
    if work.halt() { work.affinity.within { cameBack() } }
    counts.end()
    inUse.store(nil)
    state.store(RunState(.stopped))
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
    worker.value.way = nil
    worker.value.layout = nil
    worker.value.retryAt = 0
    dropMaking()
  }

  private func dropMaking() {
    guard let old = worker.value.making else { return }
    worker.value.making = nil
    workplace.work(on: nil)
    shownMaking.store(nil)
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
        node.work.drop(.late, frame.name, at: .queue)
        frame = newer
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
      node.work.drop(.disabled, frame.name)
      return nil
    }
    guard let way = valid(display, frame, now) else { return nil }
    guard let making = worker.value.making, way.picture != nil else {
      display.show(frame, by: way)
      return 0
    }
    guard let buffer = making.pool.take(as: node.user) else {
      node.work.drop(.noBuffer, frame.name)
      return nil
    }
    let name = frame.name
    var picture = Frame(
      buffer, layout: making.picture.layout, pts: frame.pts, sequence: frame.sequence, stamps: frame.stamps)
    do throws(Failure) {
      let copied = try making.scaler.scale(frame, crop: nil, transform: PictureTransform(), to: &picture)
      _ = consume frame
      display.show(picture, by: way)
      return copied
    } catch {
      worker.value.way = nil
      worker.value.retryAt = now + .milliseconds(200)
      changed(.failed(error))
      node.work.drop(.deviceError, name)
      return nil
    }
  }

  /// The way for this frame, found anew where needed; `nil` when there is none, and the frame is counted as dropped.
  private func valid(_ display: any Display, _ frame: borrowing Frame, _ now: Int64) -> (any DisplayWay)? {
    let shared = frame.buffer.memory.isDMABuf
    if let way = worker.value.way, way.generation == display.generation, worker.value.layout == frame.layout,
      worker.value.isShared == shared,
      !frame.stamps.startsAnew
    {
      return way
    }
    guard now >= worker.value.retryAt else {
      node.work.drop(worker.value.refusal, frame.name)
      return nil
    }
    do throws(Failure) {
      let found = try display.way(for: frame)
      try prepare(found.picture, from: frame.layout)
      worker.value.way = found
      worker.value.layout = frame.layout
      worker.value.isShared = shared
      return found
    } catch {
      // The display says so itself where somebody let it go.
      let refusal: DropCause = error.errno == .canceled ? .disabled : .deviceError
      worker.value.way = nil
      worker.value.retryAt = now + .milliseconds(200)
      worker.value.refusal = refusal
      if refusal == .deviceError { changed(.failed(error)) }
      node.work.drop(refusal, frame.name)
      return nil
    }
  }

  private func prepare(_ picture: DisplayPicture?, from layout: FrameLayout) throws(Failure) {
    guard let picture else {
      dropMaking()
      return
    }
    // What was made last, if its pictures are of this kind.
    let fitting = worker.value.making.flatMap {
      $0.picture.layout == picture.layout && $0.picture.bufferSize == picture.bufferSize ? $0 : nil
    }
    if fitting != nil, worker.value.layout == layout { return }
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
    worker.value.making = Making(picture: picture, scaler: scaler, pool: pool)
    if let obstacle = workplace.work(on: factory.device) {
      environment.log(.videoOutput, .warning, "\(path): \(obstacle)")
    }
    shownMaking.store(
      MakingText(engine: scaler.engine, memory: pool.memoryKind, from: layout))
  }

  // MARK: reports

  func activeFacts() -> [KeyValue] {
    guard let status = display?.status else { return [] }
    let making = shownMaking.value
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

  func moreStatistics() -> [Statistic] {
    var all = counts.statistics
    let latency = lastLatency.load(ordering: .relaxed)
    if latency >= 0 {
      all.append(
        Statistic(
          "capture_to_screen_us", .gauge, unit: .microseconds, "From exposure to the screen, of the last picture.",
          latency / 1000))
    }
    return all
  }

  private static func statistics(_ counters: DisplayCounters) -> [Statistic] {
    [
      Statistic("flips", .counter, "Pictures that came onto the screen.", counters.flips),
      Statistic(
        "repeated_vblanks", .counter, "Times the screen was drawn again with the picture it had.",
        counters.repeatedVblanks),
      Statistic(
        "missed_vblanks", .counter, "Repeated vblanks at which the next picture was due.", counters.missedVblanks),
      Statistic("mode_sets", .counter, "Times the mode was set.", counters.modeSets),
      Statistic("outages", .counter, "Times the screen went away.", counters.outages),
      Statistic("timeouts", .counter, "Pictures the device did not confirm within 500 ms.", counters.timeouts),
      Statistic("imports", .counter, "Buffers made known to the device.", counters.imports),
    ]
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
    case .superseded: node.work.drop(.late, .unknown, at: .output)
    case .failed, .timedOut: node.work.drop(.deviceError, .unknown, at: .output)
    case .released: node.work.drop(.disabled, .unknown, at: .output)
    case .flushed: node.work.drop(.flushed, .unknown, at: .output)
    }
  }

  func changed(_ condition: DisplayCondition) {
    let old = state.value.kind
    guard old != .stopped else { return }
    switch condition {
    case .works:
      guard old != .running else { return }
      state.store(RunState(.running))
      environment.log(.videoOutput, .information, "\(path) works again")
    case .failed(let failure):
      guard old != .failed("\(failure)") else { return }
      state.store(RunState(.failed("\(failure)")))
      // What somebody did by hand is no failure to be recorded.
      if failure.errno != .canceled { environment.listener?.failed(path, failure) }
      environment.log(.videoOutput, .warning, "\(path): \(failure)")
    }
  }

  func noted(_ text: String) { environment.log(.videoOutput, .information, "\(path): \(text)") }
}
