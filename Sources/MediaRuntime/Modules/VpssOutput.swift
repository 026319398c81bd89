// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One output of a scaler group. Works on the group's worker: passes the buffer on where size and format are right
/// already, else scales into a buffer of its own pool.
final class VpssOutput: GraphObject, FrameHandler {
  /// Buffers of the pool beyond the depth of a receiver's queue: one being made, one being encoded, and one in a picture
  /// on its way to a file.
  static let spareBuffers = 3

  let node: Node
  let state = Published(RunState(.stopped))
  let tap = FrameTap()
  var session: Session? { group.session }

  private let group: VpssGroup
  private var environment: Environment { group.environment }
  private let settings: Published<NumberedSettings>
  /// The group's worker holds it while it works; `stop` waits for that.
  private let plan = Mutex<PlanBox>(PlanBox())
  /// What reports and the wait for room look at.
  private let inUse = Published<InUse?>(nil)
  private let wakeRoom: @Sendable () -> Void

  private struct PlanBox: ~Copyable, @unchecked Sendable {
    var plan: VpssPlan?
    /// A plan that could not be made is not tried at every frame.
    var retryAt: Int64 = 0
  }

  private struct InUse: Sendable {
    let layout: FrameLayout
    let rate: FrameRate
    let pool: Pool?
    /// Name of the engine's factory, empty where none is needed.
    let backend: String
    let engine: String
  }

  init(_ node: Node, _ settings: ObjectSettings, group: VpssGroup) {
    self.node = node
    self.group = group
    self.settings = Published(NumberedSettings(settings, version: 0))
    let room = group.environment.room
    self.wakeRoom = { room.wake() }
    node.input.connect(self)
    node.input.watchUpstream { [weak self] in self?.upstreamChanged() }
    node.input.bind(to: group.node.output)
  }

  private var current: NumberedSettings { settings.value }

