// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
import Synchronization

/// Ends the wait of a device's worker, from any thread: there is something to do, a buffer came home, or the worker is to stop for
/// good.
///
/// Ownership: owns the descriptor it is waited for by; keeps nothing of the device open.
final class DeviceWaker: Waker {
  let wakeUp: WakeUp
  /// Whose the device's state is: the worker's, while it is in a call.
  let worker = Affinity()
  private let stopped = Atomic<Bool>(false)
  /// Somebody waits in ``wait(for:of:milliseconds:unless:)``, so that a buffer that comes home costs a system call only then.
  private let waiting = Atomic<Bool>(false)

  init(_ kernel: any Kernel) throws(KernelError) { wakeUp = try WakeUp(kernel: kernel) }

  var isInterrupted: Bool { stopped.load(ordering: .acquiring) }

  /// To stop for good.
  func interrupt() {
    stopped.store(true, ordering: .sequentiallyConsistent)
    wakeUp.signal()
  }

  func wake() { wakeUp.signal() }

  /// A buffer came home.
  func cameHome() {
    if waiting.load(ordering: .sequentiallyConsistent) { wakeUp.signal() }
  }

  /// Waits for nothing but to be woken, until the time has come: CLOCK_MONOTONIC nanoseconds, rounded down to milliseconds.
  func rest(until deadline: Int64) throws(KernelError) {
    let left = deadline.millisecondsLeft
    if left > 0 { _ = try wait(for: [], of: nil, milliseconds: left) { false } }
  }

  /// Waits for the device (`nil`: for buffers alone).
  /// - Parameter isDue: asked once more after the waker knows that somebody waits; true keeps it from waiting.
  func wait(
    for interest: PollInterest, of device: V4L2Device?, milliseconds: Int32, unless isDue: () -> Bool
  ) throws(KernelError) -> PollResult {
    waiting.store(true, ordering: .sequentiallyConsistent)
    defer { waiting.store(false, ordering: .relaxed) }
    let time = isDue() || isInterrupted ? 0 : milliseconds
    let result: PollResult
    if let device {
      result = try device.wait(for: interest, orWake: wakeUp, timeoutMilliseconds: time)
    } else {
      result = PollResult(events: 0, woken: try wakeUp.wait(timeoutMilliseconds: time))
    }
    if result.woken { wakeUp.clear() }
    return result
  }
}
