// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One run of an input channel: the source and the thread that takes its frames.
///
/// Sources that are not live are paced by their time stamps, as ``FramePace`` says.
final class ViRun: Sendable {
  let source: any Source
  /// Holds this run in turn, until the run has ended.
  private let channel: ViChannel
  private let node: Node
  private let environment: Environment
  private let stopping = Atomic<Bool>(false)
  private let finished = Atomic<Bool>(true)
  /// `end` has gone on without the thread.
  private let left = Atomic<Bool>(false)
  /// For who waits for the thread's end, and for the thread in a pause.
  private let parked = Monitor(())
  private let thread = Mutex<Thread?>(nil)
  private let slipped = Atomic<UInt64>(0)
  /// The format the channel was asked to give.
  private let wanted: PixelFormat
  /// Swapped by the thread when the source gives something else; read by reports.
  private let conversionNow = Published<ViConversion?>(nil)
  private let damagedPictures = Atomic<UInt64>(0)

  /// - Throws: ENOTSUP, ENOMEM when the source's pictures cannot be converted.
  init(
    _ channel: ViChannel, node: Node, source: any Source, wanted: PixelFormat, environment: Environment
  ) throws(Failure) {
    self.channel = channel
    self.node = node
    self.source = source
    self.wanted = wanted
    self.environment = environment
    conversionNow.store(try conversion(of: source.layout))
  }

  private func conversion(of input: FrameLayout) throws(Failure) -> ViConversion? {
    try ViConversion.make(input, wanted: wanted, name: "vi\(node.path.number).raw", user: node.user, environment)
  }

  /// What makes raw pictures of the source's; `nil` when they are raw.
  var conversion: ViConversion? { conversionNow.value }
  /// What the receivers get.
  var layout: FrameLayout { conversion?.layout ?? source.layout }
  /// Pictures that could not be converted because they were damaged.
  var damaged: UInt64 { damagedPictures.load(ordering: .relaxed) }

  /// Times the clock of a paced source was set anew because it could not keep up.
  /// What `stats` shows of an input besides the common lines.
  func statistics() -> [Statistic] {
    let counters = source.counters
    return [
      Statistic("source_dropped", .counter, "Pictures the device dropped.", counters.droppedByDevice),
      Statistic("source_no_buffer", .counter, "Pictures lost for want of a free buffer.", counters.droppedNoBuffer),
      Statistic("source_damaged", .counter, "Damaged pictures of the device.", counters.damaged + damaged),
      Statistic("source_outages", .counter, "Times the device went away.", counters.outages),
      Statistic("source_restarts", .counter, "Times the stream was started anew.", counters.restarts),
      Statistic("clock_slips", .counter, "Times the input's clock was taken anew.", slipped.load(ordering: .relaxed)),
    ]
  }
  var isPaced: Bool { !source.isLive && !environment.room.isLossless }

  func begin() throws(Failure) {
    finished.store(false, ordering: .relaxed)
    do throws(Failure) {
      try thread.withLock { (thread) throws(Failure) in
        thread = try Thread.start("vi\(node.path.number)") { [self] in
          loop()
          finished.store(true, ordering: .sequentiallyConsistent)
          parked.wakeAll()
          if left.load(ordering: .sequentiallyConsistent) { cameBack() }
        }
      }
    } catch {
      finished.store(true, ordering: .relaxed)
      throw error
    }
  }

  private func cameBack() {
    conversionNow.exchange(nil)?.close()
    channel.ended(self)
  }

  /// Ends the thread. What it reads from may hang (a file on a server that is gone, a driver): the thread is given
  /// a while, and clears up itself when it comes back later.
  /// - Returns: false when it has not come back.
  func end() -> Bool {
    stopping.store(true, ordering: .sequentiallyConsistent)
    source.interrupt()
    environment.room.wake()
    parked.wakeAll()
    _ = parked.wait(until: Clock.now() + Session.patience) { _ in
      finished.load(ordering: .sequentiallyConsistent) ? true : nil
    }
    var old = thread.withLock { $0.take() }
    left.store(true, ordering: .sequentiallyConsistent)
    guard finished.load(ordering: .sequentiallyConsistent) else { return false }
    // Until its last reference to the source, and so to the device, is gone.
    old.take()?.join()
    cameBack()
    return true
  }

  private var isStopping: Bool { stopping.load(ordering: .relaxed) }

  /// Of the thread alone.
  private struct Timing {
    var pace = FramePace()
    var lastPTS = Int64.min
  }

