// SPDX-License-Identifier: Apache-2.0
import Atomics
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One run of an input channel: the source and the thread that takes its frames.
///
/// Sources that are not live are paced by their time stamps, as ``FramePace`` says.
final class ViRun: AtomicReference, Sendable {
  let source: any Source
  /// Holds this run in turn, until the run has ended.
  private let channel: ViChannel
  private let node: Node
  private let environment: Environment
  private let stopping = Atomic<Bool>(false)
  private let finished = Atomic<Bool>(true)
  /// `end` has gone on without the thread.
  private let left = Atomic<Bool>(false)
  private let parker = Parker()
  private let thread = Mutex<Thread?>(nil)
  private let slipped = Atomic<UInt64>(0)
  /// The format the channel was asked to give.
  private let wanted: PixelFormat
  /// Swapped by the thread when the source gives something else; read by reports.
  private let conversionNow = ManagedAtomic<ViConversion?>(nil)
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
    conversionNow.store(try conversion(of: source.layout), ordering: .releasing)
  }

  private func conversion(of input: FrameLayout) throws(Failure) -> ViConversion? {
    try ViConversion.make(input, wanted: wanted, name: "vi\(node.path.number).raw", user: node.user, environment)
  }

  /// What makes raw pictures of the source's; `nil` when they are raw.
  var conversion: ViConversion? { conversionNow.load(ordering: .acquiring) }
  /// What the receivers get.
  var layout: FrameLayout { conversion?.layout ?? source.layout }
  /// Pictures that could not be converted because they were damaged.
  var damaged: UInt64 { damagedPictures.load(ordering: .relaxed) }

  /// Times the clock of a paced source was set anew because it could not keep up.
  var slips: UInt64 { slipped.load(ordering: .relaxed) }
  var isPaced: Bool { !source.isLive && !environment.room.isLossless }

  func begin() throws(Failure) {
    finished.store(false, ordering: .relaxed)
    do throws(Failure) {
      let new = try Thread(name: "vi\(node.path.number)") { [self] in
        loop()
        finished.store(true, ordering: .sequentiallyConsistent)
        wake()
        if left.load(ordering: .sequentiallyConsistent) { cameBack() }
      }
      thread.withLock { $0 = new }
    } catch {
      finished.store(true, ordering: .relaxed)
      throw error
    }
  }

  private func wake() {
    parker.lock()
    parker.broadcast()
    parker.unlock()
  }

  private func cameBack() {
    conversionNow.exchange(nil, ordering: .acquiringAndReleasing)?.close()
    channel.ended(self)
  }

  /// Ends the thread. What it reads from may hang (a file on a server that is gone, a driver): the thread is given
  /// a while, and clears up itself when it comes back later.
  /// - Returns: false when it has not come back.
  func end() -> Bool {
    stopping.store(true, ordering: .sequentiallyConsistent)
    source.interrupt()
    environment.room.wake()
    let deadline = Clock.now() + Session.patience
    parker.lock()
    parker.broadcast()
    while !finished.load(ordering: .sequentiallyConsistent), parker.wait(until: deadline) {}
    parker.unlock()
    let old = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    left.store(true, ordering: .sequentiallyConsistent)
    guard finished.load(ordering: .sequentiallyConsistent) else {
      old?.detach()
      return false
    }
    // Until its last reference to the source, and so to the device, is gone.
    old?.join()
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
    var conversion = self.conversion
    if conversion?.input != source.layout {
      // The source has started anew with another size or format.
      do throws(Failure) {
        let new = try self.conversion(of: source.layout)
        conversionNow.exchange(new, ordering: .acquiringAndReleasing)?.close()
        conversion = new
        plain = new == nil ? source.layout.format : nil
      } catch {
        lost(.formatMismatch, error)
        return nil
      }
    }
    guard let conversion else { return frame }
    let began = Clock.now()
    do throws(Failure) {
      var written = 0
      guard let raw = try conversion.convert(frame, as: node.user, written: &written) else {
        lost(.noBuffer, nil)
        return nil
      }
      let done = Clock.now()
      node.work.record(.done, wait: 0, run: done - began, copied: written, end: done)
      return raw
    } catch {
      let done = Clock.now()
      node.work.record(.failed, wait: 0, run: done - began, end: done)
      damagedPictures.add(1, ordering: .relaxed)
      lost(.deviceError, error)
      return nil
    }
  }

  /// A picture that came and goes no further. Told at the first, second, fourth, ... damaged one.
  private func lost(_ cause: DropCause, _ failure: Failure?) {
    node.input.counters.missAlone(cause)
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
          _ = consume frame
          node.work.drop(.late)
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
      _ = consume frame
      node.work.drop(.flushed)
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
      node.input.counters.missAlone(.noBuffer)
      return true
    }
    errors += 1
    if errors == 1 {
      environment.listener?.failed(node.path, failure)
      environment.log(.videoInput, .error, "\(node.path): \(failure)")
    }
    let isGone = failure.errno.rawValue == ENODEV
    if !isGone {
      node.input.counters.missAlone(.deviceError)
    }
    if isGone || errors >= 3 { channel.changed(.failed("\(failure)")) }
    // A device that went away may come back; an input that fails again and again is asked ever more seldom.
    pause(isGone ? 500_000_000 : min(1_000_000_000, 10_000_000 << Int64(min(errors, 7))))
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
    parker.lock()
    while !isStopping, parker.wait(until: deadline) {}
    parker.unlock()
  }
}
