// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A scaler group: takes frames from one source and gives each to its outputs, which scale where they must.
///
/// The group's session does the work of all its outputs, one after the other, on one worker.
final class VpssGroup: Channel {
  static let module = ModuleClass(
    type: ObjectType("vpss"), stage: 2, takesFrames: true, hasQueue: true, rows: VpssSettings.groupRows
  ) { node, settings, environment, _ in VpssGroup(node, settings, environment) }

  let core: ChannelCore
  /// The devices that outputs wait for.
  private let devices = Mutex<[ObjectPath: String]>([:])
  /// Of the worker.
  let nearer: Confined<NearerPicture>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment)
    nearer = Confined(NearerPicture(), to: core.session.affinity)
    node.input.connect(session)
    session.attach(self)
    node.input.watchUpstream { [weak self] in
      guard let self else { return }
      self.node.output.announce(self.node.input.upstream?.format)
    }
  }

  /// An output says which device it waits for from now on. One of them has a worker for all of the group's work.
  func waits(for device: String?, _ output: ObjectPath) {
    devices.withLock { devices in
      devices[output] = device
      core.work(on: devices.min { $0.key.output ?? 0 < $1.key.output ?? 0 }?.value)
    }
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

  func open(_ settings: ObjectSettings) throws(Failure) -> String { "" }

  var hasOtherEngine: Bool {
    let backend = settings.text("backend") ?? "auto"
    return backend == "auto" && environment.engines.scalers(backend: backend).contains { !$0.isHardware }
  }

  func perform() -> Bool {
    let room = environment.room
    if room.isLossless {
      // A frame that comes after this look schedules the session again; taken now, it would go on unasked for room.
      guard node.input.waiting > 0 else { return false }
      if !node.output.hasRoom {
        room.block(session)
        guard node.output.hasRoom else { return false }
      }
    }
    guard var frame = node.input.queue.pop() else { return false }
    room.made(in: node.input)
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    session.began(at: start)
    frame.stamps.started = start
    tap.pass(frame)
    let end = node.output.deliver(frame, at: start)
    nearer.value.clear()
    session.ended()
    node.work.record(.done, wait: wait, run: end - start, end: end)
    return true
  }

  func activeFacts() -> [KeyValue] {
    guard state.value.isRunning, let format = node.input.upstream?.format else { return [] }
    let crop = settings.rectangle("crop")
    return [
      KeyValue(key: "width", value: "\(format.layout.width)"),
      KeyValue(key: "height", value: "\(format.layout.height)"),
      KeyValue(key: "format", value: "\(format.layout.format)"), KeyValue(key: "fps", value: "\(format.rate)"),
      KeyValue(key: "crop", value: crop.map { "\($0.x),\($0.y),\($0.width),\($0.height)" } ?? "none"),
    ]
  }
}
