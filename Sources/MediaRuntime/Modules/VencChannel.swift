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
final class VencChannel: GraphObject, SessionWork {
  /// Failures in a row after which the engine is opened anew.
  static let patience = 5

  let node: Node
  let state = Published(RunState(.stopped))
  let tap = FrameTap()
  var session: Session? { work }
  let ring: PacketRing
  let effects: EffectTracker
  let encoderCounters = EncoderCounters()
  let syntax = Published<StreamSyntax?>(nil)

  let environment: Environment
  private let work: Session
  private let workplace: Workplace
  private let settings: Published<NumberedSettings>
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
  private let worker: Confined<Worker>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    self.node = node
    self.environment = environment
    self.settings = Published(NumberedSettings(settings, version: 0))
    self.work = Session(node.path, service: environment.services.cpu)
    self.worker = Confined(Worker(), to: work.affinity)
    self.workplace = Workplace(work, environment.services)
    self.ring = PacketRing(capacity: 512 << 10, limit: environment.options.ringLimit)
    self.effects = EffectTracker(path: "\(node.path)")
    node.input.connect(work)
    work.attach(self)
    work.alarm = { [weak self] in self?.inUse.edition.value?.waker?.wake() }
    node.input.watchUpstream { [weak self] in self?.upstreamChanged() }
  }

  var current: ObjectSettings { settings.value.settings }
  var used: VencInUse? { inUse.value }

  // MARK: administration

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    let old = settings.value
    if state.value.isRunning { record(changed, old.settings, new) }
    settings.store(NumberedSettings(new, version: old.version + 1))
    upstreamChanged()
  }

  func start() throws(Failure) {
    guard !state.value.isRunning else { return }
    guard work.isIdle else {
      throw Failure(.resourceBusy, "enable", on: "\(path)", "its engine has not come back from the last frame")
    }
    work.affinity.within { clear() }
    let first: any EncoderFactory
    do throws(Refusal) {
      first = try candidates(current).0[0]
    } catch {
      throw Failure(error.errno, "enable", on: "\(path)", error.reason)
    }
    ring.open()
    encoderCounters.restart(realtime: Clock.realtimeMicroseconds())
    effects.restart()
    // Also opening the engine, where that has to wait for the first frame, is then not a CPU worker's business.
    settle(on: first.device)
    if let layout = node.input.upstream?.format?.layout {
      do throws(Failure) {
        try work.affinity.within { () throws(Failure) in try open(layout) }
      } catch {
        ring.close()
        settle(on: nil)
        throw error
      }
    }
    wantsKey.store(true, ordering: .releasing)
    state.store(RunState(.running))
    effects.add(EffectChange(key: "enable", old: "0", new: "1", measure: .keyFrame))
    updateFrameControl()
    work.resume()
    node.input.accept(true)
    environment.log(.encoder, .information, "\(path) started: \(used?.engine ?? first.name)")
  }

  func stop() {
    guard state.value.isRunning else { return }
    node.input.accept(false)
    let came = work.halt()
    if came {
      work.affinity.within { clear() }
    } else {
      // `cameBack` clears then.
      environment.log(.encoder, .error, "\(path): the engine does not come back from its frame")
      environment.listener?.failed(
        path, Failure(.timedOut, "disable", on: "\(path)", "the engine does not come back from its frame"))
    }
    ring.close()
    inUse.store(nil)
    state.store(RunState(.stopped))
    effects.addSettled(key: "enable", old: "1", new: "0", measured: came ? "stopped" : "engine still busy")
    environment.room.wake()
    environment.log(.encoder, .information, "\(path) stopped")
  }

  /// Gives up the engine and what waits. Only while the session is halted and idle.
  private func clear() {
    node.input.flush(into: node.work)
    if let engine = worker.value.engine { finish(engine) }
    worker.value.choice = VencChoice()
    worker.value.failures = 0
    worker.value.retryAt = 0
    settle(on: nil)
    work.ended()
  }

  func cameBack() { clear() }

  private func close(_ old: VencEngine) {
    old.writer.finishStream()
    if let pool = old.pool {
      pool.close()
      environment.pools.giveUp(pool)
    }
    worker.value.engine = nil
  }

  /// Has the next frames coded where they wait for that device, or by the CPU workers.
  private func settle(on device: String?) {
    if let obstacle = workplace.work(on: device) { environment.log(.encoder, .warning, "\(path): \(obstacle)") }
  }

  func perform(_ command: String, argument: String) throws(Refusal) {
    guard command == "idr" else {
      throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command", hint: "idr")
    }
    guard state.value.isRunning else {
      throw notRunning("idr")
    }
    let (engines, codec) = try candidates(current)
    let factory = used?.factory ?? engines[0]
    guard codec == .mjpeg || factory.capabilities(for: codec).contains(.forceType) else {
      throw Refusal(.notSupported, path: "\(path)/idr", reason: "\(factory.name) takes no request for a key frame")
    }
    effects.add(EffectChange(key: "idr", old: "", new: "1", measure: .keyFrame))
    wantsKey.store(true, ordering: .releasing)
  }

  func retire() {
    node.input.watchUpstream(nil)
    node.input.bind(to: nil)
    ring.retire()
    work.retire()
    environment.slots.leave(node.user)
  }

  // MARK: the worker

  func perform() -> Bool {
    if let engine = worker.value.engine, engine.encoder.inside > 0 {
      var hasWaited = false
      work.wait(
        while: { node.input.waiting == 0 },
        in: {
          hasWaited = true
          collect(engine)
        })
      if hasWaited { return true }
    }
    guard var frame = node.input.queue.pop() else { return isBusy }
    environment.room.made(in: node.input)
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    work.began(at: start)
    frame.stamps.started = start
    tap.pass(frame)
    let outcome = encode(frame, start, wait)
    let end = Clock.now()
    switch outcome {
    // Its work ends with its picture.
    case .done(let copied) where worker.value.engine?.isAsynchronous == true: node.work.copied(copied)
    case .done(let copied): node.work.record(.done, wait: wait, run: end - start, copied: copied, end: end)
    case .failed: node.work.record(.failed, wait: wait, run: end - start, end: end)
    }
    noteRunning()
    return true
  }

  private var isBusy: Bool { (worker.value.engine?.encoder.inside ?? 0) > 0 }

  private func noteRunning() {
    if isBusy, let since = worker.value.engine?.writer.busySince { work.running(since: since) } else { work.ended() }
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
    case failed
  }

  private func encode(_ frame: consuming Frame, _ now: Int64, _ wait: Int64) -> Outcome {
    guard now >= worker.value.retryAt else {
      node.work.drop(.deviceError, frame.name)
      return .failed
    }
    let changes = configurationChanges.load(ordering: .acquiring)
    let ready: VencEngine?
    do throws(Failure) {
      ready = try prepare(frame.layout, changes, now)
    } catch {
      encoderCounters.configureFailed()
      fail(error, now)
      node.work.drop(.deviceError, frame.name)
      return .failed
    }
    guard let ready else {
      node.work.drop(.formatMismatch, frame.name)
      return .failed
    }
    let key = wantsKey.exchange(false, ordering: .acquiringAndReleasing) || frame.stamps.startsAnew
    if key { effects.keyRequested(pts: frame.pts) }
    let start = Clock.now()
    encoderCounters.began(at: start, configure: start - now)
    do throws(Failure) {
      switch try ready.encode(frame, wantsKey: key, user: node.user, start: now, wait: wait) {
      case .encoded(let copied):
        if worker.value.failures > 0, !ready.isAsynchronous { recovered() }
        return .done(copied: copied)
      case .noBuffer:
        node.work.drop(.noBuffer, frame.name)
        return .failed
      }
    } catch {
      encoderCounters.startFailed()
      if key { wantsKey.store(true, ordering: .relaxed) }
      fail(error, now)
      return .failed
    }
  }

  /// The engine for frames of this layout, with the settings of now.
  private func prepare(_ layout: FrameLayout, _ changes: UInt64, _ now: Int64) throws(Failure) -> VencEngine? {
    if let engine = worker.value.engine, engine.layout == layout {
      if worker.value.choice.isDue(at: now, version: environment.enginesVersion),
        let better = better(than: engine, at: now)
      {
        replace(engine, by: better)
        worker.value.seenChanges = changes
        return better
      }
      guard changes != worker.value.seenChanges else { return engine }
      let new = configuration(current, engine.factory, engine.configuration.codec, layout)
      worker.value.seenChanges = changes
      do throws(Failure) {
        if try engine.reconfigure(new) {
          show(engine)
          return engine
        }
      } catch {
        // One that is opened anew has the setting, or says why not.
        environment.log(.encoder, .warning, "\(path): \(error)")
      }
    }
    if let old = worker.value.engine { finish(old) }
    worker.value.seenChanges = changes
    try open(layout)
    wantsKey.store(true, ordering: .relaxed)
    return worker.value.engine
  }

  /// Opens the best engine there is. The channel has none.
  private func open(_ layout: FrameLayout) throws(Failure) {
    let settings = current
    let (engines, codec) = try found(settings)
    let new = try worker.value.choice.open(engines, at: Clock.now(), version: environment.enginesVersion) {
      factory throws(Failure) in try make(factory, codec, settings, layout)
    }
    take(new)
  }

  /// An engine that would have been taken instead of this one, had it been there.
  private func better(than old: VencEngine, at now: Int64) -> VencEngine? {
    let settings = current
    do throws(Failure) {
      let (engines, codec) = try found(settings)
      return worker.value.choice.better(than: old.factory, engines, at: now, version: environment.enginesVersion) {
        factory throws(Failure) in try make(factory, codec, settings, old.layout)
      }
    } catch {
      return nil
    }
  }

  private func found(_ settings: ObjectSettings) throws(Failure) -> ([any EncoderFactory], Codec) {
    do throws(Refusal) {
      return try candidates(settings)
    } catch {
      throw Failure(error.errno, "open", on: "\(path)", error.reason)
    }
  }

  private func make(
    _ factory: any EncoderFactory, _ codec: Codec, _ settings: ObjectSettings, _ layout: FrameLayout
  ) throws(Failure) -> VencEngine {
    let writer = PictureWriter(node: node, ring: ring, codec: codec, shown: syntax) {
      [unowned self] picture, bytes, pts, now in
      coded(picture, bytes, pts, now)
    }
    do throws(Failure) {
      return try VencEngine(
        factory: factory, configuration: configuration(settings, factory, codec, layout), layout: layout,
        writer: writer, node: node, environment: environment)
    } catch {
      environment.log(.encoder, .warning, "\(path): \(factory.name): \(error)")
      throw error
    }
  }

  private func replace(_ old: VencEngine, by new: VencEngine) {
    finish(old)
    take(new)
    wantsKey.store(true, ordering: .relaxed)
  }

  private func finish(_ old: VencEngine) {
    do throws(Failure) { try old.drain() } catch { environment.log(.encoder, .warning, "\(path): \(error)") }
    close(old)
  }

  private func take(_ new: VencEngine) {
    worker.value.engine = new
    settle(on: new.device)
    show(new)
    environment.log(
      .encoder, .information, "\(path): \(new.encoder.engine) opened for \(new.layout.width)x\(new.layout.height)")
  }

  private func show(_ engine: VencEngine) {
    inUse.store(
      VencInUse(
        factory: engine.factory, engine: engine.encoder.engine, configuration: engine.configuration,
        layout: engine.layout, conversion: engine.conversionText, pool: engine.pool, waker: engine.encoder.waker,
        why: worker.value.choice.why(engine.factory),
        remarks: engine.encoder.remarks))
  }

  private func coded(_ picture: CodedPicture, _ bytes: Int, _ pts: Int64, _ now: Int64) {
    encoderCounters.coded(picture, bytes: bytes, at: now)
    effects.picture(picture, bytes: bytes, pts: pts)
    let engine = worker.value.engine
    engine?.pictures += 1
    if worker.value.failures > 0 { recovered() }
    engine?.control.coded(picture.type, isKey: picture.isKey, qp: picture.qp, bytes: bytes)
  }

  private func fail(_ failure: Failure, _ now: Int64) {
    worker.value.failures += 1
    if worker.value.failures == 1 || state.value.kind == .running {
      environment.log(.encoder, .error, "\(path): \(failure)")
      if state.change(to: .failed("\(failure)")) { environment.listener?.failed(path, failure) }
    }
    guard worker.value.engine.map({ $0.encoder.isBroken }) ?? true || worker.value.failures >= VencChannel.patience
    else { return }
    // It will not get better by itself: open it anew, ever more seldom.
    var goesOver = false
    if let engine = worker.value.engine {
      goesOver = engine.pictures == 0 && (try? candidates(current).0.count) ?? 0 > 1
      if goesOver { worker.value.choice.giveUp(engine.factory.name, failure) }
      close(engine)
    }
    guard !goesOver else { return }
    worker.value.retryAt = now + min(.seconds(2), .milliseconds(50) << Int64(min(worker.value.failures, 6)))
  }

  private func recovered() {
    worker.value.failures = 0
    if state.change(to: .running) { environment.log(.encoder, .information, "\(path) works again") }
  }
}
