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
    case file(any PacketSource)
    case feed(FeedQueue)
  }

  /// Units that may go by without a picture to start from, then decoding is tried all the same.
  static let keyPatience = 300
  /// Failures in a row after which the engine is opened anew, or the stream is called bad.
  static let patience = 5

  private let channel: VdecChannel
  let engine: VdecEngine
  let counters = VdecCounters()
  let summary: String
  private let mode: VdecPaceMode
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
    var codec = asked
    switch input {
    case .file(let source):
      summary = source.summary
      codec = source.codec
    case .feed: summary = "feed"
    }
    mode = VdecPaceMode(rawValue: now.text("pace") ?? "auto") ?? .auto
    work = Confined(
      VdecWork(codec: codec, asked: asked, assumed: now.rate("fps") ?? .thirty), to: channel.session.affinity)
    if !isPaced { environment.room.countUnpaced(1) }
  }

  var isPaced: Bool { mode != .none && !environment.room.isLossless }
  var loops: Bool { channel.settings.flag("loop") }
  var feed: FeedQueue? {
    if case .feed(let queue) = input { return queue }
    return nil
  }
  var file: (any PacketSource)? {
    if case .file(let source) = input { return source }
    return nil
  }

  // MARK: life

  /// Ends every wait, for good. From any thread.
  func interrupt() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    file?.interrupt()
    engine.interrupt()
    feed?.wakeReader()
    parked.wakeAll()
  }

  var isStopping: Bool { stopping.load(ordering: .relaxed) }

  func pause(_ nanoseconds: Int64) { pause(until: Clock.now() + nanoseconds) }

  private func pause(until deadline: Int64) {
    _ = parked.wait(until: deadline) { _ in isStopping ? true : nil }
  }

  /// - Returns: false when nothing more will come.
  func turn() -> Bool {
    guard !isStopping else { return false }
    let goesOn =
      switch input {
      case .file(let source): play(source)
      case .feed(let queue): follow(queue)
      }
    if !goesOn, !isStopping { letGo() }
    return goesOn
  }

  /// Gives up the decoder and the pictures that wait.
  private func letGo() {
    engine.close()
    work.value.letPicturesGo()
    work.value.ledger.removeAll { node.work.drop(.flushed, $0) }
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
  func take(_ unit: UnsafeRawBufferPointer, pts: Int64?, duration: Int64) {
    guard let codec = work.value.codec else { return }
    let info = work.value.read(unit)
    let name = DroppedFrame(pts: pts ?? .min)
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
      if info.isFrame { node.work.drop(.flushed, name) }
      return
    }
    if work.value.waitsForKey {
      guard info.isKey || work.value.keyMissed >= VdecRun.keyPatience else {
        work.value.keyMissed += 1
        if info.isFrame { node.work.drop(work.value.isBroken ? .deviceError : .flushed, name) }
        counters.waitedForKey()
        if work.value.keyMissed == 60, work.value.picturesOfStream == 0 {
          complain("no key picture among the first 60 of the stream", as: codec)
        }
        return
      }
      work.value.waitsForKey = false
      work.value.keyMissed = 0
      work.value.isBroken = false
    }
    var number: Int64 = -1
    if info.isFrame {
      let entry = work.value.ledger.enter(pts: pts, duration: duration, at: Clock.now())
      number = entry.number
      if entry.lost {
        node.work.drop(.deviceError, DroppedFrame(number: UInt64(number - Int64(UnitLedger.capacity))))
      }
    }
    decode(unit, number, codec)
    give()
  }

  private func decode(_ unit: UnsafeRawBufferPointer, _ number: Int64, _ codec: Codec) {
    guard let decoder = engine.decoder else { return }
    let start = Clock.now()
    channel.session.began(at: start)
    var failure: Failure?
    var sink = VdecSink(run: self)
    do throws(Failure) {
      try decoder.decode(unit, pts: number, into: &sink)
    } catch {
      failure = error
    }
    channel.session.ended()
    let end = Clock.now()
    if engine.notePool() { show() }
    node.work.record(
      TaskOutcome(failure), wait: 0, run: end - start, copied: engine.takeBytesCopied(), end: end)
    counters.damagedPictures(engine.takeDamaged())
    guard let failure else {
      work.value.failures = 0
      return
    }
    if let unit = work.value.ledger.settle(number) {
      node.work.drop(
        isStopping ? .flushed : failure.errno == .noBufferSpace ? .noBuffer : .deviceError,
        DroppedFrame(number: UInt64(number), pts: unit.pts ?? .min))
    }
    if !isStopping { failed(failure, decoder, codec) }
  }

  private func failed(_ failure: Failure, _ decoder: any Decoder, _ codec: Codec) {
    // After a gap the pictures that refer to it would be wrong.
    work.value.waitsForKey = !work.value.standsAlone
    work.value.isBroken = true
    work.value.failures += 1
    switch failure.errno {
    case .illegalByteSequence:
      counters.damagedUnit()
      if work.value.failures == 1 {
        channel.log(.warning, "\(node.path): \(failure); going on at the next key picture")
      }
      if work.value.failures == VdecRun.patience { complain("\(failure)", as: codec) }
    case .noBufferSpace:
      if work.value.failures == 1 { channel.log(.warning, "\(node.path): \(failure)") }
    default:
      report(failure)
      guard decoder.isBroken || work.value.failures >= VdecRun.patience else { return }
      engine.giveUp()
      counters.reopened()
    }
  }

  /// Nothing more comes, which is no failure of anybody.
  func finish(_ why: String) {
    work.value.isReported = true
    channel.state.change(to: .failed(why))
    channel.log(.warning, "\(node.path): \(why)")
  }

  /// The stream is not what it should be: says so in `state` and the error log, until a picture comes.
  func complain(_ why: String, as codec: Codec?) {
    let name = codec.map { " as \($0)" } ?? ""
    report(Failure(Errno(rawValue: EBADMSG), "decode", on: "\(summary)\(name)", why))
  }

  func report(_ failure: Failure) {
    guard !work.value.isReported else { return }
    work.value.isReported = true
    channel.fails(failure)
  }

  /// An open decoder, waiting for one ever longer while none can be opened.
  private func ready(_ codec: Codec) -> Bool {
    if engine.decoder != nil, engine.codec == codec { return true }
    while !isStopping {
      do throws(Failure) {
        try engine.open(codec)
        work.value.retries = 0
        work.value.waitsForKey = true
        channel.log(.information, "\(node.path): \(engine.decoder?.engine ?? "") opened")
        show()
        return true
      } catch {
        report(error)
        work.value.retries += 1
        pause(min(.seconds(2), .milliseconds(50) << Int64(min(work.value.retries, 6))))
      }
    }
    return false
  }

  /// Nothing more comes of this stream: the pictures still inside come out.
  func drain() {
    if let decoder = engine.decoder {
      let start = Clock.now()
      channel.session.began(at: start)
      var sink = VdecSink(run: self)
      do throws(Failure) {
        try decoder.drain(into: &sink)
      } catch {
        if !isStopping {
          channel.log(.warning, "\(node.path): \(error)")
          if decoder.isBroken || error.errno != .illegalByteSequence { engine.giveUp() }
        }
      }
      channel.session.ended()
      if engine.notePool() { show() }
      node.work.copied(engine.takeBytesCopied())
      give()
    }
    work.value.ledger.removeAll { node.work.drop(.deviceError, $0) }
    work.value.waitsForKey = true
    work.value.keyMissed = 0
    work.value.isBroken = false
  }

  // MARK: giving pictures

  /// Takes a picture from the decoder; it is given when the decoder has come back.
  fileprivate func came(_ frame: consuming Frame) {
    engine.pictures += 1
    work.value.picturesOfStream += 1
    guard !work.value.pictures.isFull else {
      // More at once than any decoder holds back.
      give()
      guard !work.value.pictures.isFull else {
        // A picture carries its unit's number in place of its time.
        if let unit = work.value.ledger.settle(frame.pts) {
          node.work.drop(.noBuffer, DroppedFrame(number: UInt64(frame.pts), pts: unit.pts ?? .min), at: .output)
        }
        return
      }
      work.value.pictures.push(frame)
      return
    }
    work.value.pictures.push(frame)
  }

  private func give() {
    while let frame = work.value.pictures.pop() { give(frame) }
  }

  private func give(_ frame: consuming Frame) {
    let unit = work.value.ledger.settle(frame.pts)
    if unit == nil {
      // Two pictures of one unit: the second came in with it.
      node.input.counters.countAlone(at: Clock.now())
    }
    if work.value.isReported {
      work.value.isReported = false
      channel.works("decodes again")
    }
    let time = work.value.time(of: unit)
    announce(frame.layout)
    work.value.waiting = 1
    let keeps = isPaced ? keepsTime(time) : waitsForRoom(time)
    work.value.waiting = 0
    guard keeps else {
      node.work.drop(
        isStopping ? .flushed : .late, DroppedFrame(number: UInt64(max(0, frame.pts)), pts: unit?.pts ?? .min),
        at: .output)
      _ = consume frame
      return
    }
    frame.pts = work.value.pace.presentation(time)
    frame.stamps.captured = unit?.takenAt ?? Clock.now()
    channel.tap.pass(frame)
    node.output.deliver(frame, at: Clock.now())
  }

  private func announce(_ layout: FrameLayout) {
    let rate = work.value.rate(file?.frameRate)
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
    let verdict = work.value.pace.judge(time, at: now, hasWaited: work.value.hasWaited)
    work.value.hasWaited = false
    counters.slips(work.value.pace.slips)
    switch verdict {
    case .leaveOut: return false
    case .now: return !isStopping
    case .due(let due):
      // A live stream that states no rate and comes faster than assumed is followed, or its backlog would grow.
      if mode == .auto, !work.value.statesRate, let feed, feed.growsSteadily(at: now) {
        work.value.pace.set(time, at: now)
        return !isStopping
      }
      pause(until: due)
      return !isStopping
    }
  }

  private func waitsForRoom(_ time: Int64) -> Bool {
    if work.value.pace.base == nil { work.value.pace.set(time, at: Clock.now()) }
    environment.room.wait(until: { node.output.hasRoom }, cancelled: { isStopping })
    return !isStopping
  }

  // MARK: reports

  /// Publishes what is in use.
  func show() {
    guard let decoder = engine.decoder, let factory = engine.factory else { return }
    shown.store(
      VdecInUse(
        backend: factory.name, engine: decoder.engine, codec: work.value.codec, layout: decoder.layout,
        syntax: work.value.parser?.syntax, memory: decoder.memoryKind, rate: work.value.rate(file?.frameRate),
        why: engine.why, remarks: decoder.remarks))
  }
}

/// The door through which a decoder hands over its pictures.
struct VdecSink: FrameSink, ~Copyable {
  let run: VdecRun
  mutating func picture(_ frame: consuming Frame) { run.came(frame) }
}
