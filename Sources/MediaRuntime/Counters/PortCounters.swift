// SPDX-License-Identifier: Apache-2.0
import Base
import Reports

/// What was counted on one side of a node, of one moment.
struct PortFigures: Sendable, Equatable {
  var frames: UInt64 = 0
  var dropped = DropCounts()
  /// Frames and nanoseconds of the last full window.
  var windowFrames: UInt64 = 0
  var windowNanoseconds: UInt64 = 0
  /// CLOCK_MONOTONIC nanoseconds; 0 before the first frame.
  var lastAt: Int64 = 0
  var lastNanoseconds: Int64 = 0

  /// Frames a second in the last full window; 0 before one has closed.
  var framesPerSecond: Double {
    windowNanoseconds == 0 ? 0 : Double(windowFrames) * 1e9 / Double(windowNanoseconds)
  }
}

/// The counters of one side of a node.
///
/// Two rates. That of the vendor's page: its window closes at the first frame that comes later than one second after it
/// was opened, and is not decayed, so a node on which frames stopped keeps its last rate there. And, where frames leave,
/// the true one of the last second, ``RateMarks``.
struct PortCounters: ~Copyable, Sendable {
  let block: CounterBlock

  /// - Parameter isOutput: frames leave here, and the rate of the last second is wanted.
  init(isOutput: Bool) {
    block = CounterBlock(isOutput ? Self.marks + RateMarks.size : Self.marks)
  }

  deinit { block.free() }

  private static let frames = 0
  private static let drops = 1
  private static let opened = 10
  private static let counted = 11
  private static let windowFrames = 12
  private static let windowTime = 13
  private static let lastAt = 14
  private static let duration = 15
  private static let openedStamp = 16
  private static let marks = 17

  private var marks: RateMarks { RateMarks(block: block, start: Self.marks) }

  /// Counts a frame. Between `block.begin()` and `block.end()`.
  /// - Parameter pts: microseconds of CLOCK_MONOTONIC, which tell how long a window was where they run with the clock.
  /// - Returns: the frame's number on this side, from 0.
  @inline(__always) func count(at now: Int64, pts: Int64 = .min) -> UInt64 {
    let number = block[Self.frames]
    block[Self.frames] = number &+ 1
    let opened = Int64(bitPattern: block[Self.opened])
    if opened == 0 {
      block[Self.opened] = UInt64(bitPattern: now)
      block[Self.openedStamp] = UInt64(bitPattern: pts)
      block[Self.counted] = 1
    } else if now &- opened > .seconds(1) {
      let span = RateMarks.span(
        passed: now &- opened, from: Int64(bitPattern: block[Self.openedStamp]), to: pts)
      block[Self.windowFrames] = block[Self.counted]
      block[Self.windowTime] = UInt64(bitPattern: span)
      block[Self.opened] = UInt64(bitPattern: now)
      block[Self.openedStamp] = UInt64(bitPattern: pts)
      block[Self.counted] = 1
    } else {
      block[Self.counted] = block[Self.counted] &+ 1
    }
    block[Self.lastAt] = UInt64(bitPattern: now)
    return number
  }

  /// Counts frames that were lost before they got here (a gap in a device's sequence). Between `begin` and `end`.
  func countMissed(_ frames: UInt64, _ cause: DropCause) {
    block[Self.frames] = block[Self.frames] &+ frames
    block[Self.drops + cause.index] = block[Self.drops + cause.index] &+ frames
  }

  /// Counts a frame by itself.
  @inline(__always) func countAlone(at now: Int64) {
    block.begin()
    _ = count(at: now)
    block.end()
  }

  /// Counts a frame that leaves. Between `block.begin()` and `block.end()`.
  /// - Parameters:
  ///   - pts: microseconds of CLOCK_MONOTONIC.
  ///   - bytes: of a coded picture.
  @inline(__always) func leave(at now: Int64, pts: Int64, bytes: Int) {
    let number = count(at: now, pts: pts)
    marks.note(pts: pts, at: now, frames: number &+ 1, bytes: bytes)
  }

  /// The same by itself.
  func countLeaving(at now: Int64, pts: Int64, bytes: Int = 0) {
    block.begin()
    leave(at: now, pts: pts, bytes: bytes)
    block.end()
  }

  /// Another run begins: the rate of the last second is that of its frames alone. Only where frames leave.
  func restartRate() {
    block.begin()
    marks.restart()
    block.end()
  }

  /// The rate of the last second; `nil` before the second frame of a run. Only where frames leave.
  func rate(at now: Int64) -> RecentRate? { block.read { _ in marks.rate(at: now) } }

  /// Counts a frame that was lost before it got here, by itself.
  func missAlone(_ cause: DropCause) {
    block.begin()
    countMissed(1, cause)
    block.end()
  }

  /// Between `block.begin()` and `block.end()`.
  @inline(__always) func drop(_ cause: DropCause) {
    block[Self.drops + cause.index] = block[Self.drops + cause.index] &+ 1
  }

  /// How long taking in or handing out the last frame took.
  @inline(__always) func took(_ nanoseconds: Int64) {
    block.storeAlone(Self.duration, UInt64(bitPattern: nanoseconds))
  }

  var frames: UInt64 { block[Self.frames] }
  var lastAt: Int64 { Int64(bitPattern: block[Self.lastAt]) }

  func figures() -> PortFigures {
    block.read { block in
      var figures = PortFigures()
      figures.frames = block[Self.frames]
      figures.dropped = DropCounts(block, at: Self.drops)
      figures.windowFrames = block[Self.windowFrames]
      figures.windowNanoseconds = block[Self.windowTime]
      figures.lastAt = Int64(bitPattern: block[Self.lastAt])
      figures.lastNanoseconds = Int64(bitPattern: block[Self.duration])
      return figures
    }
  }
}

extension DropCounts {
  /// Reads nine counters in the order of the causes.
  init(_ block: CounterBlock, at start: Int) {
    self.init()
    for cause in DropCause.allCases { self[cause] = block[start + cause.index] }
  }

  static func + (a: DropCounts, b: DropCounts) -> DropCounts {
    var sum = a
    for cause in DropCause.allCases { sum[cause] += b[cause] }
    return sum
  }
}
