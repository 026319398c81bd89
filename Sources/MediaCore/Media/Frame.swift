// SPDX-License-Identifier: Apache-2.0

/// When a frame passed the stations of its way, in nanoseconds of CLOCK_MONOTONIC; 0 where it has not been.
public struct FrameStamps: Sendable {
  /// Exposure or, where the device does not tell, arrival at the source.
  public var captured: Int64 = 0
  /// Put into the queue of the node that now has it.
  public var queued: Int64 = 0
  /// Taken up by a worker.
  public var started: Int64 = 0
  /// The first frame from another source than the one before: a stream begins anew with it.
  public var startsAnew = false
  public init(captured: Int64 = 0) { self.captured = captured }
}

/// One picture on its way through the graph.
///
/// Owns one use of its ``Buffer``: when the frame is consumed or dropped, that use ends, and with the last one the
/// buffer goes back to its owner. Nobody writes into the pixels of a frame that has been handed on.
public struct Frame: ~Copyable, Sendable {
  public var ref: BufferRef
  public var layout: FrameLayout
  /// Presentation time in microseconds of CLOCK_MONOTONIC.
  public var pts: Int64
  /// Number given by the source: a gap is a picture the source lost.
  public var sequence: UInt64
  public var stamps: FrameStamps

  public init(
    _ ref: consuming BufferRef, layout: FrameLayout, pts: Int64, sequence: UInt64, stamps: FrameStamps
  ) {
    self.ref = ref
    self.layout = layout
    self.pts = pts
    self.sequence = sequence
    self.stamps = stamps
  }

  /// A second frame on the same pixels, its use charged to `user`.
  public func share(as user: UserSlot) -> Frame {
    Frame(ref.share(as: user), layout: layout, pts: pts, sequence: sequence, stamps: stamps)
  }

  public var buffer: Buffer { ref.buffer }
}
