// SPDX-License-Identifier: Apache-2.0
import Atomics
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One run of a decoder channel: a thread that takes coded pictures from a file or from `feed`, has them decoded, and gives
/// the pictures when they are due.
///
/// A thread of its own, so that a decoder that hangs holds up nobody else. Ownership: the thread holds the run; the run owns
/// the input, the engine and the pictures that wait. `end` lets go of a thread that does not come back.
final class VdecRun: AtomicReference, Sendable {
  /// Where coded bytes come from.
  enum Input {
    case file(any PacketSource)
    case feed(FeedQueue)
  }

  /// Units that may go by without a picture to start from, then decoding is tried all the same.
  static let keyPatience = 300
  /// Failures in a row after which the engine is opened anew, or the stream is called bad.
  static let patience = 5

  let node: Node
  let environment: Environment
  let engine: VdecEngine
  let counters = VdecCounters()
  let summary: String
  private let mode: VdecPaceMode
  let shown = ManagedAtomic<VdecInUse?>(nil)
  private let input: Input
  private let settings: ManagedAtomic<SettingsBox>
  private let tap: FrameTap
  private let changed: @Sendable (RunState.Kind) -> Void
  private let stopping = Atomic<Bool>(false)
  private let finished = Atomic<Bool>(false)
  private let busySince = Atomic<Int64>(0)
  private let parker = Parker()

  // Of the thread, or of the control lane before it runs.
  nonisolated(unsafe) var work: VdecWork

  init(
    _ node: Node, input: Input, engine: VdecEngine, settings: ManagedAtomic<SettingsBox>, tap: FrameTap,
    environment: Environment, changed: @escaping @Sendable (RunState.Kind) -> Void
  ) {
    self.node = node
    self.input = input
    self.engine = engine
    self.settings = settings
    self.tap = tap
    self.environment = environment
    self.changed = changed
    let now = settings.load(ordering: .acquiring).settings
    var codec = now.text("codec").flatMap(Codec.init(rawValue:))
    switch input {
    case .file(let source):
      summary = source.summary
      codec = source.codec
    case .feed: summary = "feed"
    }
    mode = VdecPaceMode(rawValue: now.text("pace") ?? "auto") ?? .auto
    work = VdecWork(
      codec: codec, asked: now.text("codec").flatMap(Codec.init(rawValue:)), assumed: now.rate("fps") ?? .thirty)
  }

  var isFinished: Bool { finished.load(ordering: .acquiring) }
  /// Since when the decoder is at a unit, CLOCK_MONOTONIC nanoseconds; 0 when it is at none.
  var decodingSince: Int64 { busySince.load(ordering: .relaxed) }
  var isPaced: Bool { mode != .none && !environment.room.isLossless }
  var loops: Bool { settings.load(ordering: .acquiring).settings.flag("loop") }
  var feed: FeedQueue? {
    if case .feed(let queue) = input { return queue }
    return nil
  }
  var file: (any PacketSource)? {
    if case .file(let source) = input { return source }
    return nil
  }

  // MARK: life

  func begin() throws(Failure) {
    if !isPaced { environment.room.countUnpaced(1) }
    do throws(Failure) {
      let thread = try Thread(name: "vdec\(node.path.number)") { [self] in
        loop()
        if !isPaced { environment.room.countUnpaced(-1) }
        finished.store(true, ordering: .releasing)
        wake()
      }
      thread.detach()
    } catch {
      if !isPaced { environment.room.countUnpaced(-1) }
      finished.store(true, ordering: .releasing)
      throw error
    }
  }

  /// - Returns: false when the thread did not come back from its decoder in time.
  func end() -> Bool {
    stopping.store(true, ordering: .sequentiallyConsistent)
    file?.interrupt()
    engine.interrupt()
    feed?.wakeReader()
    environment.room.wake()
    let deadline = Clock.now() + Session.patience
    parker.lock()
    parker.broadcast()
    while !isFinished, parker.wait(until: deadline) {}
    parker.unlock()
    return isFinished
  }

  private func wake() {
    parker.lock()
    parker.broadcast()
    parker.unlock()
  }

  var isStopping: Bool { stopping.load(ordering: .relaxed) }

  func pause(_ nanoseconds: Int64) { pause(until: Clock.now() + nanoseconds) }

  private func pause(until deadline: Int64) {
    parker.lock()
    while !isStopping, parker.wait(until: deadline) {}
    parker.unlock()
  }

  private func loop() {
    switch input {
    case .file(let source): play(source)
    case .feed(let queue): follow(queue)
    }
    engine.close()
    while let frame = work.pictures.pop() { _ = consume frame }
    node.work.drop(.flushed, UInt64(work.ledger.removeAll() + work.waiting))
  }

