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
final class VoChannel: Channel {
  /// Buffers of pictures that are made: one on the screen, one on its way there, one that waits, one being made.
  private static let buffers = 4

  static let module = ModuleClass(
    type: ObjectType("vo"), stage: 6, takesFrames: true, hasQueue: true, rows: VoSettings.rows
  ) { node, settings, environment, _ in VoChannel(node, settings, environment) }

  let core: ChannelCore
  private let inUse = Published<(any Display)?>(nil)
  private let shownConverter = Published<Converter?>(nil)
  private let lastLatency = Atomic<Int64>(-1)

  private struct Held {
    var display: (any Display)?
    var way: (any DisplayWay)?
    /// Makes pictures the display takes.
    var converter: Converter?
    var layout: FrameLayout?
    var isShared = false
    /// The engines that were chosen from.
    var engines = 0
    var retryAt: Int64 = 0
    /// What frames are counted as until then.
    var refusal = DropCause.deviceError
  }
  private let held: Confined<Held>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment)
    held = Confined(Held(), to: core.session.affinity)
    node.input.connect(session)
    session.attach(self)
  }

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

  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings) {
    if keys.contains("rect") { display?.place(new.rectangle("rect")) }
  }

  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    guard let factory = environment.engines.display else {
      throw Failure(.notSupported, "enable", on: "\(path)", "this build has no display")
    }
    let configuration = DisplayConfiguration(
      device: settings.text("device") ?? "auto", connector: settings.text("connector") ?? "auto",
      mode: settings.text("mode").flatMap { DisplayMode($0) } ?? .preferred, rectangle: settings.rectangle("rect"),
      name: "\(path)")
    let display = try factory.open(configuration, listener: self)
    held.value.display = display
    inUse.store(display)
    core.counts.begin { VoChannel.statistics(display.counters) }
    let status = display.status
    return "\(status.device) (\(status.driver)) \(status.connector) \(status.mode)"
  }

  func close() {
    held.value.display?.close()
    held.value.display = nil
    held.value.way = nil
    held.value.layout = nil
    held.value.retryAt = 0
    dropConverter()
  }

  func ended(cameBack: Bool) { inUse.store(nil) }

  private func dropConverter() {
    guard let old = held.value.converter else { return }
    held.value.converter = nil
    core.work(on: nil)
    shownConverter.store(nil)
    old.close()
  }

  var worker: String { "display" }

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
    log(.information, "\(path): \(command)")
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
    session.began(at: start)
    frame.stamps.started = start
    let copied = give(frame, start)
    let end = Clock.now()
    session.ended()
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
    guard let converter = held.value.converter, way.picture != nil else {
      display.show(frame, by: way)
      return 0
    }
    let name = frame.name
    var copied = 0
    do throws(Failure) {
      guard let picture = try converter.picture(of: frame, as: node.user, copied: &copied) else {
        node.work.drop(.noBuffer, name)
        return nil
      }
      _ = consume frame
      display.show(picture, by: way)
      return copied
    } catch {
      held.value.way = nil
      held.value.retryAt = now + .milliseconds(200)
      fails(error, .warning)
      node.work.drop(.deviceError, name)
      return nil
    }
  }

  /// The way for this frame, found anew where needed; `nil` when there is none, and the frame is counted as dropped.
  private func valid(_ display: any Display, _ frame: borrowing Frame, _ now: Int64) -> (any DisplayWay)? {
    let shared = frame.buffer.memory.isDMABuf
    if let way = held.value.way, way.generation == display.generation, held.value.layout == frame.layout,
      held.value.isShared == shared,
      !frame.stamps.startsAnew, held.value.engines == environment.enginesVersion
    {
      return way
    }
    guard now >= held.value.retryAt else {
      node.work.drop(held.value.refusal, frame.name)
      return nil
    }
    let engines = environment.enginesVersion
    do throws(Failure) {
      let found = try display.way(for: frame)
      try prepare(found.picture, from: frame.layout)
      held.value.way = found
      held.value.layout = frame.layout
      held.value.isShared = shared
      held.value.engines = engines
      return found
    } catch {
      // The display says so itself where somebody let it go.
      let refusal: DropCause = error.errno == .canceled ? .disabled : .deviceError
      held.value.way = nil
      held.value.retryAt = now + .milliseconds(200)
      held.value.refusal = refusal
      if refusal == .deviceError { fails(error, .warning) }
      node.work.drop(refusal, frame.name)
      return nil
    }
  }

  private func prepare(_ picture: DisplayPicture?, from layout: FrameLayout) throws(Failure) {
    guard let picture else {
      dropConverter()
      return
    }
    // Pictures inside a larger one are the CPU's work: a device writes whole buffers.
    let isPart = picture.layout.byteCount < picture.bufferSize || picture.layout.plane0.offset != 0
    let able = environment.scalers(isPart ? "software" : "auto", layout, to: picture.layout, for: node)
    let old = held.value.converter
    if let old, old.layout == picture.layout, old.pool.bufferSize == picture.bufferSize, old.input == layout,
      old.preferred == able.first?.name
    {
      return
    }
    let new = try Converter.scaling(
      layout, to: picture.layout, by: able,
      in: Converter.Place(
        name: "vo\(path.number)", node: node, count: VoChannel.buffers, bufferSize: picture.bufferSize,
        allocator: picture.allocator, old: old),
      environment
    ) { log(.warning, "\(path): \($0)") }
    old?.close(for: new)
    held.value.converter = new
    core.work(on: new.device)
    shownConverter.store(new)
  }

  // MARK: reports

  func activeFacts() -> [KeyValue] {
    guard let status = display?.status else { return [] }
    let converter = shownConverter.value
    let source = node.input.upstream?.format
    let asked = settings
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
      KeyValue(key: "color", value: source.map { "\($0.layout.color)" } ?? ""),
      KeyValue(key: "fps", value: source.map { "\($0.rate)" } ?? ""),
      KeyValue(key: "way", value: converter.map { "\(status.way) by \($0.engineName)" } ?? status.way),
      KeyValue(key: "way_why", value: status.reason),
      KeyValue(key: "memory", value: status.way.isEmpty ? "" : converter?.memory ?? "the source's"),
    ]
    if asked.text("device") == "auto" {
      facts.append(KeyValue(key: "backend_why", value: "auto: the first card with a monitor"))
    }
    return facts.filter { !$0.value.isEmpty }
  }

  func moreStatistics() -> [Statistic] {
    var all = core.counts.statistics
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

  var hasOtherEngine: Bool { shownConverter.value?.mayBeLeft ?? false }

  var waitingFor: String? {
    guard let status = display?.status else { return nil }
    return "\(status.device) \(status.connector)"
  }
}

extension VoChannel: DisplayListener {
  func shown(_ frame: borrowing Frame, at time: Int64) {
    node.output.counters.countLeaving(at: Clock.now(), pts: frame.pts)
    if frame.stamps.captured > 0 { lastLatency.store(max(0, time - frame.stamps.captured), ordering: .relaxed) }
    tap.pass(frame)
    works()
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
    switch condition {
    case .works: works()
    case .failed(let failure): fails(failure, .warning, isFault: failure.errno != .canceled)
    }
  }

  func noted(_ text: String) { log(.information, "\(path): \(text)") }
}
