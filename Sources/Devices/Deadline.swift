// SPDX-License-Identifier: Apache-2.0
internal import Base

/// A point in time some milliseconds from now.
struct Deadline {
  private let end: Int64
  private var wasOver = false
  init(_ milliseconds: Int32) { end = Clock.now() + .milliseconds(Int64(milliseconds)) }

  /// How long poll(2) is to wait. Once it is over there is one more look, of 0 ms: a worker that got no processor meanwhile
  /// has not seen what has come.
  /// - Returns: `nil` when it was over at the last look already.
  mutating func nextWait() -> Int32? {
    let left = (end - Clock.now()).pollMilliseconds
    if left <= 0, wasOver { return nil }
    wasOver = left <= 0
    // A negative time would be a wait for ever.
    return max(0, left)
  }
}

extension Int64 {
  /// Until this point of CLOCK_MONOTONIC, for poll(2): rounded down, for who sleeps the rest; 0 or below once it is over.
  var millisecondsLeft: Int32 { Int32(clamping: (self - Clock.now()) / .milliseconds(1)) }

  /// Of a span in nanoseconds, for poll(2): rounded up, so that a wait is not over before its time.
  var pollMilliseconds: Int32 { Int32(clamping: (self + .milliseconds(1) - 1) / .milliseconds(1)) }
}
