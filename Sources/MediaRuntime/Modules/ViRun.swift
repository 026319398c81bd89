// SPDX-License-Identifier: Apache-2.0
import Atomics
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// One run of an input channel: the source and the thread that takes its frames.
///
/// Pacing of sources that are not live: each frame is due at its time stamp after the first. A frame that is less than
/// ``tolerance`` late goes at once, so that a short delay is caught up; one that is later is dropped as `late`, and
/// after ``patience`` of those in a row the clock slips: the frame counts as due now, and the rest follow it.
final class ViRun: AtomicReference, Sendable {
  static let tolerance: Int64 = 250_000_000
  static let patience = 5

  let source: any Source
  private let channel: Unmanaged<ViChannel>
  private let node: Node
  private let environment: Environment
  private let stopping = Atomic<Bool>(false)
  private let parker = Parker()
  private let thread = Mutex<Thread?>(nil)
  private let slipped = Atomic<UInt64>(0)

  init(_ channel: ViChannel, node: Node, source: any Source, environment: Environment) {
    // The channel outlives its run: `stop` joins the thread.
    self.channel = Unmanaged.passUnretained(channel)
    self.node = node
    self.source = source
    self.environment = environment
  }

  /// Times the clock of a paced source was set anew because it could not keep up.
  var slips: UInt64 { slipped.load(ordering: .relaxed) }
  var isPaced: Bool { !source.isLive && !environment.room.isLossless }

  func begin() throws(Failure) {
    let new = try Thread(name: "vi\(node.path.number)") { [self] in loop() }
    thread.withLock { $0 = new }
  }

  /// Returns when the thread has ended.
  func end() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    source.interrupt()
    parker.lock()
    parker.broadcast()
    parker.unlock()
    environment.room.wake()
    let old = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    old?.join()
  }

  private var isStopping: Bool { stopping.load(ordering: .relaxed) }

  /// Pacing state, of the thread alone.
  private struct Pace {
    var base: Int64?
    var late = 0
    var lastPTS = Int64.min
  }

  private func loop() {
    var pace = Pace()
    var layout = source.layout
    var rate = source.frameRate
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
      if frame.layout != layout || source.frameRate != rate {
        layout = frame.layout
        rate = source.frameRate
        node.output.announce(StreamFormat(layout: layout, rate: rate))
      }
      give(frame, &pace)
    }
  }

  private func give(_ frame: consuming Frame, _ pace: inout Pace) {
    node.input.counters.block.begin()
    _ = node.input.counters.count(at: Clock.now())
    node.input.counters.block.end()
    if !source.isLive {
      // From the source's own count to CLOCK_MONOTONIC.
      if frame.pts < pace.lastPTS { pace.base = nil }
      pace.lastPTS = frame.pts
      let now = Clock.now()
      let base = pace.base ?? (now - frame.pts * 1000)
      pace.base = base
      if isPaced {
        guard keepsTime(frame.pts, now, base, &pace) else {
          _ = consume frame
          return
        }
      }
      frame.pts = ((pace.base ?? base) + frame.pts * 1000) / 1000
    }
    if environment.room.isLossless && !source.isLive {
      environment.room.wait(until: { node.output.hasRoom }, cancelled: { isStopping })
    }
    guard !isStopping else {
      _ = consume frame
      node.work.drop(.flushed)
      return
    }
    channel._withUnsafeGuaranteedRef { $0.tap.pass(frame) }
    node.output.deliver(frame, at: Clock.now())
  }

  /// Waits until the frame is due.
  /// - Returns: false when it is dropped, which is counted.
  private func keepsTime(_ pts: Int64, _ now: Int64, _ base: Int64, _ pace: inout Pace) -> Bool {
    let due = base + pts * 1000
    if now - due > ViRun.tolerance {
      pace.late += 1
      if pace.late <= ViRun.patience {
        node.work.drop(.late)
        return false
      }
      slipped.add(1, ordering: .relaxed)
      pace.base = now - pts * 1000
      pace.late = 0
      return true
    }
    pace.late = 0
    if due > now {
      parker.lock()
      while !isStopping, parker.wait(until: due) {}
      parker.unlock()
    }
    return true
  }

  /// A call of `next` that failed.
  /// - Returns: false when the thread must end.
  private func missed(_ failure: Failure, _ errors: inout Int) -> Bool {
    if isStopping { return false }
    if failure.errno == .noBufferSpace {
      node.input.counters.block.begin()
      node.input.counters.countMissed(1, .noBuffer)
      node.input.counters.block.end()
      return true
    }
    errors += 1
    if errors == 1 {
      environment.listener?.failed(node.path, failure)
      environment.log(.videoInput, .error, "\(node.path): \(failure)")
    }
    let isGone = failure.errno.rawValue == ENODEV
    if !isGone {
      node.input.counters.block.begin()
      node.input.counters.countMissed(1, .deviceError)
      node.input.counters.block.end()
    }
    if isGone || errors >= 3 { channel._withUnsafeGuaranteedRef { $0.changed(.failed("\(failure)")) } }
    // A device that went away may come back; an input that fails again and again is asked ever more seldom.
    pause(isGone ? 500_000_000 : min(1_000_000_000, 10_000_000 << Int64(min(errors, 7))))
    return !isStopping
  }

  private func recovered(_ errors: inout Int) {
    errors = 0
    channel._withUnsafeGuaranteedRef {
      $0.changed(.running)
      $0.reportControls(of: source)
    }
  }

  private func ended() {
    channel._withUnsafeGuaranteedRef { $0.changed(.failed("the input has ended")) }
    environment.log(.videoInput, .warning, "\(node.path): the input has ended")
  }

  private func pause(_ nanoseconds: Int64) {
    let deadline = Clock.now() + nanoseconds
    parker.lock()
    while !isStopping, parker.wait(until: deadline) {}
    parker.unlock()
  }
}
