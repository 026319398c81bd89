// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// Ends the wait of an encoder's worker. Keeps nothing of the device open.
final class EncoderWaker: Waker {
  let wakeUp: WakeUp
  init(_ wakeUp: consuming WakeUp) { self.wakeUp = wakeUp }
  func wake() { wakeUp.signal() }
}
