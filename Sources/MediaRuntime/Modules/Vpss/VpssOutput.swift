// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One output of a scaler group. Works on the group's worker: passes the buffer on where size and format are right
/// already, else scales into a buffer of its own pool.
final class VpssOutput: Channel, FrameHandler {
  /// Buffers of the pool beyond the depth of a receiver's queue: one being made, one being encoded, and one in a picture
  /// on its way to a file.
  static let spareBuffers = 3

  static let module = ModuleClass(
    type: VpssGroup.module.type.outputs, numbers: 0...3, stage: 3,
    givesFrames: "a scaler's output such as vpss/0/0", takesRegions: true, rows: VpssSettings.outputRows
  ) { node, settings, environment, group throws(Refusal) in
    guard let group = group as? VpssGroup else {
      throw Refusal(
        .noSuchFileOrDirectory, path: "\(node.path)", reason: "\(node.path.group) does not exist",
        hint: "make \(node.path.group) first")
    }
    return VpssOutput(node, settings, group: group)
  }

  let core: ChannelCore
  private let group: VpssGroup
  private let held: Confined<Held>
  /// What reports and the wait for room look at.
  private let inUse = Published<InUse?>(nil)
  private let wakeRoom: @Sendable () -> Void
  /// Which output's picture the last one was made of, and how much larger that was: number * 8 + ratio; 0 for the frame itself.
  private let madeOf = Atomic<Int>(0)
  /// Steps taken for pictures.
  private let deviceSteps = Atomic<Int>(0)
  private let cpuSteps = Atomic<Int>(0)

  /// Of the group's worker.
  private struct Held {
    var plan: VpssPlan?
    /// A plan that could not be made is not tried at every frame.
    var retryAt: Int64 = 0
  }

  private struct InUse: Sendable {
    let layout: FrameLayout
    let rate: FrameRate
    let converter: Converter?
    /// Name of the engine's factory, empty where none is needed.
    let backend: String
    let engine: String
    let view: VpssPlan.View
    let steps: [(step: String, by: String)]
    var pool: Pool? { converter?.pool }
  }

  init(_ node: Node, _ settings: ObjectSettings, group: VpssGroup) {
    self.group = group
    core = ChannelCore(node, settings, group.environment, host: .session(group.session))
    held = Confined(Held(), to: group.session.affinity)
    let room = group.environment.room
    self.wakeRoom = { room.wake() }
    node.input.connect(self)
    node.input.watchUpstream { [weak self] in self?.upstreamChanged() }
    node.input.bind(to: group.node.output)
    group.add(
      VpssGroup.Part(
        path: path, crop: { [weak self] in self?.settings.part("crop") },
        isRunning: { [weak self] in self?.state.value.isRunning ?? false }), as: node.generation)
  }