  private func loop() {
    var timing = Timing()
    var layout = self.layout
    var rate = source.frameRate
    // What the receivers take as it comes.
    var plain = conversion == nil ? source.layout.format : nil
    var errors = 0
    while !isStopping {
      let frame: Frame?
      let began = Clock.now()
      do throws(Failure) {
        frame = try source.next()
        if errors > 0 { recovered(&errors) }
      } catch {
        guard missed(error, &errors) else { return }
        continue
      }
      guard let frame else {
        if !isStopping { ended() }
        return
      }
      if !source.isLive {
        // The time to make a picture; of a camera's it would be the time to wait for one.
        let done = Clock.now()
        node.work.record(.done, wait: 0, run: done - began, end: done)
      }
      guard let raw = converted(frame, &plain) else { continue }
      if !isStopping, raw.layout != layout || source.frameRate != rate {
        layout = raw.layout
        rate = source.frameRate
        node.output.announce(StreamFormat(layout: layout, rate: rate))
      }
      give(raw, &timing)
    }
  }

  /// The picture as the receivers take it; `nil` when it was lost on the way, which is counted.
  private func converted(_ frame: consuming Frame, _ plain: inout PixelFormat?) -> Frame? {
    if frame.layout.format == plain { return frame }
    let name = frame.name
    var conversion = self.conversion
    if conversion?.input != source.layout {
      // The source has started anew with another size or format.
      do throws(Failure) {
        let new = try self.conversion(of: source.layout)
        conversionNow.exchange(new)?.close()
        conversion = new
        plain = new == nil ? source.layout.format : nil
      } catch {
        lost(.formatMismatch, name, error)
        return nil
      }
    }
    guard let conversion else { return frame }
    let began = Clock.now()
    do throws(Failure) {
      var written = 0
      guard let raw = try conversion.convert(frame, as: node.user, written: &written) else {
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
    environment.log(.videoInput, .warning, "\(node.path): picture dropped, \(damaged) damaged so far: \(failure)")
  }

  private func give(_ frame: consuming Frame, _ timing: inout Timing) {
    node.input.counters.countAlone(at: Clock.now())
    if !source.isLive {
      // From the source's own count to CLOCK_MONOTONIC.
      if frame.pts < timing.lastPTS { timing.pace.restart() }
      timing.lastPTS = frame.pts
      if isPaced {
        guard keepsTime(frame.pts, &timing.pace) else {
          node.work.drop(.late, frame.name)
          _ = consume frame
          return
        }
      } else if timing.pace.base == nil {
        timing.pace.set(frame.pts, at: Clock.now())
      }
      frame.pts = timing.pace.presentation(frame.pts)
    }
    if environment.room.isLossless && !source.isLive {
      environment.room.wait(until: { node.output.hasRoom }, cancelled: { isStopping })
    }
    guard !isStopping else {
      node.work.drop(.flushed, frame.name)
      _ = consume frame
      return
    }
    channel.tap.pass(frame)
    node.output.deliver(frame, at: Clock.now())
  }

  /// Waits until the frame is due.
  /// - Returns: false when it comes too late and is left out.
  private func keepsTime(_ pts: Int64, _ pace: inout FramePace) -> Bool {
    let verdict = pace.judge(pts, at: Clock.now(), hasWaited: false)
    slipped.store(pace.slips, ordering: .relaxed)
    switch verdict {
    case .leaveOut: return false
    case .now: return true
    case .due(let due):
      pause(until: due)
      return true
    }
  }

  /// A call of `next` that failed.
  /// - Returns: false when the thread must end.
  private func missed(_ failure: Failure, _ errors: inout Int) -> Bool {
    if isStopping { return false }
    if failure.errno == .noBufferSpace {
      node.input.miss(.noBuffer)
      return true
    }
    errors += 1
    if errors == 1 {
      environment.listener?.failed(node.path, failure)
      environment.log(.videoInput, .error, "\(node.path): \(failure)")
    }
    let isGone = failure.errno.rawValue == ENODEV
    if !isGone {
      node.input.miss(.deviceError)
    }
    if isGone || errors >= 3 { channel.changed(.failed("\(failure)")) }
    // A device that went away may come back; an input that fails again and again is asked ever more seldom.
    pause(isGone ? .milliseconds(500) : min(.seconds(1), .milliseconds(10) << Int64(min(errors, 7))))
    return !isStopping
  }

  private func recovered(_ errors: inout Int) {
    errors = 0
    let node = source.device.map { " as \($0)" } ?? ""
    environment.log(.videoInput, .information, "\(self.node.path): works again: \(source.summary)\(node)")
    channel.changed(.running)
    channel.reportControls(of: source)
  }

  private func ended() {
    channel.changed(.failed("the input has ended"))
    environment.log(.videoInput, .warning, "\(node.path): the input has ended")
  }

  private func pause(_ nanoseconds: Int64) { pause(until: Clock.now() + nanoseconds) }

  private func pause(until deadline: Int64) {
    _ = parked.wait(until: deadline) { _ in isStopping ? true : nil }
  }
}
