// SPDX-License-Identifier: Apache-2.0

/// One side of a node: the frames that arrive at it, or the frames that leave it.
public struct PortReport: Sendable, Equatable {
  /// Every frame that came to this side since the node was made, those dropped here included. Unit: frames.
  public var frames: UInt64
  /// The frames dropped on this side, by cause.
  public var dropped: DropCounts
  /// Frames counted in the last full window of one second; 0 before the first window closes. A side on which frames
  /// stopped keeps its last rate until the next frame, as the vendor's does; `lastFrameAt` tells how old it is.
  /// Unit: frames a second.
  public var rate: Int
  /// The frame-rate table: frame number n is judged by entry `n % count`; 0 keeps it, anything else drops it (the
  /// value is the frame's place after the one that was kept). Empty when there is no frame-rate control.
  public var frameControl: [UInt8]
  /// Frames in the queue now.
  public var waiting: Int
  /// Frames the queue can hold; 0 when there is no queue on this side.
  public var depth: Int
  /// How long one may wait for a place or a frame here; 0 does not wait, -1 waits without end. Unit: milliseconds.
  public var timeoutMilliseconds: Int
  /// How long taking in (or handing out) the last frame took. Unit: microseconds.
  public var lastMicroseconds: Int
  /// When the last frame came, CLOCK_MONOTONIC; nil before the first. Unit: microseconds.
  public var lastFrameAtMicroseconds: Int64?

  public init(
    frames: UInt64 = 0, dropped: DropCounts = DropCounts(), rate: Int = 0, frameControl: [UInt8] = [], waiting: Int = 0,
    depth: Int = 0, timeoutMilliseconds: Int = 0, lastMicroseconds: Int = 0, lastFrameAtMicroseconds: Int64? = nil
  ) {
    self.frames = frames
    self.dropped = dropped
    self.rate = rate
    self.frameControl = frameControl
    self.waiting = waiting
    self.depth = depth
    self.timeoutMilliseconds = timeoutMilliseconds
    self.lastMicroseconds = lastMicroseconds
    self.lastFrameAtMicroseconds = lastFrameAtMicroseconds
  }

  /// Frames lost because processing failed or did not keep up; frame-rate control is not in it. Unit: frames.
  public var lost: UInt64 { dropped.lost }
}
