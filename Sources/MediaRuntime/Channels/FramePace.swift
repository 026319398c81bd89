// SPDX-License-Identifier: Apache-2.0
import Base

/// When the pictures of a source that is not live are due: a media file's or a decoder channel's. Of one thread alone.
///
/// Each is due at its time after the first. One that is less than `tolerance` late goes at once; one that is later is
/// left out, and after `patience` of those in a row the clock slips: the picture counts as due now, and the rest follow
/// it. Who had to wait for input does not leave pictures out for it: the clock slips at once.
struct FramePace {
  static let tolerance = Int64.milliseconds(250)
  static let patience = 5
  /// Late by more than this it is catching up, and no matter of the scheduler's.
  static let punctual = Int64.milliseconds(50)

  enum Verdict: Equatable {
    /// At this time, CLOCK_MONOTONIC nanoseconds.
    case due(Int64)
    case now
    case leaveOut
  }

  /// CLOCK_MONOTONIC of time 0, nanoseconds.
  private(set) var base: Int64?
  private var late = 0
  /// Times the clock was set anew because pictures came too late.
  private(set) var slips: UInt64 = 0
  /// Times pictures went out late to catch up, up to the next one that was not.
  private(set) var catchUps: UInt64 = 0
  /// When a picture was last left out or the clock set anew, CLOCK_MONOTONIC nanoseconds; 0 for never.
  private(set) var lostAt: Int64 = 0
  private var catchesUp = false

  /// A new stream begins with the next picture.
  mutating func restart() {
    base = nil
    late = 0
  }

  /// - Parameters:
  ///   - time: of the picture, microseconds of the stream.
  ///   - hasWaited: the input had run dry before this picture.
  mutating func judge(_ time: Int64, at now: Int64, hasWaited: Bool) -> Verdict {
    guard let base else {
      set(time, at: now)
      return .now
    }
    let due = base + FramePace.nanoseconds(time)
    if due > now {
      late = 0
      catchesUp = false
      return .due(due)
    }
    if hasWaited {
      set(time, at: now)
      return .now
    }
    if !catchesUp, now - due > FramePace.punctual {
      catchesUp = true
      catchUps += 1
    }
    guard now - due > FramePace.tolerance else {
      late = 0
      return .now
    }
    late += 1
    lostAt = now
    if late <= FramePace.patience { return .leaveOut }
    slips += 1
    set(time, at: now)
    return .now
  }

  /// Makes the picture of this time due now.
  mutating func set(_ time: Int64, at now: Int64) {
    base = now - FramePace.nanoseconds(time)
    late = 0
  }

  /// Presentation time in microseconds of CLOCK_MONOTONIC.
  func presentation(_ time: Int64) -> Int64 { (base ?? 0) / 1000 + FramePace.nanoseconds(time) / 1000 }

  /// Of microseconds, held to 73 years either way: then any two of them and the clock can be added up.
  private static func nanoseconds(_ time: Int64) -> Int64 {
    let bound = Int64.max / 4000
    return min(max(time, -bound), bound) * 1000
  }
}
