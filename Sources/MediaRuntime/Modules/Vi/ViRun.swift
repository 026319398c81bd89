// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One run of an input channel, a frame a turn. A turn may wait for the source as long as that takes.
///
/// Sources that are not live are paced by their time stamps, as ``FramePace`` says.
final class ViRun: Sendable {
  let source: any Source
  /// Holds this run in turn, until the run has ended.
  private let channel: ViChannel
  private let stopping = Atomic<Bool>(false)
  /// For the pauses of a turn.
  private let parked = Monitor(0)
  private let paced = PaceCounters()
  /// The format the channel was asked to give.
  private let wanted: PixelFormat
  /// Swapped by the worker when the source gives something else; read by reports.
  private let conversionNow = Published<Converter?>(nil)
  private let damagedPictures = Atomic<UInt64>(0)
  private let flow: Confined<Flow>

  private var node: Node { channel.node }
  private var environment: Environment { channel.environment }

  /// Of the session's worker.
  private struct Flow {
    var isFirst = true
    var pace = FramePace()
    var lastPTS = Int64.min
    /// What the receivers were told.
    var layout: FrameLayout
    var rate: FrameRate
    /// What they take as it comes.
    var plain: PixelFormat?
    /// Failures in a row.
    var errors = 0
  }

  /// - Throws: ENOTSUP, ENOMEM when the source's pictures cannot be converted.
  init(_ channel: ViChannel, source: any Source, wanted: PixelFormat) throws(Failure) {
    self.channel = channel
    self.source = source
    self.wanted = wanted
    let conversion = try Self.conversion(channel, of: source.layout, wanted)
    conversionNow.store(conversion)
    flow = Confined(
      Flow(
        layout: conversion?.layout ?? source.layout, rate: source.frameRate,
        plain: conversion == nil ? source.layout.format : nil), to: channel.session.affinity)
  }

  private static func conversion(
    _ channel: ViChannel, of input: FrameLayout, _ wanted: PixelFormat
  ) throws(Failure) -> Converter? {
    // A full queue, one being worked on, one being made, as the input's own pool has.
    try Converter.decoding(
      input, wanted: wanted,
      in: Converter.Place(
        name: "vi\(channel.path.number).raw", node: channel.node,
        count: channel.environment.options.queueDepth + 2),
      channel.environment)
  }

  /// What makes raw pictures of the source's; `nil` when they are raw.
  var conversion: Converter? { conversionNow.value }
  /// What the receivers get.
  var layout: FrameLayout { conversion?.layout ?? source.layout }
  /// Pictures that could not be converted because they were damaged.
  var damaged: UInt64 { damagedPictures.load(ordering: .relaxed) }

  /// What `stats` shows of an input besides the common lines.
  func statistics() -> [Statistic] {
    let counters = source.counters
    return [
      Statistic("source_dropped", .counter, "Pictures the device dropped.", counters.droppedByDevice),
      Statistic("source_no_buffer", .counter, "Pictures lost for want of a free buffer.", counters.droppedNoBuffer),
      Statistic("source_damaged", .counter, "Damaged pictures of the device.", counters.damaged + damaged),
      Statistic("source_outages", .counter, "Times the device went away.", counters.outages),
      Statistic("source_restarts", .counter, "Times the stream was started anew.", counters.restarts),
    ] + paced.statistics("Times the input's clock was taken anew.")
  }
  /// When it last fell behind its time stamps, CLOCK_MONOTONIC nanoseconds; 0 for never.
  var lostPaceAt: Int64 { paced.lostAt }
  var isPaced: Bool { !source.isLive && !environment.room.isLossless }