  // MARK: decoding

  /// Has one unit decoded and gives what came of it.
  func take(_ unit: UnsafeRawBufferPointer, pts: Int64?, duration: Int64) {
    guard let codec = work.codec else { return }
    let info = work.read(unit)
    if info.syntaxChanged { show() }
    if info.isFrame {
      node.input.counters.countAlone(at: Clock.now())
    }
    if info.isKey, engine.mayBeBettered() {
      // What the one in use still holds comes out; the next begins here.
      drain()
      engine.close()
    }
    guard ready(codec) else {
      if info.isFrame { node.work.drop(.flushed) }
      return
    }
    if work.waitsForKey {
      guard info.isKey || work.keyMissed >= VdecRun.keyPatience else {
        work.keyMissed += 1
        if info.isFrame { node.work.drop(work.isBroken ? .deviceError : .flushed) }
        counters.waitedForKey()
        if work.keyMissed == 60, work.picturesOfStream == 0 {
          complain("no key picture among the first 60 of the stream", as: codec)
        }
        return
      }
      work.waitsForKey = false
      work.keyMissed = 0
      work.isBroken = false
    }
    var number: Int64 = -1
    if info.isFrame {
      let entry = work.ledger.enter(pts: pts, duration: duration, at: Clock.now())
      number = entry.number
      if entry.lost { node.work.drop(.deviceError) }
    }
    decode(unit, number, codec)
    give()
  }

  private func decode(_ unit: UnsafeRawBufferPointer, _ number: Int64, _ codec: Codec) {
    guard let decoder = engine.decoder else { return }
    let start = Clock.now()
    busySince.store(start, ordering: .relaxed)
    var failure: Failure?
    var sink = VdecSink(run: self)
    do throws(Failure) {
      try decoder.decode(unit, pts: number, into: &sink)
    } catch {
      failure = error
    }
    busySince.store(0, ordering: .relaxed)
    let end = Clock.now()
    if engine.notePool() { show() }
    node.work.record(
      failure == nil ? .done : .failed, wait: 0, run: end - start, copied: engine.takeBytesCopied(), end: end)
    counters.damagedPictures(engine.takeDamaged())
    guard let failure else {
      work.failures = 0
      return
    }
    if work.ledger.settle(number) != nil {
      node.work.drop(isStopping ? .flushed : failure.errno == .noBufferSpace ? .noBuffer : .deviceError)
    }
    if !isStopping { failed(failure, decoder, codec) }
  }

  private func failed(_ failure: Failure, _ decoder: any Decoder, _ codec: Codec) {
    // After a gap the pictures that refer to it would be wrong.
    work.waitsForKey = !work.standsAlone
    work.isBroken = true
    work.failures += 1
    switch failure.errno {
    case .illegalByteSequence:
      counters.damagedUnit()
      if work.failures == 1 {
        environment.log(.decoder, .warning, "\(node.path): \(failure); going on at the next key picture")
      }
      if work.failures == VdecRun.patience { complain("\(failure)", as: codec) }
    case .noBufferSpace:
      if work.failures == 1 { environment.log(.decoder, .warning, "\(node.path): \(failure)") }
    default:
      report(failure)
      guard decoder.isBroken || work.failures >= VdecRun.patience else { return }
      engine.giveUp()
      counters.reopened()
    }
  }

  /// Nothing more comes, which is no failure of anybody.
  func finish(_ why: String) {
    work.isReported = true
    changed(.failed(why))
    environment.log(.decoder, .warning, "\(node.path): \(why)")
  }

  /// The stream is not what it should be: says so in `state` and the error log, until a picture comes.
  func complain(_ why: String, as codec: Codec?) {
    let name = codec.map { " as \($0)" } ?? ""
    report(Failure(Errno(rawValue: EBADMSG), "decode", on: "\(summary)\(name)", why))
  }

  func report(_ failure: Failure) {
    guard !work.isReported else { return }
    work.isReported = true
    environment.listener?.failed(node.path, failure)
    environment.log(.decoder, .error, "\(node.path): \(failure)")
    changed(.failed("\(failure)"))
  }

  /// An open decoder, waiting for one ever longer while none can be opened.
  private func ready(_ codec: Codec) -> Bool {
    if engine.decoder != nil, engine.codec == codec { return true }
    while !isStopping {
      do throws(Failure) {
        try engine.open(codec)
        work.retries = 0
        work.waitsForKey = true
        environment.log(.decoder, .information, "\(node.path): \(engine.decoder?.engine ?? "") opened")
        show()
        return true
      } catch {
        report(error)
        work.retries += 1
        pause(min(2_000_000_000, 50_000_000 << Int64(min(work.retries, 6))))
      }
    }
    return false
  }