  // MARK: administration

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {}

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    settings.store(NumberedSettings(new, version: current.version + 1))
    upstreamChanged()
  }

  func start() throws(Failure) {
    guard !state.value.isRunning else { return }
    // What a scaler that hung left behind goes first; while it hangs, nothing waits for it.
    guard plan.withLockIfAvailable({ drop(&$0) }) != nil else {
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its scaler has not come back from the last picture")
    }
    if let format = group.node.input.upstream?.format {
      var made: VpssPlan?
      made = try makePlan(format.layout)
      let new = made
      plan.withLock { $0.plan = new }
      if let new { use(new, rate: format.rate) }
    }
    state.store(RunState(.running))
    upstreamChanged()
    node.input.accept(true)
    environment.log(.videoProcessing, .information, "\(path) started")
  }

  func stop() {
    guard state.value.isRunning else { return }
    node.input.accept(false)
    // The scaler may hang in a device: give it a while, then leave the plan to `handle`.
    let deadline = Clock.now() + Session.patience
    while plan.withLockIfAvailable({ drop(&$0) }) == nil, Clock.now() < deadline { usleep(500) }
    inUse.store(nil)
    state.store(RunState(.stopped))
    node.output.announce(nil)
    environment.room.wake()
    environment.log(.videoProcessing, .information, "\(path) stopped")
  }

  func retire() {
    node.input.watchUpstream(nil)
    node.input.bind(to: nil)
    for binding in node.output.removeAll() { binding.port.bind(to: nil) }
    environment.slots.leave(node.user)
  }

  /// The group's source, its rate or our settings have changed.
  private func upstreamChanged() {
    let box = current
    let source = group.node.input.upstream?.format
    var rate = source?.rate
    node.input.updateControl {
      guard let wanted = current.settings.integer("fps"), let from = group.node.input.upstream?.format?.rate.rounded,
        wanted < from, let table = FrameControl.table(source: from, destination: wanted)
      else { return nil }
      rate = FrameRate(wanted)
      return table
    }
    guard let source, let rate, state.value.isRunning else { return }
    let transform = VpssPlan.transform(box.settings)
    let usual = environment.engines.outputFormats.first
    guard let layout = VpssPlan.layout(box.settings, incoming: source.layout, transform: transform, usual: usual) else {
      return
    }
    let announced = node.output.format
    // Strides differ between a passed-on and a made picture; what receivers prepare for is size, format and rate.
    if announced?.rate != rate || announced?.layout.width != layout.width || announced?.layout.height != layout.height
      || announced?.layout.format != layout.format
    {
      node.output.announce(StreamFormat(layout: layout, rate: rate))
    }
  }

  // MARK: frame path

  var hasRoom: Bool {
    guard node.output.hasRoom else { return false }
    guard let pool = inUse.edition.value?.pool, pool.free == 0 else { return true }
    pool.whenFree(wakeRoom)
    return pool.free > 0
  }

  func handle(_ frame: consuming Frame, at now: Int64) -> Int64 {
    // Given on after the lock is let go.
    var made: Frame?
    let copied = plan.withLock { box -> Int? in
      // Stopped since the frame came through the port, or while it is scaled: the plan goes with it.
      defer { if !node.input.accepts { drop(&box) } }
      guard node.input.accepts else {
        node.work.drop(.disabled, frame.name)
        return nil
      }
      guard let plan = valid(&box, frame, now) else { return nil }
      guard let work = plan.work else { return 0 }
      guard let buffer = work.pool.take(as: node.user) else {
        node.work.drop(.noBuffer, frame.name)
        return nil
      }
      var target = Frame(
        buffer, layout: work.layout, pts: frame.pts, sequence: frame.sequence, stamps: frame.stamps)
      do throws(Failure) {
        let bytes = try work.scaler.scale(frame, crop: plan.crop, transform: plan.transform, to: &target)
        made = consume target
        return bytes
      } catch {
        failed(error)
        node.work.drop(.deviceError, frame.name)
        if error.isDeviceGone {
          // Another one is looked for, the next frame on.
          drop(&box)
          box.retryAt = now + .milliseconds(50)
        }
        return nil
      }
    }
    guard let copied else {
      _ = consume frame
      return Clock.now()
    }
    if let made = made.take() {
      _ = consume frame
      let time = Clock.now()
      node.work.record(.done, wait: 0, run: time - now, copied: copied, end: time)
      works()
      tap.pass(made)
      return node.output.deliver(made, at: time)
    }
    tap.pass(frame)
    return node.output.deliver(frame, at: now)
  }

  /// The plan for this frame, made anew where needed; `nil` when there is none, and the frame is counted as dropped.
  private func valid(_ box: inout PlanBox, _ frame: borrowing Frame, _ now: Int64) -> VpssPlan? {
    let layout = frame.layout
    let settings = current
    let groupVersion = group.current.version
    if let plan = box.plan, plan.incoming == layout, plan.version == settings.version,
      plan.groupVersion == groupVersion, plan.engines == environment.enginesVersion
    {
      return plan
    }
    guard now >= box.retryAt else {
      node.work.drop(.formatMismatch, frame.name)
      return nil
    }
    do throws(Failure) {
      let plan = try makePlan(layout, replacing: box.plan)
      if let old = box.plan?.work?.pool, old !== plan.work?.pool { release(old) }
      box.plan = plan
      use(plan, rate: node.output.format?.rate ?? .thirty)
      works()
      return plan
    } catch {
      drop(&box)
      box.retryAt = now + .seconds(1)
      failed(error)
      node.work.drop(.formatMismatch, frame.name)
      return nil
    }
  }

  private func makePlan(_ incoming: FrameLayout, replacing old: VpssPlan? = nil) throws(Failure) -> VpssPlan {
    let box = current
    let groupBox = group.current
    let engines = environment.enginesVersion
    let transform = VpssPlan.transform(box.settings)
    var crop = groupBox.settings.rectangle("crop")
    if let part = crop, part.x == 0, part.y == 0, part.width == Int(incoming.width), part.height == Int(incoming.height)
    {
      crop = nil
    }
    if let part = crop, part.x + part.width > Int(incoming.width) || part.y + part.height > Int(incoming.height) {
      throw Failure(
        .outOfRange, "crop", on: "\(path)", "outside the picture of \(incoming.width)x\(incoming.height)")
    }
    guard
      let layout = VpssPlan.layout(
        box.settings, incoming: incoming, transform: transform, usual: environment.engines.outputFormats.first)
    else {
      throw Failure(.invalidArgument, "format", on: "\(path)", "no picture of this size and format")
    }
    func plan(_ work: VpssPlan.Work?) -> VpssPlan {
      VpssPlan(
        incoming: incoming, groupVersion: groupBox.version, version: box.version, engines: engines, crop: crop,
        transform: transform,
        work: work)
    }
    if crop == nil && transform.isIdentity && layout.width == incoming.width && layout.height == incoming.height
      && layout.format == incoming.format
    {
      return plan(nil)
    }
    let backend = groupBox.settings.text("backend") ?? "auto"
    let able = environment.engines.scalers(backend: backend).filter {
      $0.supports(incoming, crop: crop, transform: transform, to: layout)
    }
    guard let first = able.first else {
      throw Failure(
        .notSupported, "scale", on: "\(path)",
        "no scaler here makes \(layout.width)x\(layout.height) \(layout.format) of "
          + "\(incoming.width)x\(incoming.height) \(incoming.format)\(crop == nil ? "" : ", cropped")")
    }
    if let work = old?.work, work.layout == layout, old?.incoming.format == incoming.format,
      work.backend == first.name
    {
      return plan(work)
    }
    let (scaler, factory) = try open(able, incoming, crop, transform, layout)
    func working(in pool: Pool) -> VpssPlan.Work {
      VpssPlan.Work(
        layout: layout, pool: pool, scaler: scaler, backend: factory.name, device: factory.device)
    }
    if let work = old?.work, work.layout == layout {
      return plan(working(in: work.pool))
    }
    let pool = try Pool(
      name: "vpss\(path.number).\(path.output ?? 0)", size: layout.byteCount,
      count: environment.options.queueDepth + VpssOutput.spareBuffers + environment.heldByDevices,
      allocator: environment.allocator)
    environment.pools.add(pool, user: node.user, isLent: false)
    return plan(working(in: pool))
  }

  /// The first that opens. What a device refuses another engine may do, but where one was named there is no other.
  private func open(
    _ able: [any ScalerFactory], _ incoming: FrameLayout, _ crop: Rectangle?, _ transform: PictureTransform,
    _ layout: FrameLayout
  ) throws(Failure) -> (any Scaler, any ScalerFactory) {
    var refusal: Failure?
    for factory in able {
      do throws(Failure) {
        return (try factory.open(incoming, crop: crop, transform: transform, to: layout), factory)
      } catch {
        environment.log(.videoProcessing, .warning, "\(path): \(error)")
        refusal = refusal ?? error
      }
    }
    throw refusal ?? Failure(.notSupported, "scale", on: "\(path)")
  }

  private func use(_ plan: VpssPlan, rate: FrameRate) {
    group.waits(for: plan.work?.device, path)
    inUse.store(
      InUse(
        layout: plan.work?.layout ?? plan.incoming, rate: rate, pool: plan.work?.pool,
        backend: plan.work?.backend ?? "", engine: plan.work?.scaler.engine ?? "none, buffers are passed on"))
  }

  private func drop(_ box: inout PlanBox) {
    if let pool = box.plan?.work?.pool { release(pool) }
    box.plan = nil
    box.retryAt = 0
    group.waits(for: nil, path)
  }

  private func release(_ pool: Pool) {
    pool.close()
    environment.pools.giveUp(pool)
  }

  private func failed(_ failure: Failure) {
    if case .failed = state.value.kind { return }
    guard state.change(to: .failed("\(failure)")) else { return }
    environment.listener?.failed(path, failure)
    environment.log(.videoProcessing, .error, "\(path): \(failure)")
  }

  private func works() {
    if case .failed = state.value.kind { state.change(to: .running) }
  }

  // MARK: reports

  func activeFacts() -> [KeyValue] {
    guard let use = inUse.value else { return [] }
    return [
      KeyValue(key: "backend", value: use.backend.isEmpty ? use.engine : use.backend),
      KeyValue(key: "engine", value: use.engine),
      KeyValue(key: "width", value: "\(use.layout.width)"), KeyValue(key: "height", value: "\(use.layout.height)"),
      KeyValue(key: "format", value: "\(use.layout.format)"),
      KeyValue(key: "fps", value: "\(node.output.format?.rate ?? use.rate)"),
      KeyValue(key: "memory", value: use.pool?.memoryKind ?? "the source's"),
    ]
  }

  func moreStatistics() -> [Statistic] { [] }

  var waitingFor: String? {
    guard let pool = inUse.value?.pool, pool.free == 0 else { return nil }
    return "a free buffer of pool \(pool.name)"
  }
}
