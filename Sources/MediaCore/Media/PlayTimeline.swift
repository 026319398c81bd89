// SPDX-License-Identifier: Apache-2.0

/// Lays the pictures of something played on one line of time that never goes back and never stands still.
///
/// A stream's own stamps are not to be trusted: they jump where a recording was cut, begin again where files were
/// strung together, and may hold any number. A stamp that leads to a time too far ahead of the picture before, or too
/// far behind it, is where the stream's clock was set anew; that picture follows the one before, and those after are
/// counted from it. Less far behind is disorder: the picture goes on from the one before, and the stamps keep their
/// place.
///
/// Of one thread alone. Times and stamps are microseconds.
public struct PlayTimeline: Sendable {
  /// The longest a picture may stand, and the farthest a stamp may lead ahead.
  public static let longest: Int64 = 10_000_000
  /// The farthest behind that still counts as disorder: H.264 reorders 16 pictures at most.
  public static let disorder: Int64 = 1_000_000

  /// The stamp `originStamp` stands at `originTime`.
  private var originStamp: Int64 = 0
  private var originTime: Int64 = 0
  private var lastStamp: Int64?
  private var lastTime: Int64?
  private var lastDuration: Int64 = 0

  public init() {}

  /// Time of the next picture, the first one being at about 0; always later than that of the one before, and never more
  /// than `longest` later.
  /// - Parameters:
  ///   - stamp: the stream's own time of it, from the beginning of this pass; `nil` where it has none.
  ///   - duration: how long it stands as the stream says; 0 or less where it does not.
  ///   - interval: from picture to picture at the stream's rate, for pictures that do not say.
  public mutating func time(of stamp: Int64?, duration: Int64, interval: Int64) -> Int64 {
    let time = stamp.map { place($0) } ?? following
    lastDuration = min(max(1, duration > 0 ? duration : interval), PlayTimeline.longest)
    lastTime = time
    return time
  }

  /// The stream begins again: its stamps count from where the last picture ends.
  public mutating func beginPass() {
    originStamp = 0
    originTime = following
  }

  /// Where the picture before ends.
  private var following: Int64 { lastTime.map { $0 + lastDuration } ?? 0 }

  private mutating func place(_ stamp: Int64) -> Int64 {
    defer { lastStamp = stamp }
    // Of the first picture: a stamp of 0 is right after it.
    let last = lastTime ?? -1
    guard let time = time(at: stamp), time - last <= PlayTimeline.longest, last - time <= PlayTimeline.disorder else {
      let time = following
      originStamp = stamp
      originTime = time
      return time
    }
    if time > last { return time }
    // Short clips strung together come here as well: at the least step they would all go out at once.
    guard let lastStamp, lastTime != nil else { return following }
    let (step, overflows) = stamp.subtractingReportingOverflow(lastStamp)
    return last + (overflows || step < 0 ? lastDuration : min(max(1, step), lastDuration))
  }

  /// `nil` when it is out of all bounds.
  private func time(at stamp: Int64) -> Int64? {
    let (distance, isFar) = stamp.subtractingReportingOverflow(originStamp)
    let (time, isOut) = originTime.addingReportingOverflow(distance)
    // No stream plays for 2^61 microseconds; up to there the distance of two times is in range.
    return isFar || isOut || time.magnitude > 1 << 61 ? nil : time
  }
}
