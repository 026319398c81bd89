// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore
import Synchronization

/// What reports may know of a decoder, on any thread. Written by its worker when it changes, which is seldom: never for a
/// picture that came out well.
final class DecoderStatus: Sendable {
  struct Content: Sendable {
    var layout: FrameLayout?
    var memoryKind = ""
    var pool: CapturePool?
    var counters = DecoderCounters()
    var remarks: [String] = []
    var isBroken = false
  }
  private let content = Mutex(Content())

  var now: Content { content.withLock { $0 } }

  func change(_ body: (inout Content) -> Void) { content.withLock { body(&$0) } }

  /// Says something once.
  func remark(_ text: String) { change { if !$0.remarks.contains(text) { $0.remarks.append(text) } } }
}

/// Ends the worker's wait: a picture came home, or the decoder is to stop for good.
final class DecoderWaker: Sendable {
  private let signal: WakeUp
  private let stopped = Atomic<Bool>(false)
  /// Somebody waits, so that a picture that comes home costs a system call only then.
  private let waiting = Atomic<Bool>(false)

  init(_ kernel: any Kernel) throws(KernelError) { signal = try WakeUp(kernel: kernel) }

  var isInterrupted: Bool { stopped.load(ordering: .acquiring) }

  func interrupt() {
    stopped.store(true, ordering: .sequentiallyConsistent)
    signal.signal()
  }

  func pictureCameHome() {
    if waiting.load(ordering: .sequentiallyConsistent) { signal.signal() }
  }

  /// Waits for the device (`nil`: for pictures alone).
  /// - Parameter isDue: asked once more after the waker knows that somebody waits; true keeps it from waiting.
  func wait(
    for interest: PollInterest, of device: V4L2Device?, milliseconds: Int32, unless isDue: () -> Bool
  ) throws(KernelError) -> PollResult {
    waiting.store(true, ordering: .sequentiallyConsistent)
    defer { waiting.store(false, ordering: .relaxed) }
    let time = isDue() || isInterrupted ? 0 : milliseconds
    let result: PollResult
    if let device {
      result = try device.wait(for: interest, orWake: signal, timeoutMilliseconds: time)
    } else {
      result = PollResult(events: 0, woken: try signal.wait(timeoutMilliseconds: time))
    }
    if result.woken { signal.clear() }
    return result
  }
}