  /// Ends a wait for the source, and every later one.
  func interrupt() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    source.interrupt()
    parked.wakeAll()
    environment.wakeAwaiting()
  }

  func close() { conversionNow.exchange(nil)?.close() }

  private var isStopping: Bool { stopping.load(ordering: .relaxed) }

  /// Takes one frame and gives it on.
  /// - Returns: false when there will be no more.
  func turn() -> Bool {
    if flow.value.isFirst {
      flow.value.isFirst = false
      environment.awaitStarts(cancelled: { isStopping })
    }
    guard !isStopping else { return false }
    let began = Clock.now()
    let frame: Frame?
    do throws(Failure) {
      // To make a picture is work; to wait for a camera's is none.
      frame = try source.isLive ? source.next() : task(at: began) { () throws(Failure) in try source.next() }
      if flow.value.errors > 0 { recovered() }
    } catch {
      return missed(error)
    }
    guard let frame else {
      if !isStopping { hasEnded() }
      return false
    }
    if !source.isLive {
      let done = Clock.now()
      node.work.record(.done, wait: 0, run: done - began, end: done)
    }
    guard let raw = converted(frame) else { return true }
    if !isStopping, raw.layout != flow.value.layout || source.frameRate != flow.value.rate {
      flow.value.layout = raw.layout
      flow.value.rate = source.frameRate
      node.output.announce(StreamFormat(layout: raw.layout, rate: source.frameRate))
    }
    give(raw)
    return true
  }

  /// Does something that the session is at, until it has returned.
  @inline(__always) private func task<Result: ~Copyable>(
    at began: Int64, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    channel.session.began(at: began)
    defer { channel.session.ended() }
    return try body()
  }

  /// The picture as the receivers take it; `nil` when it was lost on the way, which is counted.
  private func converted(_ frame: consuming Frame) -> Frame? {
    if frame.layout.format == flow.value.plain { return frame }
    let name = frame.name
    var conversion = self.conversion
    if conversion?.input != source.layout {
      // The source has started anew with another size or format.
      do throws(Failure) {
        let new = try Self.conversion(channel, of: source.layout, wanted)
        conversionNow.exchange(new)?.close()
        conversion = new
        flow.value.plain = new == nil ? source.layout.format : nil
      } catch {
        lost(.formatMismatch, name, error)
        return nil
      }
    }
    guard let conversion else { return frame }
    let began = Clock.now()
    do throws(Failure) {
      var written = 0
      let made = try task(at: began) { () throws(Failure) in
        try conversion.picture(of: frame, as: node.user, copied: &written)
      }
      guard let raw = made else {
        lost(.noBuffer, name, nil)
        return nil
      }
      let done = Clock.now()
      node.work.record(.done, wait: 0, run: done - began, copied: written, end: done)
      return raw
    } catch {
      let done = Clock.now()
      node.work.record(.failed, wait: 0, run: done - began, end: done)
      damagedPictures.add(1, ordering: .relaxed)
      lost(.deviceError, name, error)
      return nil
    }
  }

  /// A picture that came and goes no further. Told at the first, second, fourth, ... damaged one.
  private func lost(_ cause: DropCause, _ frame: DroppedFrame, _ failure: Failure?) {
    node.input.miss(cause, frame, at: .work)
    guard let failure, damaged & (damaged &- 1) == 0 else { return }
    channel.log(.warning, "\(node.path): picture dropped, \(damaged) damaged so far: \(failure)")
  }

  private func give(_ frame: consuming Frame) {
    node.input.counters.countAlone(at: Clock.now())
    if !source.isLive {
      // From the source's own count to CLOCK_MONOTONIC.
      if frame.pts < flow.value.lastPTS { flow.value.pace.restart() }
      flow.value.lastPTS = frame.pts
      if isPaced {
        guard keepsTime(frame.pts) else {
          node.work.drop(.late, frame.name)
          _ = consume frame
          return
        }
      } else if flow.value.pace.base == nil {
        flow.value.pace.set(frame.pts, at: Clock.now())
      }
      frame.pts = flow.value.pace.presentation(frame.pts)
    }
    if environment.room.isLossless && !source.isLive {
      environment.room.wait(
        until: { node.output.hasRoom && channel.core.painting?.hasRoom ?? true }, cancelled: { isStopping })
    }
    guard !isStopping else {
      node.work.drop(.flushed, frame.name)
      _ = consume frame
      return
    }
    guard let shown = painted(frame) else { return }
    channel.tap.pass(shown)
    node.output.deliver(shown, at: Clock.now())
  }

  /// The picture with what is drawn into it; `nil` when it was lost on the way, which is counted.
  private func painted(_ frame: consuming Frame) -> Frame? {
    guard let stage = channel.core.painting, stage.isActive else { return frame }
    let began = Clock.now()
    var written = 0
    channel.session.began(at: began)
    let shown = stage.passed(frame, copied: &written)
    channel.session.ended()
    let done = Clock.now()
    node.work.record(.done, wait: 0, run: done - began, copied: written, end: done)
    return shown
  }

  /// Waits until the frame is due.
  /// - Returns: false when it comes too late and is left out.
  private func keepsTime(_ pts: Int64) -> Bool {
    let verdict = flow.value.pace.judge(pts, at: Clock.now(), hasWaited: false)
    paced.take(flow.value.pace)
    switch verdict {
    case .leaveOut: return false
    case .now: return true
    case .due(let due):
      pause(until: due)
      return true
    }
  }

  /// A call of `next` that failed.
  /// - Returns: false when there will be no more.
  private func missed(_ failure: Failure) -> Bool {
    if isStopping { return false }
    if failure.errno == .noBufferSpace {
      node.input.miss(.noBuffer)
      return true
    }
    flow.value.errors += 1
    let errors = flow.value.errors
    if errors == 1 {
      environment.listener?.failed(node.path, failure)
      channel.log(.error, "\(node.path): \(failure)")
    }
    let isGone = failure.errno.rawValue == ENODEV
    if !isGone {
      node.input.miss(.deviceError)
    }
    if isGone || errors >= 3 { channel.state.change(to: .failed("\(failure)")) }
    // A device that went away may come back; an input that fails again and again is asked ever more seldom.
    pause(isGone ? .milliseconds(500) : min(.seconds(1), .milliseconds(10) << Int64(min(errors, 7))))
    return !isStopping
  }

  private func recovered() {
    flow.value.errors = 0
    let node = source.device.map { " as \($0)" } ?? ""
    channel.log(.information, "\(self.node.path): works again: \(source.summary)\(node)")
    channel.state.change(to: .running)
    channel.reportControls(of: source)
  }

  private func hasEnded() {
    channel.ends()
  }

  private func pause(_ nanoseconds: Int64) { pause(until: Clock.now() + nanoseconds) }

  private func pause(until deadline: Int64) {
    _ = parked.wait(until: deadline) { _ in isStopping ? true : nil }
  }
}
