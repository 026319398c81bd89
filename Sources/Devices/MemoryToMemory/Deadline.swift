// SPDX-License-Identifier: Apache-2.0

/// A point in time some milliseconds from now.
struct Deadline {
  private let end: Int64
  init(_ milliseconds: Int32) { end = monotonicNanoseconds() + Int64(milliseconds) * 1_000_000 }
  /// Milliseconds, rounded up; 0 or below once it is over.
  var left: Int32 { Int32(clamping: (end - monotonicNanoseconds() + 999_999) / 1_000_000) }
}
