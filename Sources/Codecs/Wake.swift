// SPDX-License-Identifier: Apache-2.0
import Base

/// Whether somebody has signalled: wakes the one that waits for a buffer, by those that bring buffers or interrupt.
typealias Wake = Monitor<Bool>

extension Monitor where State == Bool {
  /// Wakes who waits, or the next one that does.
  func signal() { change { $0 = true } }

  /// Waits for a signal that came after the one the last wait used up.
  /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
  /// - Returns: false when the deadline passed without one.
  @discardableResult func waitForSignal(until deadline: Int64 = .max) -> Bool {
    wait(until: deadline) { isSignalled -> Bool? in
      guard isSignalled else { return nil }
      isSignalled = false
      return true
    } ?? false
  }
}