  // MARK: administration

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    guard changed.contains("crop"), let crop = new.part("crop"), let incoming = group.format?.layout else { return }
    let outer = group.settings.part("crop")?.pixels(width: Int(incoming.width), height: Int(incoming.height))
    let (width, height) = (outer?.width ?? Int(incoming.width), outer?.height ?? Int(incoming.height))
    if let obstacle = VpssGeometry.obstacle(crop, width: width, height: height) {
      throw Refusal(
        .outOfRange, path: "\(path)/crop", reason: obstacle,
        hint: "a part inside it of at least \(VpssGeometry.least)x\(VpssGeometry.least)")
    }
  }

  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings) { upstreamChanged() }

  func removed() { group.remove(generation) }

  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    var made: VpssPlan?
    let format = group.format
    if let format { made = try makePlan(format.layout) }
    let new = made
    // What a scaler that hung left behind goes first; while it hangs, nothing waits for it.
    guard
      session.between({
        drop()
        held.value.plan = new
      })
    else {
      new?.converter?.close()
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its scaler has not come back from the last picture")
    }
    if let new, let format { use(new, rate: format.rate) }
    return ""
  }

  func opened() { upstreamChanged() }

  func perform() -> Bool { false }

  /// One that hangs is closed by `handle` when it comes back.
  func close() { drop() }

  func ended(cameBack: Bool) { inUse.store(nil) }

  var worker: String { "scaler" }

  /// The group's source, its rate or our settings have changed.
  private func upstreamChanged() {
    let settings = settings
    let source = group.format
    var rate = source?.rate
    node.input.updateControl {
      guard let wanted = settings.integer("fps"), let from = group.format?.rate.rounded,
        wanted < from, let table = FrameControl.table(source: from, destination: wanted)
      else { return nil }
      rate = FrameRate(wanted)
      return table
    }
    guard let source, let rate, state.value.isRunning else { return }
    let transform = VpssPlan.transform(settings)
    let usual = environment.engines.outputFormats.first
    // What cannot be made is told by the frame that it cannot be made of.
    guard
      let geometry = try? VpssPlan.geometry(settings, group: group.settings, incoming: source.layout),
      let layout = VpssPlan.layout(
        settings, incoming: source.layout, geometry, transform: transform, usual: usual)
    else { return }
    let announced = node.output.format
    // Strides differ between a passed-on and a made picture; what receivers prepare for is size, format, meaning and rate.
    if announced?.rate != rate || announced?.layout.width != layout.width || announced?.layout.height != layout.height
      || announced?.layout.format != layout.format || announced?.layout.color != layout.color
      || announced?.layout.aspect != layout.aspect
    {
      node.output.announce(StreamFormat(layout: layout, rate: rate))
    }
  }

  // MARK: frame path

  var hasRoom: Bool {
    guard node.output.hasRoom, core.painting?.hasRoom ?? true else { return false }
    guard let pool = inUse.edition.value?.pool, pool.free == 0 else { return true }
    pool.whenFree(as: node.user, wakeRoom)
    return pool.free > 0
  }

  func handle(_ frame: consuming Frame, at now: Int64) -> Int64 {
    // Stopped since the frame came through the port, or while it is scaled: the plan goes with it.
    defer { if !node.input.accepts { drop() } }
    guard node.input.accepts else {
      node.work.drop(.disabled, frame.name)
      _ = consume frame
      return now
    }
    guard let plan = valid(frame, now) else {
      _ = consume frame
      return Clock.now()
    }
    guard let converter = plan.converter else {
      guard let painting = core.painting, painting.isActive else {
        tap.pass(frame)
        return node.output.deliver(frame, at: now)
      }
      var copied = 0
      return give(painting.passed(frame, copied: &copied), from: now, copied: copied)
    }
    var copied = 0
    guard let made = picture(of: frame, by: converter, now, copied: &copied) else { return Clock.now() }
    _ = consume frame
    works()
    guard let painting = core.painting else { return give(made, from: now, copied: copied) }
    return give(painting.passed(made, copied: &copied), from: now, copied: copied)
  }

  /// Gives a picture that was worked on since then, with the bytes written for it.
  private func give(_ picture: consuming Frame?, from now: Int64, copied: Int) -> Int64 {
    let time = Clock.now()
    guard let picture else { return time }
    node.work.record(.done, wait: 0, run: time - now, copied: copied, end: time)
    tap.pass(picture)
    return node.output.deliver(picture, at: time)
  }

  /// `nil` where none could be made, and the frame is counted as dropped.
  private func picture(
    of frame: borrowing Frame, by converter: Converter, _ now: Int64, copied: inout Int
  ) -> Frame? {
    do throws(Failure) {
      if let made = try make(of: frame, by: converter, copied: &copied) {
        // One that another output has made took no step.
        if madeOf.load(ordering: .relaxed) % 8 != 1 {
          let steps = held.value.plan?.steps ?? (device: 0, cpu: 0)
          deviceSteps.add(steps.device, ordering: .relaxed)
          cpuSteps.add(steps.cpu, ordering: .relaxed)
        }
        return made
      }
      node.work.drop(.noBuffer, frame.name)
    } catch {
      fails(error)
      node.work.drop(.deviceError, frame.name)
      if error.isDeviceGone {
        // Another one is looked for, the next frame on.
        drop()
        held.value.retryAt = now + .milliseconds(50)
      }
    }
    return nil
  }

  /// Of another output's picture where there is one that is nearer, else of the frame.
  private func make(of frame: borrowing Frame, by converter: Converter, copied: inout Int) throws(Failure) -> Frame? {
    let plan = held.value.plan
    guard let plan, plan.isUpright else {
      madeOf.store(0, ordering: .relaxed)
      return try converter.picture(of: frame, as: node.user, copied: &copied)
    }
    if let ratio = group.nearer.value.ratio(to: converter.layout, plan.view) {
      madeOf.store(group.nearer.value.output * 8 + ratio, ordering: .relaxed)
      return try group.nearer.value.picture(by: converter, as: node.user, copied: &copied)
    }
    madeOf.store(0, ordering: .relaxed)
    guard let made = try converter.picture(of: frame, as: node.user, copied: &copied) else { return nil }
    // One that regions are drawn into is no picture for others, and would be copied first if they held it.
    if core.painting?.isActive == true { return made }
    group.nearer.value.offer(
      made, plan.view, incoming: plan.incoming, by: path.output ?? 0, as: node.user)
    return made
  }

  /// The plan for this frame, made anew where needed; `nil` when there is none, and the frame is counted as dropped.
  private func valid(_ frame: borrowing Frame, _ now: Int64) -> VpssPlan? {
    let layout = frame.layout
    if let plan = held.value.plan, plan.incoming == layout, plan.version == core.settings.edition.value.version,
      plan.groupVersion == group.core.settings.edition.value.version, plan.engines == environment.enginesVersion
    {
      return plan
    }
    guard now >= held.value.retryAt else {
      node.work.drop(.formatMismatch, frame.name)
      return nil
    }
    do throws(Failure) {
      let old = held.value.plan?.converter
      let plan = try makePlan(layout, replacing: held.value.plan)
      old?.close(for: plan.converter)
      held.value.plan = plan
      use(plan, rate: node.output.format?.rate ?? .thirty)
      works()
      return plan
    } catch {
      drop()
      inUse.store(nil)
      held.value.retryAt = now + .seconds(1)
      fails(error)
      node.work.drop(.formatMismatch, frame.name)
      return nil
    }
  }

  private func makePlan(_ incoming: FrameLayout, replacing old: VpssPlan? = nil) throws(Failure) -> VpssPlan {
    let box = core.settings.value
    let groupBox = group.core.settings.value
    let engines = environment.enginesVersion
    let transform = VpssPlan.transform(box.settings)
    let geometry = try VpssPlan.geometry(box.settings, group: groupBox.settings, incoming: incoming)
    guard
      let layout = VpssPlan.layout(
        box.settings, incoming: incoming, geometry, transform: transform,
        usual: environment.engines.outputFormats.first)
    else {
      throw Failure(.invalidArgument, "format", on: "\(path)", "no picture of this size and format")
    }
    let crop = geometry.crop
    var view = VpssPlan.View(crop: crop)
    var bars: Bars?
    if geometry.hasBars {
      let place = geometry.place(in: layout, isTurned: transform.rotation % 180 != 0)
      let color = box.settings.color("bar_color") ?? PaintColor(red: 0, green: 0, blue: 0)
      bars = try Bars(around: place, of: layout, color: color, by: environment.engines.painter)
      (view.place, view.color) = (place, color)
    }
    func plan(_ converter: Converter?) -> VpssPlan {
      VpssPlan(
        incoming: incoming, groupVersion: groupBox.version, version: box.version, engines: engines, view: view,
        isUpright: transform.isIdentity && converter?.device == nil, converter: converter,
        steps: converter?.stepCounts ?? (0, 0))
    }
    if crop == nil && bars == nil && transform.isIdentity && layout.width == incoming.width
      && layout.height == incoming.height
      && layout.format == incoming.format
    {
      return plan(nil)
    }
    let backend = groupBox.settings.text("backend") ?? "auto"
    let able = environment.scalers(
      backend, incoming, crop: crop, transform: transform, to: bars?.inside ?? layout, for: node)
    if let converter = old?.converter, converter.layout == layout, converter.backend == able.first?.name,
      converter.isInSteps == (able.first is SteppedScalerFactory),
      let same = converter.taking(incoming, crop: crop, transform: transform, bars: bars)
    {
      return plan(same)
    }
    let count = environment.options.queueDepth + VpssOutput.spareBuffers + environment.heldByDevices
    return plan(
      try Converter.scaling(
        incoming, to: layout, crop: crop, transform: transform, bars: bars, by: able,
        in: Converter.Place(
          name: "vpss\(path.number).\(path.output ?? 0)", node: node, count: count, old: old?.converter,
          pool: try environment.sharedPool(box.settings)),
        environment
      ) { log(.warning, "\(path): \($0)") })
  }

  private func use(_ plan: VpssPlan, rate: FrameRate) {
    let converter = plan.converter
    group.waits(for: converter?.device, path)
    madeOf.store(0, ordering: .relaxed)
    inUse.store(
      InUse(
        layout: converter?.layout ?? plan.incoming, rate: rate, converter: converter,
        backend: converter?.backend ?? "", engine: converter?.engineName ?? "none, buffers are passed on",
        view: plan.view, steps: converter?.stepFacts ?? []))
  }

  private func drop() {
    held.value.plan?.converter?.close()
    held.value.plan = nil
    held.value.retryAt = 0
    group.waits(for: nil, path)
  }

  // MARK: reports

  func activeFacts() -> [KeyValue] {
    guard let use = inUse.value else { return [] }
    let madeOf = madeOf.load(ordering: .relaxed)
    let engine = madeOf == 0 ? nil : use.converter?.engineName(ofPicturesLarger: madeOf % 8)
    return [
      KeyValue(key: "backend", value: use.backend.isEmpty ? use.engine : use.backend),
      KeyValue(key: "engine", value: engine ?? use.engine),
      KeyValue(key: "width", value: "\(use.layout.width)"), KeyValue(key: "height", value: "\(use.layout.height)"),
      KeyValue(key: "format", value: "\(use.layout.format)"),
    ] + use.layout.meaningFacts + [
      KeyValue(key: "fps", value: "\(node.output.format?.rate ?? use.rate)"),
      KeyValue(key: "memory", value: use.pool?.memoryKind ?? "the source's"),
    ] + FrameControl.differs("fps", settings.integer("fps"), coming: group.format?.rate ?? use.rate)
      + (madeOf == 0 ? [] : [KeyValue(key: "made_of", value: "\(group.path)/\(madeOf / 8)")])
      + Self.facts(use.view) + Self.facts(use.steps) + transformFact
  }

  private static func facts(_ steps: [(step: String, by: String)]) -> [KeyValue] {
    steps.isEmpty ? [] : [KeyValue(key: "steps", value: steps.map { "\($0.step) \($0.by)" }.joined(separator: ", "))]
  }

  /// Which part of the incoming picture it shows, and where; nothing where all of it and everywhere.
  private static func facts(_ view: VpssPlan.View) -> [KeyValue] {
    func fact(_ key: String, _ area: Rectangle?) -> [KeyValue] {
      area.map { [KeyValue(key: key, value: PicturePart($0).text)] } ?? []
    }
    return fact("crop", view.crop) + fact("picture", view.place)
  }

  /// What is done to the picture, in that order; nothing where nothing is.
  private var transformFact: [KeyValue] {
    let transform = VpssPlan.transform(settings)
    guard !transform.isIdentity else { return [] }
    let steps = [
      transform.mirror ? "mirror" : nil, transform.flip ? "flip" : nil,
      transform.rotation == 0 ? nil : "\(transform.rotation) degrees clockwise",
    ]
    return [KeyValue(key: "transform", value: steps.compactMap { $0 }.joined(separator: ", then "))]
  }

  func moreStatistics() -> [Statistic] {
    [
      Statistic(
        "device_steps", .counter, "Steps of making pictures that a device took.", deviceSteps.load(ordering: .relaxed)),
      Statistic(
        "cpu_steps", .counter, "Steps of making pictures that the CPU took.", cpuSteps.load(ordering: .relaxed)),
    ]
  }

  var waitingFor: String? {
    guard let pool = inUse.value?.pool, pool.free == 0 else { return nil }
    return "a free buffer of pool \(pool.name)"
  }
}
