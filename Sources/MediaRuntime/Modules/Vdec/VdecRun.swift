// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One run of a decoder channel, a coded picture a turn: taken from a file or from `feed`, decoded, and given when it is
/// due. A turn may wait for the file and for the picture's time.
///
/// Ownership: the channel holds the run; the run owns the input, the engine and the pictures that wait.
final class VdecRun: Sendable {
  /// Where coded bytes come from.
  enum Input {
    case file(VdecFile)
    case feed(FeedQueue)
  }

  /// Units that may go by without a picture to start from, then decoding is tried all the same.
  static let keyPatience = 300
  /// Pictures of a stream that may come without one that can be shown, before it is said why.
  static let hopeful = 60
  /// Failures in a row after which the engine is opened anew, or the stream is called bad.
  static let patience = 5

  let channel: VdecChannel
  let engine: VdecEngine
  let counters = VdecCounters()
  let mode: VdecPaceMode
  /// What the file's container says of its pictures.
  private let told: (color: ColorDescription, aspect: SampleAspect)
  let shown = Published<VdecInUse?>(nil)
  private let input: Input
  private let stopping = Atomic<Bool>(false)
  /// For the pauses of a turn.
  private let parked = Monitor(0)
  let work: Confined<VdecWork>

  var node: Node { channel.node }
  var environment: Environment { channel.environment }

  init(_ channel: VdecChannel, input: Input, engine: VdecEngine) {
    self.channel = channel
    self.input = input
    self.engine = engine
    let now = channel.settings
    let asked = now.text("codec").flatMap(Codec.init(rawValue:))
    let source: (any PacketSource)? = if case .file(let file) = input { file.source } else { nil }
    told = (source?.color ?? .unspecified, source?.aspect ?? .unknown)
    mode = VdecPaceMode(rawValue: now.text("pace") ?? "auto") ?? .auto
    work = Confined(
      VdecWork(
        codec: source?.codec ?? asked, container: source?.frameRate, asked: asked, assumed: now.rate("fps") ?? .thirty),
      to: channel.session.affinity)
    if !isPaced { environment.room.countUnpaced(1) }
  }

  var isPaced: Bool { mode != .none && !environment.room.isLossless }
  var loops: Bool { channel.settings.flag("loop") }
  var feed: FeedQueue? {
    if case .feed(let queue) = input { return queue }
    return nil
  }
  var file: VdecFile? {
    if case .file(let file) = input { return file }
    return nil
  }
  var summary: String { file?.source.summary ?? "feed" }

  // MARK: life

