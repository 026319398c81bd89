// SPDX-License-Identifier: Apache-2.0
internal import Base

/// Extends a driver's 32-bit frame numbers to 64 bits and finds the gaps.
///
/// The distance between two numbers is taken modulo 2^32, so a wrap is no gap. A number that does not come after the
/// last one (a driver that started counting anew, or gives none at all) counts as the next frame, without a gap.
struct SequenceTracker {
  private var last: UInt32?
  private(set) var extended: UInt64 = 0

  /// A gap above this is a driver that counts oddly, not a loss: more than an hour at 120 frames a second.
  static let largestGap: UInt32 = 1 << 19

  /// - Returns: how many frames were lost before this one.
  mutating func advance(to sequence: UInt32) -> UInt64 {
    defer { last = sequence }
    guard let last else { return 0 }
    let distance = sequence &- last
    guard distance > 0, distance <= SequenceTracker.largestGap else {
      extended += 1
      return 0
    }
    extended += UInt64(distance)
    return UInt64(distance - 1)
  }

  /// After a restart of the stream the driver counts from somewhere else.
  mutating func restart() {
    if last != nil { extended += 1 }
    last = nil
  }
}

/// Makes time stamps that can be trusted from what a driver says.
///
/// A driver's stamp is used if it counts CLOCK_MONOTONIC, is not in the future and not older than ``oldest``; the clock
/// at arrival otherwise. Either way presentation times rise strictly.
struct StampKeeper {
  /// Nanoseconds; no camera pipeline holds a picture longer.
  static let oldest = Int64.seconds(5)
  /// Drivers stamp in interrupt context of another processor, whose clock may be read a little later than ours.
  static let clockSlack = Int64.milliseconds(1)

  private var last: Int64 = .min
  /// Stamps that could not be used.
  private(set) var replaced: UInt64 = 0

  /// - Parameters:
  ///   - seconds, microseconds: the driver's stamp.
  ///   - now: CLOCK_MONOTONIC in nanoseconds.
  /// - Returns: presentation time in microseconds and time of capture in nanoseconds.
  mutating func stamp(
    seconds: Int64, microseconds: Int64, monotonic: Bool, now: Int64
  ) -> (pts: Int64, captured: Int64) {
    var captured = now
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: .seconds(1))
    let (device, overflow2) = scaled.addingReportingOverflow(microseconds &* 1000)
    if monotonic, !overflow, !overflow2, device <= now + StampKeeper.clockSlack, device > now - StampKeeper.oldest {
      captured = device
    } else if monotonic {
      replaced += 1
    }
    let pts = max(captured / 1000, last == .min ? .min : last + 1)
    last = pts
    return (pts, captured)
  }
}
