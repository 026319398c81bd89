// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// An encoder channel: takes frames from its queue, has an engine encode them, and puts the pictures into its ring.
///
/// The engine is opened when the channel starts, if it is known by then what frames will come, else at the first one;
/// and anew, at a key frame, when their size or format changes or a setting needs it.
///
/// Ownership: the engine and what hangs on it belong to the session's worker; the control lane touches them only while
/// the session is halted, as the session's affinity checks.
final class VencChannel: Channel {
  /// Failures in a row after which the engine is opened anew.
  static let patience = 5

  static let module = ModuleClass(
    type: ObjectType("venc"), stage: 5, takesFrames: true, takesRegions: true, hasQueue: true, rows: VencRows.rows,
    settle: VencRules.settle, check: VencRules.check
  ) { node, settings, environment, _ in VencChannel(node, settings, environment) }

  let core: ChannelCore
  let ring: PacketRing
  let effects: EffectTracker
  let encoderCounters = EncoderCounters()
  let syntax = Published<StreamSyntax?>(nil)

  private let inUse = Published<VencInUse?>(nil)
  private let wantsKey = Atomic<Bool>(false)
  let configurationChanges = Atomic<UInt64>(0)

  private struct Worker {
    var engine: VencEngine?
    var choice = VencChoice()
    var seenChanges: UInt64 = 0
    var failures = 0
    var retryAt: Int64 = 0
  }
  private let held: Confined<Worker>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment)
    held = Confined(Worker(), to: core.session.affinity)
    ring = PacketRing(capacity: 512 << 10, limit: environment.options.ringLimit, pool: environment.packets)
    effects = EffectTracker(
      path: "\(node.path)", arrivals: { [input = node.input] in input.counters.frames },
      syntax: { [syntax] in syntax.value })
    node.input.connect(session)
    session.attach(self)
    session.alarm = { [weak self] in self?.inUse.edition.value?.waker?.wake() }
    node.input.watchUpstream { [weak self] in self?.upstreamChanged() }
  }

  var used: VencInUse? { inUse.value }

  // MARK: administration

  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings) {
    if state.value.isRunning { record(keys, old, new) }
    upstreamChanged()
  }

  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    let (engines, codec) = try found(settings, for: "enable")
    let first = engines[0]
    ring.open(codec)
    encoderCounters.restart(realtime: Clock.realtimeMicroseconds())
    effects.restart()
    // Also opening the engine, where that has to wait for the first frame, is then not a CPU worker's business.
    core.work(on: first.device)
    if let layout = node.input.upstream?.format?.layout { try open(layout) }
    wantsKey.store(true, ordering: .releasing)
    return used?.engine ?? first.name
  }

  func opened() {
    effects.add(EffectChange(key: "enable", old: "0", new: "1", measure: .keyFrame))
    updateFrameControl()
  }

  func close() {
    if let engine = held.value.engine { finish(engine) }
    held.value.choice = VencChoice()
    held.value.failures = 0
    held.value.retryAt = 0
    core.work(on: nil)
  }

  func ended(cameBack: Bool) {
    ring.close()
    // A start that was refused ends nothing.
    if state.value.kind != .starting {
      effects.addSettled(key: "enable", old: "1", new: "0", measured: cameBack ? "stopped" : "engine still busy")
    }
    inUse.store(nil)
  }

  func removed() { ring.retire() }

  var worker: String { "engine" }

  private func close(_ old: VencEngine) {
    old.writer.finishStream()
    old.conversion?.close()
    held.value.engine = nil
  }

  func perform(_ command: String, argument: String) throws(Refusal) {
    guard command == "idr" else {
      throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command", hint: "idr")
    }
    guard state.value.isRunning else {
      throw notRunning("idr")
    }
    let (engines, codec) = try candidates(settings)
    let factory = used?.factory ?? engines[0]
    guard codec == .mjpeg || factory.capabilities(for: codec).contains(.forceType) else {
      throw Refusal(.notSupported, path: "\(path)/idr", reason: "\(factory.name) takes no request for a key frame")
    }
    effects.add(EffectChange(key: "idr", old: "", new: "1", measure: .keyFrame))
    wantsKey.store(true, ordering: .releasing)
  }

  // MARK: the worker

  func perform() -> Bool {
    if hasCollected(while: { node.input.waiting == 0 }) { return true }
    guard var frame = node.input.queue.pop() else { return isBusy }
    environment.room.made(in: node.input)
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    session.began(at: start)
    frame.stamps.started = start
    // With regions the engine's picture is what is shown.
    if core.painting?.isActive != true { tap.pass(frame) }
    let outcome = encode(frame, start, wait)
    let end = Clock.now()
    if let help = held.value.engine?.help(), help > 0 { session.helped(help) }
    switch outcome {
    // Its work ends with its picture.
    case .done(let copied) where held.value.engine?.isAsynchronous == true: node.work.copied(copied)
    case .done(let copied): node.work.record(.done, wait: wait, run: end - start, copied: copied, end: end)
    case .leftOut: node.work.record(.done, wait: wait, run: end - start, end: end)
    case .failed(let how): node.work.record(how, wait: wait, run: end - start, end: end)
    }
    noteRunning()
    return true
  }

  /// Frames that are inside the device get their pictures.
  func finish() -> Bool { hasCollected(while: { true }) }

  /// Waits for pictures of frames that are inside the engine, where that is needed.
  /// - Returns: false when nothing is inside, or nothing was waited for.
  private func hasCollected(while isNeeded: () -> Bool) -> Bool {
    guard let engine = held.value.engine, engine.encoder.inside > 0 else { return false }
    return session.wait(while: isNeeded) { collect(engine) }
  }

  private var isBusy: Bool { (held.value.engine?.encoder.inside ?? 0) > 0 }

  private func noteRunning() {
    if isBusy, let since = held.value.engine?.writer.busySince {
      session.running(since: since)
    } else {
      session.ended()
    }
  }

  /// Waits for pictures of the frames inside, or for another frame.
  private func collect(_ engine: VencEngine) {
    do throws(Failure) {
      try engine.collect()
    } catch {
      encoderCounters.startFailed()
      fail(error, Clock.now())
    }
    noteRunning()
  }

  private enum Outcome {
    case done(copied: Int)
    /// Not coded, for the rate's sake.
    case leftOut
    case failed(TaskOutcome)
  }

  private func encode(_ frame: consuming Frame, _ now: Int64, _ wait: Int64) -> Outcome {
    guard now >= held.value.retryAt else {
      node.work.drop(.deviceError, frame.name)
      return .failed(.failed)
    }
    let changes = configurationChanges.load(ordering: .acquiring)
    let ready: VencEngine?
    do throws(Failure) {
      ready = try prepare(frame.layout, changes, now)
    } catch {
      encoderCounters.configureFailed()
      fail(error, now)
      node.work.drop(.deviceError, frame.name)
      return .failed(TaskOutcome(error))
    }
    guard let ready else {
      node.work.drop(.formatMismatch, frame.name)
      return .failed(.failed)
    }
    let key = wantsKey.exchange(false, ordering: .acquiringAndReleasing) || frame.stamps.startsAnew
    if key { effects.keyRequested(pts: frame.pts) }
    let start = Clock.now()
    encoderCounters.began(at: start, configure: start - now)
    do throws(Failure) {
      switch try ready.encode(frame, wantsKey: key, user: node.user, start: now, wait: wait) {
      case .encoded(let copied):
        if held.value.failures > 0, !ready.isAsynchronous { recovered() }
        return .done(copied: copied)
      case .noBuffer:
        if key { wantsKey.store(true, ordering: .relaxed) }
        node.work.drop(.noBuffer, frame.name)
        return .failed(.failed)
      case .unpainted:
        if key { wantsKey.store(true, ordering: .relaxed) }
        return .failed(.failed)
      case .leftOut:
        encoderCounters.leftOut()
        node.work.drop(.rateControl, frame.name)
        return .leftOut
      }
    } catch {
      encoderCounters.startFailed()
      if key { wantsKey.store(true, ordering: .relaxed) }
      fail(error, now)
      return .failed(TaskOutcome(error))
    }
  }

  /// The engine for frames of this layout, with the settings of now.
  private func prepare(_ layout: FrameLayout, _ changes: UInt64, _ now: Int64) throws(Failure) -> VencEngine? {
    if let engine = held.value.engine, engine.layout == layout,
      held.value.choice.isDue(at: now, version: environment.enginesVersion)
    {
      if mayLeave(engine.factory) || engine.conversion?.isOutdated ?? false {
        finish(engine)
      } else if let better = better(than: engine, at: now) {
        replace(engine, by: better)
        held.value.seenChanges = changes
        return better
      }
    }
    if let engine = held.value.engine, engine.layout == layout {
      guard changes != held.value.seenChanges else { return engine }
      let new = configuration(settings, engine.factory, engine.configuration.codec, layout)
      held.value.seenChanges = changes
      do throws(Failure) {
        if try engine.reconfigure(new) {
          show(engine)
          return engine
        }
      } catch {
        // One that is opened anew has the setting, or says why not.
        log(.warning, "\(path): \(error)")
      }
    }
    if let old = held.value.engine { finish(old) }
    held.value.seenChanges = changes
    try open(layout)
    wantsKey.store(true, ordering: .relaxed)
    return held.value.engine
  }

  /// Opens the best engine there is. The channel has none.
  private func open(_ layout: FrameLayout) throws(Failure) {
    let settings = settings
    let (engines, codec) = try found(settings)
    let new = try held.value.choice.open(engines, at: Clock.now(), version: environment.enginesVersion) {
      factory throws(Failure) in try make(factory, codec, settings, layout)
    }
    take(new)
  }

  /// An engine that would have been taken instead of this one, had it been there.
  private func better(than old: VencEngine, at now: Int64) -> VencEngine? {
    let settings = settings
    do throws(Failure) {
      let (engines, codec) = try found(settings)
      return held.value.choice.better(than: old.factory, engines, at: now, version: environment.enginesVersion) {
        factory throws(Failure) in try make(factory, codec, settings, old.layout)
      }
    } catch {
      return nil
    }
  }

  /// Its device was taken out of work, and another engine is there that may take its place.
  private func mayLeave(_ factory: any EncoderFactory) -> Bool {
    guard let device = factory.device, let able = try? found(settings).0 else { return false }
    return !able.contains { $0.device == device }
  }

  var hasOtherEngine: Bool { used.map { mayLeave($0.factory) || $0.converter?.mayBeLeft ?? false } ?? false }

  /// The engines to be tried, the preferred first.
  private func found(
    _ settings: ObjectSettings, for operation: String = "open"
  ) throws(Failure) -> ([any EncoderFactory], Codec) {
    do throws(Refusal) {
      let (engines, codec) = try candidates(settings)
      guard settings.text("backend") ?? "auto" == "auto" else { return (engines, codec) }
      return (environment.services.inWork(engines) { $0.device }, codec)
    } catch {
      throw Failure(error.errno, operation, on: "\(path)", error.reason)
    }
  }

  private func make(
    _ factory: any EncoderFactory, _ codec: Codec, _ settings: ObjectSettings, _ layout: FrameLayout
  ) throws(Failure) -> VencEngine {
    let writer = PictureWriter(node: node, ring: ring, codec: codec, shown: syntax) {
      [unowned self] picture, bytes, pts, now in
      coded(picture, bytes, pts, now)
    }
    writer.onTakenBack = { [unowned self] fate in encoderCounters.takenBack(fate) }
    do throws(Failure) {
      return try VencEngine(
        factory: factory, configuration: configuration(settings, factory, codec, layout), layout: layout,
        writer: writer, channel: core)
    } catch {
      log(.warning, "\(path): \(factory.name): \(error)")
      throw error
    }
  }

  private func replace(_ old: VencEngine, by new: VencEngine) {
    finish(old)
    take(new)
    wantsKey.store(true, ordering: .relaxed)
  }

  private func finish(_ old: VencEngine) {
    do throws(Failure) { try old.drain() } catch { log(.warning, "\(path): \(error)") }
    close(old)
  }

  private func take(_ new: VencEngine) {
    held.value.engine = new
    core.work(on: new.device)
    show(new)
    log(
      .information, "\(path): \(new.encoder.engine) opened for \(new.layout.width)x\(new.layout.height)")
  }

  private func show(_ engine: VencEngine) {
    inUse.store(VencInUse(engine, why: held.value.choice.why(engine.factory)))
  }

  private func coded(_ picture: CodedPicture, _ bytes: Int, _ pts: Int64, _ now: Int64) {
    let engine = held.value.engine
    let control = engine?.control
    control?.coded(picture.type, isKey: picture.isKey, qp: picture.qp, bytes: bytes)
    let status = control?.status
    var picture = picture
    // Where the coding's headers do not tell, it is what was asked for.
    if picture.qp == nil, engine?.configuration.codec == .fwht { picture.qp = status?.asked }
    if engine?.encoder.capabilities.contains(.headerHasFirstBlock) ?? false { picture.asked = status?.asked }
    encoderCounters.coded(picture, bytes: bytes, pts: pts, at: now)
    effects.picture(picture, bytes: bytes, pts: pts, leftOut: encoderCounters.framesLeftOut)
    engine?.pictures += 1
    if held.value.failures > 0 { recovered() }
    guard let engine else { return }
    if engine.supervise(isKey: picture.isKey, bytes: bytes, pts: pts) { show(engine) }
    if let status { encoderCounters.controlled(status) }
  }

  private func fail(_ failure: Failure, _ now: Int64) {
    held.value.failures += 1
    if held.value.failures == 1 || state.value.kind == .running { fails(failure) }
    guard held.value.engine.map({ $0.encoder.isBroken }) ?? true || held.value.failures >= VencChannel.patience
    else { return }
    // It will not get better by itself: open it anew, ever more seldom.
    var goesOver = false
    if let engine = held.value.engine {
      goesOver = engine.pictures == 0 && (try? candidates(settings).0.count) ?? 0 > 1
      if goesOver { held.value.choice.giveUp(engine.factory.name, failure) }
      close(engine)
    }
    guard !goesOver else { return }
    held.value.retryAt = now + min(.seconds(2), .milliseconds(50) << Int64(min(held.value.failures, 6)))
  }

  private func recovered() {
    held.value.failures = 0
    works()
  }
}