  /// Ends every wait, for good. From any thread.
  func interrupt() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    file?.interrupt()
    engine.interrupt()
    feed?.wakeReader()
    parked.wakeAll()
    environment.wakeAwaiting()
  }

  var isStopping: Bool { stopping.load(ordering: .relaxed) }

  /// Waits; what the decoder gives meanwhile is taken.
  func pause(_ nanoseconds: Int64) { pause(until: Clock.now() + nanoseconds) }

  func pause(until deadline: Int64) {
    while hasCollected(until: deadline) {}
    _ = parked.wait(until: deadline) { _ in isStopping ? true : nil }
  }

  /// - Returns: false when nothing more will come.
  func turn() -> Bool {
    if work.value.isFirst {
      work.value.isFirst = false
      environment.awaitStarts(cancelled: { isStopping })
    }
    guard !isStopping else { return false }
    let goesOn =
      switch input {
      case .file(let file): play(file)
      case .feed(let queue): follow(queue)
      }
    if !goesOn, !isStopping { letGo() }
    return goesOn
  }

  /// Gives up the decoder and the pictures that wait.
  private func letGo() {
    // What a device makes of the units inside nobody sees any more: their tasks end here.
    let outcome: TaskOutcome? = !engine.worksByItself ? nil : channel.session.isStuck ? .timedOut : .done
    engine.close()
    work.value.letPicturesGo()
    lose(outcome, .flushed)
    work.value.ledger.removeAll { name, _ in node.work.drop(.flushed, name) }
    for _ in 0..<work.value.waiting { node.work.drop(.flushed, .unknown, at: .output) }
    work.value.waiting = 0
  }

  /// The end of the run. Once.
  func close() {
    letGo()
    if !isPaced { environment.room.countUnpaced(-1) }
  }

  // MARK: decoding

  /// Has one unit decoded and gives what came of it.
  func take(_ unit: CodedUnit) {
    guard let codec = work.value.codec else { return }
    let name = DroppedFrame(pts: unit.pts ?? .min)
    guard !unit.bytes.isEmpty else {
      node.input.counters.countAlone(at: Clock.now())
      node.work.drop(.deviceError, name)
      if unit.isCutOff { counters.damagedUnit() }
      return work.value.entry.hurt()
    }
    let info = work.value.read(unit.bytes)
    if info.syntaxChanged { show() }
    counters.missing(info.picture.missing)
    if info.isFrame {
      node.input.counters.countAlone(at: Clock.now())
    }
    if info.isKey, engine.mayBeBettered() {
      // What the one in use still holds comes out; the next begins here.
      drain()
      engine.close()
    }
    guard ready(codec) else {
      if info.isFrame { node.work.drop(isStopping ? .flushed : .formatMismatch, name) }
      return
    }
    guard hasEntered(info, name, codec) else { return }
    var isHurt = info.isHurt
    if unit.isCutOff {
      counters.damagedUnit()
      // What refers to something lost is not given either.
      guard work.value.standsAlone || engine.decoder?.entry != .keyPictures else {
        if info.isFrame { node.work.drop(.deviceError, name) }
        return
      }
      isHurt = true
    }
    var number: Int64 = -1
    if info.isFrame {
      let now = Clock.now()
      let noted = UnitLedger.Unit(
        pts: unit.pts, duration: unit.duration, takenAt: now, cameAt: work.value.cameAt,
        worked: work.value.worked(until: now), isHurt: isHurt,
        isReference: info.picture.isReference)
      let entry = work.value.ledger.enter(noted, isKey: info.isKey)
      number = entry.number
      if let lost = entry.lost {
        leaveOut(lost.name(number - Int64(UnitLedger.capacity)), lost)
        if engine.worksByItself { record(.failed, lost, at: now) }
      }
    }
    if work.value.hasWaited { (work.value.hasWaited, work.value.hasResumed) = (false, true) }
    if work.value.needsSets, info.picture.slices > 0, let missing = work.value.sets?.missing(in: unit.bytes) {
      work.value.needsSets = false
      (missing + unit.bytes).withUnsafeBytes { decode($0, number, codec, info.picture) }
    } else {
      decode(unit.bytes, number, codec, info.picture)
    }
    give()
  }

  private func decode(_ unit: UnsafeRawBufferPointer, _ number: Int64, _ codec: Codec, _ picture: PictureInfo) {
    guard let decoder = engine.decoder else { return }
    let start = Clock.now()
    channel.session.began(at: start)
    work.value.busy(at: start)
    let failure = ask { (sink) throws(Failure) in try decoder.submit(unit, pts: number, into: &sink) }
    let end = Clock.now()
    let copied = engine.takeBytesCopied()
    if failure == nil, number >= 0, engine.worksByItself {
      // Its task ends with its picture.
      node.work.copied(copied)
    } else {
      node.work.record(TaskOutcome(failure), wait: 0, run: end - start, copied: copied, end: end)
    }
    noteBusy(at: end)
    guard let failure else {
      if !engine.worksByItself { work.value.failures = 0 }
      return settleLoss(codec)
    }
    work.value.loss = nil
    if let unit = work.value.ledger.settle(number) {
      node.work.drop(
        isStopping ? .flushed : failure.errno == .noBufferSpace ? .noBuffer : .deviceError,
        unit.name(number))
    }
    if !isStopping { failed(failure, decoder, codec, picture) }
  }

  /// Calls the decoder and takes what comes.
  private func ask(_ body: (inout VdecSink) throws(Failure) -> Void) -> Failure? {
    var sink = VdecSink(run: self)
    var failure: Failure?
    work.value.isAsking = true
    do throws(Failure) {
      try body(&sink)
    } catch {
      failure = error
    }
    work.value.isAsking = false
    do throws(Failure) {
      if try engine.notePool() { show() }
    } catch {
      engine.giveUp()
      failure = failure ?? error
    }
    // Those of pictures that were given have been looked at with each.
    _ = engine.takeDamaged()
    return failure
  }

  /// The decoder is at work as long as something is inside.
  private func noteBusy(at now: Int64) {
    if engine.decoder?.inside ?? 0 > 0, let since = work.value.busySince {
      channel.session.running(since: since)
    } else {
      work.value.idle(at: now)
      channel.session.ended()
    }
  }

  /// Waits for a decoder that works by itself, and takes what comes of it.
  /// - Parameters:
  ///   - deadline: CLOCK_MONOTONIC nanoseconds; it may come back up to a millisecond before.
  ///   - isNeeded: asked once more before the wait.
  /// - Returns: whether it has waited.
  func hasCollected(until deadline: Int64, while isNeeded: () -> Bool = { true }) -> Bool {
    guard !isStopping, !work.value.isAsking, let decoder = engine.decoder, decoder.waker != nil,
      let codec = engine.codec, deadline - Clock.now() > .milliseconds(1)
    else { return false }
    return channel.session.wait(
      while: { !isStopping && isNeeded() },
      in: {
        let failure = ask { (sink) throws(Failure) in try decoder.collect(until: deadline, into: &sink) }
        noteBusy(at: Clock.now())
        guard let failure else { return settleLoss(codec) }
        work.value.loss = nil
        if !isStopping { failed(failure, decoder, codec) }
      })
  }

  /// Nothing more comes of what is inside the decoder.
  /// - Parameter outcome: of the tasks that end so; `nil` where they have ended before.
  func lose(_ outcome: TaskOutcome?, _ cause: DropCause = .deviceError) {
    let now = Clock.now()
    let worked = work.value.worked(until: now)
    work.value.ledger.removeAll(keeping: true) { name, unit in
      if cause == .flushed { node.work.drop(cause, name) } else { leaveOut(name, unit) }
      if let outcome { node.work.record(outcome, wait: 0, run: worked - unit.worked, end: now) }
    }
    work.value.idle(at: now)
    channel.session.ended()
  }

  /// The task of a unit that a decoder that works by itself was given has ended.
  func record(_ outcome: TaskOutcome, _ unit: UnitLedger.Unit, at now: Int64) {
    node.work.record(outcome, wait: 0, run: work.value.worked(until: now) - unit.worked, end: now)
  }

  /// An open decoder, waiting for one ever longer while none can be opened.
  /// - Returns: false when the run ends, or what is fed is of a coding that none here decodes.
  private func ready(_ codec: Codec) -> Bool {
    if engine.decoder != nil, engine.codec == codec { return true }
    while !isStopping {
      do throws(Failure) {
        try engine.open(codec)
        work.value.retries = 0
        (work.value.waitsForKey, work.value.needsSets) = (true, true)
        channel.log(.information, "\(node.path): \(engine.decoder?.engine ?? "") opened")
        show()
        return true
      } catch {
        report(error)
        // What one writer fed in a coding that nothing here decodes must not hold up those that come after.
        if feed != nil, error.errno == .notSupported { return false }
        work.value.retries += 1
        pause(min(.seconds(2), .milliseconds(50) << Int64(min(work.value.retries, 6))))
      }
    }
    return false
  }

  /// Nothing more comes of this stream: the pictures still inside come out.
  func drain() {
    var outcome: TaskOutcome? = engine.worksByItself ? .failed : nil
    if let decoder = engine.decoder {
      let start = Clock.now()
      channel.session.works(at: start)
      work.value.busy(at: start)
      let failure = ask { (sink) throws(Failure) in try decoder.drain(into: &sink) }
      node.work.copied(engine.takeBytesCopied())
      if let failure, !isStopping {
        channel.log(.warning, "\(node.path): \(failure)")
        if outcome != nil { outcome = TaskOutcome(failure) }
        if decoder.isBroken || failure.errno != .illegalByteSequence { engine.giveUp() }
      }
      give()
    }
    work.value.loss = nil
    lose(outcome)
    (work.value.waitsForKey, work.value.needsSets) = (true, true)
    work.value.keyMissed = 0
    work.value.isBroken = false
  }

  /// What a decoder's pictures mean: as it says, which knows what it has converted, else as the stream's headers say, else the
  /// container. The shape is the container's to say first, as players take it.
  func meant(_ layout: FrameLayout) -> FrameLayout {
    var layout = layout
    let syntax = work.value.parser?.syntax
    if layout.color == .unspecified, let syntax { layout.color = syntax.color }
    if layout.color == .unspecified { layout.color = told.color }
    if told.aspect != .unknown {
      layout.aspect = told.aspect
    } else if layout.aspect == .unknown, let syntax {
      layout.aspect = syntax.aspect
    }
    return layout
  }

  // MARK: reports

  /// Publishes what is in use.
  func show() {
    guard let decoder = engine.decoder, let factory = engine.factory else { return }
    shown.store(
      VdecInUse(
        backend: factory.name, engine: decoder.engine, codec: work.value.codec,
        layout: decoder.layout.map { meant($0) }, syntax: work.value.parser?.syntax, memory: decoder.memoryKind,
        rate: work.value.rate,
        why: engine.why, remarks: decoder.remarks))
  }
}
