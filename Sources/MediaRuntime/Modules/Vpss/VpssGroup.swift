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
    type: ObjectType("vpss"), stage: 2, takesFrames: true, hasQueue: true, rows: VpssSettings.groupRows,
    check: { change throws(Refusal) in try FrameControl.check(change, "give") },
    make: { node, settings, environment, _ in VpssGroup(node, settings, environment) })

  let core: ChannelCore
  /// The devices that outputs wait for.
  private let devices = Mutex<[ObjectPath: String]>([:])
  /// What its outputs have it know.
  private let parts = Mutex<[UInt64: Part]>([:])
  /// Of the worker.
  let nearer: Confined<NearerPicture>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment)
    nearer = Confined(NearerPicture(), to: core.session.affinity)
    node.input.connect(session)
    session.attach(self)
    node.input.watchUpstream { [weak self] in self?.upstreamChanged() }
  }

  /// An output, as far as the group asks it.
  struct Part: Sendable {
    let path: ObjectPath
    /// What part of the group's picture it shows.
    let crop: @Sendable () -> PicturePart?
    let isRunning: @Sendable () -> Bool
  }

  /// - Parameter generation: the output's, since another one of its name may be made before it is gone.
  func add(_ part: Part, as generation: UInt64) { parts.withLock { $0[generation] = part } }
  func remove(_ generation: UInt64) { parts.withLock { $0[generation] = nil } }

  /// What outputs are given: the source's pictures, at the rate that is kept of them.
  var format: StreamFormat? {
    guard let upstream = node.input.upstream?.format else { return nil }
    return StreamFormat(layout: upstream.layout, rate: FrameControl.rate(settings, of: upstream.rate) ?? upstream.rate)
  }

  private func upstreamChanged() {
    node.input.updateControl { FrameControl.table(settings, of: node.input.upstream?.format?.rate) }
    node.output.announce(format)
  }

  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings) {
    // What outputs announce depends on its crop: they are told too.
    upstreamChanged()
  }

  /// An output says which device it waits for from now on. One of them has a worker for all of the group's work.
  func waits(for device: String?, _ output: ObjectPath) {
    devices.withLock { devices in
      devices[output] = device
      core.work(on: devices.min { $0.key.output ?? 0 < $1.key.output ?? 0 }?.value)
    }
  }

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    guard changed.contains("crop"), let (output, crop, obstacle) = obstacle(new) else { return }
    guard let output else {
      throw Refusal(
        .outOfRange, path: "\(path)/crop", reason: obstacle,
        hint: "a part inside it of at least \(VpssGeometry.least)x\(VpssGeometry.least)")
    }
    throw Refusal(
      .outOfRange, path: "\(path)/crop", reason: "\(output) shows \(crop.text): \(obstacle)",
      hint: "another part, or change \(output)/crop first")
  }

  /// A part that cannot be shown of the pictures that come, the group's own first; `nil` where all can, or nothing is known of them yet.
  private func obstacle(
    _ settings: ObjectSettings, ofRunning: Bool = false
  ) -> (output: ObjectPath?, crop: PicturePart, why: String)? {
    guard let layout = node.input.upstream?.format?.layout else { return nil }
    var (width, height) = (Int(layout.width), Int(layout.height))
    if let crop = settings.part("crop") {
      if let why = VpssGeometry.obstacle(crop, width: width, height: height) { return (nil, crop, why) }
      let area = crop.pixels(width: width, height: height)
      (width, height) = (area.width, area.height)
    }
    for part in parts.withLock({ $0.sorted { $0.key < $1.key }.map(\.value) }) {
      guard part.isRunning() || !ofRunning, let crop = part.crop(),
        let why = VpssGeometry.obstacle(crop, width: width, height: height)
      else {
        continue
      }
      return (part.path, crop, why)
    }
    return nil
  }

  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    if let (output, crop, why) = obstacle(settings, ofRunning: true) {
      throw Failure(.outOfRange, output == nil ? "crop" : "crop of \(output?.description ?? "")", on: crop.text, why)
    }
    return ""
  }

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
    let crop = settings.part("crop").map { part in
      let pixels = part.pixels(width: Int(format.layout.width), height: Int(format.layout.height))
      return PicturePart(pixels).text + (part.isPermille ? " (\(part.text))" : "")
    }
    return [
      KeyValue(key: "width", value: "\(format.layout.width)"),
      KeyValue(key: "height", value: "\(format.layout.height)"),
      KeyValue(key: "format", value: "\(format.layout.format)"),
      KeyValue(key: "fps", value: "\(FrameControl.rate(settings, of: format.rate) ?? format.rate)"),
      KeyValue(key: "crop", value: crop ?? "none"),
    ] + FrameControl.differs("fps_dst", settings.integer("fps_dst"), coming: format.rate)
  }
}
