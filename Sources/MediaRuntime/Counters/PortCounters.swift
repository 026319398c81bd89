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
/// Rate window as the vendor's: it closes at the first frame that comes later than one second after it was opened, and
/// is not decayed, so a node on which frames stopped keeps its last rate.
struct PortCounters: ~Copyable, Sendable {
  let block = CounterBlock(16)

  deinit { block.free() }

  private static let frames = 0
  private static let drops = 1
  private static let opened = 10
  private static let counted = 11
  private static let windowFrames = 12
  private static let windowTime = 13
  private static let lastAt = 14
  private static let duration = 15

  /// Counts a frame. Between `block.begin()` and `block.end()`.
  /// - Returns: the frame's number on this side, from 0.
  @inline(__always) func count(at now: Int64) -> UInt64 {
    let number = block[Self.frames]
    block[Self.frames] = number &+ 1
    let opened = Int64(bitPattern: block[Self.opened])
    if opened == 0 {
      block[Self.opened] = UInt64(bitPattern: now)
      block[Self.counted] = 1
    } else if now &- opened > .seconds(1) {
      block[Self.windowFrames] = block[Self.counted]
      block[Self.windowTime] = UInt64(bitPattern: now &- opened)
      block[Self.opened] = UInt64(bitPattern: now)
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