  /// Nothing more comes of this stream: the pictures still inside come out.
  func drain() {
    if let decoder = engine.decoder {
      let start = Clock.now()
      busySince.store(start, ordering: .relaxed)
      var sink = VdecSink(run: self)
      do throws(Failure) {
        try decoder.drain(into: &sink)
      } catch {
        if !isStopping {
          environment.log(.decoder, .warning, "\(node.path): \(error)")
          if decoder.isBroken || error.errno != .illegalByteSequence { engine.giveUp() }
        }
      }
      busySince.store(0, ordering: .relaxed)
      if engine.notePool() { show() }
      node.work.copied(engine.takeBytesCopied())
      give()
    }
    node.work.drop(.deviceError, UInt64(work.ledger.removeAll()))
    work.waitsForKey = true
    work.keyMissed = 0
    work.isBroken = false
  }

  // MARK: giving pictures

  /// Takes a picture from the decoder; it is given when the decoder has come back.
  fileprivate func came(_ frame: consuming Frame) {
    engine.pictures += 1
    work.picturesOfStream += 1
    guard !work.pictures.isFull else {
      // More at once than any decoder holds back.
      give()
      guard !work.pictures.isFull else {
        if work.ledger.settle(frame.pts) != nil { node.work.drop(.noBuffer) }
        return
      }
      work.pictures.push(frame)
      return
    }
    work.pictures.push(frame)
  }

  private func give() {
    while let frame = work.pictures.pop() { give(frame) }
  }

  private func give(_ frame: consuming Frame) {
    let unit = work.ledger.settle(frame.pts)
    if unit == nil {
      // Two pictures of one unit: the second came in with it.
      node.input.counters.countAlone(at: Clock.now())
    }
    if work.isReported {
      work.isReported = false
      changed(.running)
      environment.log(.decoder, .information, "\(node.path) decodes again")
    }
    let time = work.time(of: unit)
    announce(frame.layout)
    work.waiting = 1
    let keeps = isPaced ? keepsTime(time) : waitsForRoom(time)
    work.waiting = 0
    guard keeps else {
      _ = consume frame
      node.work.drop(isStopping ? .flushed : .late)
      return
    }
    frame.pts = work.pace.presentation(time)
    frame.stamps.captured = unit?.takenAt ?? Clock.now()
    tap.pass(frame)
    node.output.deliver(frame, at: Clock.now())
  }

  private func announce(_ layout: FrameLayout) {
    let rate = work.rate(file?.frameRate)
    let old = node.output.format
    guard old.map({ $0.layout != layout || $0.rate != rate }) ?? true else { return }
    if let old, (old.layout.width, old.layout.height) != (layout.width, layout.height) { counters.layoutChanged() }
    node.output.announce(StreamFormat(layout: layout, rate: rate))
    show()
  }

  /// Waits until the picture of this time is due.
  /// - Returns: false when it is left out.
  private func keepsTime(_ time: Int64) -> Bool {
    let now = Clock.now()
    let verdict = work.pace.judge(time, at: now, hasWaited: work.hasWaited)
    work.hasWaited = false
    counters.slips(work.pace.slips)
    switch verdict {
    case .leaveOut: return false
    case .now: return !isStopping
    case .due(let due):
      // A live stream that states no rate and comes faster than assumed is followed, or its backlog would grow.
      if mode == .auto, !work.statesRate, let feed, feed.growsSteadily(at: now) {
        work.pace.set(time, at: now)
        return !isStopping
      }
      pause(until: due)
      return !isStopping
    }
  }

  private func waitsForRoom(_ time: Int64) -> Bool {
    if work.pace.base == nil { work.pace.set(time, at: Clock.now()) }
    environment.room.wait(until: { node.output.hasRoom }, cancelled: { isStopping })
    return !isStopping
  }

  // MARK: reports

  /// Publishes what is in use.
  func show() {
    guard let decoder = engine.decoder, let factory = engine.factory else { return }
    shown.store(
      VdecInUse(
        backend: factory.name, engine: decoder.engine, codec: work.codec, layout: decoder.layout,
        syntax: work.parser?.syntax, memory: decoder.memoryKind, rate: work.rate(file?.frameRate),
        why: engine.why, remarks: decoder.remarks), ordering: .releasing)
  }
}

/// The door through which a decoder hands over its pictures.
struct VdecSink: FrameSink, ~Copyable {
  let run: VdecRun
  mutating func picture(_ frame: consuming Frame) { run.came(frame) }
}
