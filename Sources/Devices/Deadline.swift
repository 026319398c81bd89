// SPDX-License-Identifier: Apache-2.0
internal import Base

/// A point in time some milliseconds from now.
struct Deadline {
  private let end: Int64
  init(_ milliseconds: Int32) { end = Clock.now() + .milliseconds(Int64(milliseconds)) }
  /// As poll(2) takes it; 0 or below once it is over.
  var left: Int32 { (end - Clock.now()).pollMilliseconds }
}

extension Int64 {
  /// Until this point of CLOCK_MONOTONIC, for poll(2): rounded down, for who sleeps the rest; 0 or below once it is over.
  var millisecondsLeft: Int32 { Int32(clamping: (self - Clock.now()) / .milliseconds(1)) }

  /// Of a span in nanoseconds, for poll(2): rounded up, so that a wait is not over before its time.
  var pollMilliseconds: Int32 { Int32(clamping: (self + .milliseconds(1) - 1) / .milliseconds(1)) }
}
