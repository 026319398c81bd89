// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A scaler group: takes frames from one source and gives each to its outputs, which scale where they must.
///
/// The group's session does the work of all its outputs, one after the other, on one worker.
final class VpssGroup: GraphObject, SessionWork {
  let node: Node
  let state = Published(RunState(.stopped))
  let tap = FrameTap()
  var session: Session? { work }

  let environment: Environment
  private let work: Session
  private let workplace: Workplace
  /// The devices that outputs wait for.
  private let devices = Mutex<[ObjectPath: String]>([:])
  private let settings: Published<NumberedSettings>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    self.node = node
    self.environment = environment
    self.settings = Published(NumberedSettings(settings, version: 0))
    self.work = Session(node.path, service: environment.services.cpu)
    self.workplace = Workplace(work, environment.services)
    node.input.connect(work)
    work.attach(self)
    node.input.watchUpstream { [weak self] in
      guard let self else { return }
      self.node.output.announce(self.node.input.upstream?.format)
    }
  }

  /// What the outputs need to know of the group: its settings now.
  var current: NumberedSettings { settings.value }

  /// An output says which device it waits for from now on. One of them has a worker for all of the group's work.
  func waits(for device: String?, _ output: ObjectPath) {
    let obstacle = devices.withLock { devices in
      devices[output] = device
      return workplace.work(on: devices.min { $0.key < $1.key }?.value)
    }
    if let obstacle { environment.log(.videoProcessing, .warning, "\(path): \(obstacle)") }
  }

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    if let crop = new.rectangle("crop"), changed.contains("crop") {
      guard crop.x >= 0, crop.y >= 0, crop.width >= 16, crop.height >= 16,
        crop.x % 2 == 0, crop.y % 2 == 0, crop.width % 2 == 0, crop.height % 2 == 0
      else {
        throw Refusal(
          .invalidArgument, path: "\(path)/crop", reason: "not a rectangle of at least 16x16 on even coordinates",
          hint: "x,y,w,h")
      }
      if let layout = node.input.upstream?.format?.layout,
        crop.x + crop.width > Int(layout.width) || crop.y + crop.height > Int(layout.height)
      {
        throw Refusal(
          .outOfRange, path: "\(path)/crop", reason: "outside the picture of \(layout.width)x\(layout.height)",
          hint: "a rectangle inside it")
      }
    }
  }

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    settings.store(NumberedSettings(new, version: current.version + 1))
  }

  func start() throws(Failure) {
    guard !state.value.isRunning else { return }
    guard work.isIdle else {
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its last frame is still being worked on")
    }
    state.store(RunState(.running))
    work.resume()
    node.input.accept(true)
    environment.log(.videoProcessing, .information, "\(path) started")
  }

  func stop() {
    guard state.value.isRunning else { return }
    node.input.accept(false)
    if work.halt() { node.input.flush(into: node.work) }
    state.store(RunState(.stopped))
    environment.room.wake()
    environment.log(.videoProcessing, .information, "\(path) stopped")
  }

  func retire() {
    node.input.watchUpstream(nil)
    node.input.bind(to: nil)
    for binding in node.output.removeAll() { binding.port.bind(to: nil) }
    // One that hangs keeps its work until it comes back.
    work.retire()
    environment.slots.leave(node.user)
  }

  func cameBack() { node.input.flush(into: node.work) }

  func perform() -> Bool {
    let room = environment.room
    if room.isLossless {
      // A frame that comes after this look schedules the session again; taken now, it would go on unasked for room.
      guard node.input.waiting > 0 else { return false }
      if !node.output.hasRoom {
        room.block(work)
        guard node.output.hasRoom else { return false }
      }
    }
    guard var frame = node.input.queue.pop() else { return false }
    room.made(in: node.input)
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    work.began(at: start)
    frame.stamps.started = start
    tap.pass(frame)
    let end = node.output.deliver(frame, at: start)
    work.ended()
    node.work.record(.done, wait: wait, run: end - start, end: end)
    return true
  }

  func activeFacts() -> [KeyValue] {
    guard state.value.isRunning, let format = node.input.upstream?.format else { return [] }
    let crop = current.settings.rectangle("crop")
    return [
      KeyValue(key: "width", value: "\(format.layout.width)"),
      KeyValue(key: "height", value: "\(format.layout.height)"),
      KeyValue(key: "format", value: "\(format.layout.format)"), KeyValue(key: "fps", value: "\(format.rate)"),
      KeyValue(key: "crop", value: crop.map { "\($0.x),\($0.y),\($0.width),\($0.height)" } ?? "none"),
    ]
  }

  func moreStatistics() -> [Statistic] { [] }
}
