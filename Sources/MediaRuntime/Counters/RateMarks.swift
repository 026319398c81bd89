// SPDX-License-Identifier: Apache-2.0
import Base

/// How fast frames come by, over the last second.
struct RecentRate: Sendable, Equatable {
  var framesPerSecond: Double = 0
  /// Of coded pictures.
  var bitsPerSecond: Double = 0
}

/// What is kept to tell the rate of the last second: marks along the way, each with how much had come by then.
///
/// The newest mark is always that of the last frame. Another is begun when the one before it is 15 ms old, so that 80 of
/// them reach back over a second at every rate. Frames are counted between two marks and divided by the time between
/// *their time stamps*: a busy machine that hands frames on early and late does not change how many a second there are.
/// Where stamps and clock do not run together, as where a file is read as fast as that goes, the clock counts.
struct RateMarks {
  /// Words of a counter block that are used.
  static let size = 2 + capacity * 4
  private static let capacity = 80
  private static let spacing = Int64.milliseconds(15)
  private static let window = Int64.seconds(1)

  let block: CounterBlock
  /// Where they begin in the block: number of marks, bytes so far, then time, time stamp, frames and bytes of each mark.
  let start: Int

  private struct Mark {
    var at: Int64
    /// Microseconds.
    var stamp: Int64
    var frames: UInt64
    var bytes: UInt64
  }

  /// The first word of a mark.
  @inline(__always) private func place(of number: UInt64) -> Int {
    start + 2 + Int(truncatingIfNeeded: number % UInt64(Self.capacity)) * 4
  }

  private subscript(number: UInt64) -> Mark {
    @inline(__always) get {
      let first = place(of: number)
      return Mark(
        at: Int64(bitPattern: block[first]), stamp: Int64(bitPattern: block[first + 1]), frames: block[first + 2],
        bytes: block[first + 3])
    }
  }

  /// How long it was between two frames, nanoseconds: by their time stamps, unless those do not run with the clock.
  /// - Parameters:
  ///   - passed: by the clock.
  ///   - first: time stamp of the one, microseconds; `last` that of the other.
  static func span(passed: Int64, from first: Int64, to last: Int64) -> Int64 {
    let stamped = (last &- first) &* 1000
    return stamped > 0 && (stamped &- passed).magnitude <= (passed / 4).magnitude ? stamped : passed
  }

  /// How long of a stream two pictures are apart, nanoseconds: as `span`, but pictures whose time stamps are of a moment ago both follow
  /// the clock however unevenly they come. An engine that looks ahead on a busy machine gives none for a second and then many at once.
  /// - Parameters:
  ///   - first: when the one came, and its time stamp in microseconds; `last` those of the other.
  static func streamSpan(from first: (at: Int64, stamp: Int64), to last: (at: Int64, stamp: Int64)) -> Int64 {
    func isOfAMomentAgo(_ picture: (at: Int64, stamp: Int64)) -> Bool {
      (0...Int64.seconds(3)).contains(picture.at &- picture.stamp &* 1000)
    }
    let stamped = (last.stamp &- first.stamp) &* 1000
    if stamped > 0, isOfAMomentAgo(first), isOfAMomentAgo(last) { return stamped }
    return span(passed: last.at &- first.at, from: first.stamp, to: last.stamp)
  }

  /// Notes a frame. Between `block.begin()` and `block.end()`.
  /// - Parameters:
  ///   - pts: microseconds of CLOCK_MONOTONIC, as frames carry it.
  ///   - frames: how many there were, this one included.
  @inline(__always) func note(pts: Int64, at now: Int64, frames: UInt64, bytes: Int) {
    var count = block[start]
    let sum = block[start + 1] &+ UInt64(truncatingIfNeeded: bytes)
    block[start + 1] = sum
    // The newest may still move as long as the one before it is near.
    if count < 2 || now &- self[count &- 2].at >= Self.spacing {
      count &+= 1
      block[start] = count
    }
    let first = place(of: count &- 1)
    block[first] = UInt64(bitPattern: now)
    block[first + 1] = UInt64(bitPattern: pts)
    block[first + 2] = frames
    block[first + 3] = sum
  }

  /// What came before is another run's. Between `block.begin()` and `block.end()`.
  func restart() { block[start] = 0 }

  /// The rate of the last second; of streams slower than that, of the last interval. It falls to 0 within two seconds, or two
  /// intervals, after the last frame. Inside `block.read`; what a writer is changing gives nonsense, and no trap.
  /// - Returns: `nil` before the second frame.
  func rate(at now: Int64) -> RecentRate? {
    let count = block[start]
    guard count > 1 else { return nil }
    let last = self[count &- 1]
    let oldest = count > UInt64(Self.capacity) ? count &- UInt64(Self.capacity) : 0
    var first = last
    var number = count &- 1
    while number > oldest {
      number &-= 1
      let mark = self[number]
      let gap = first.at &- mark.at
      // A stream that stood still and goes on has the rate of its frames since.
      if gap > Self.window, first.frames != last.frames { break }
      first = mark
      if last.at &- mark.at >= Self.window { break }
    }
    let span = Self.span(passed: last.at &- first.at, from: first.stamp, to: last.stamp)
    let frames = last.frames &- first.frames
    guard span > 0, frames > 0 else { return nil }
    let interval = Double(span) / Double(frames)
    let idle = now &- last.at
    if Double(idle) <= max(2 * interval, 5e8) {
      return RecentRate(
        framesPerSecond: 1e9 / interval,
        bitsPerSecond: Double(last.bytes &- first.bytes) * 8e9 / Double(span))
    }
    return counted(from: now &- Self.window, last, count, oldest)
  }

  /// What came since then, a second ago.
  private func counted(from begin: Int64, _ last: Mark, _ count: UInt64, _ oldest: UInt64) -> RecentRate {
    guard last.at > begin else { return RecentRate() }
    var number = count &- 1
    while number > oldest {
      number &-= 1
      let mark = self[number]
      guard mark.at <= begin else { continue }
      return RecentRate(
        framesPerSecond: Double(last.frames &- mark.frames), bitsPerSecond: Double(last.bytes &- mark.bytes) * 8)
    }
    let mark = self[oldest]
    return RecentRate(
      framesPerSecond: Double(last.frames &- mark.frames &+ 1), bitsPerSecond: Double(last.bytes &- mark.bytes) * 8)
  }
}
