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
/// buffer goes back to its owner. Nobody writes into the pixels of a frame that has been handed on, unless he alone holds
/// it and it is its maker's own.
public struct Frame: ~Copyable, Sendable {
  public var ref: BufferRef
  public var layout: FrameLayout
  /// Presentation time in microseconds of CLOCK_MONOTONIC.
  public var pts: Int64
  /// Number given by the source: a gap is a picture the source lost.
  public var sequence: UInt64
  public var stamps: FrameStamps
  /// Its maker writes every pixel of the buffer anew for each picture, and no device is at it: whoever alone holds it may draw
  /// into it. Not so what a decoder refers to later, or a camera fills.
  public var isOwn: Bool

  public init(
    _ ref: consuming BufferRef, layout: FrameLayout, pts: Int64, sequence: UInt64, stamps: FrameStamps,
    isOwn: Bool = false
  ) {
    self.ref = ref
    self.layout = layout
    self.pts = pts
    self.sequence = sequence
    self.stamps = stamps
    self.isOwn = isOwn
  }

  /// A second frame on the same pixels, its use charged to `user`.
  public func share(as user: UserSlot) -> Frame {
    Frame(ref.share(as: user), layout: layout, pts: pts, sequence: sequence, stamps: stamps, isOwn: isOwn)
  }

  public var buffer: Buffer { ref.buffer }

  /// Nobody else looks at the pixels, or will ask for them as they are now.
  public var mayBeDrawnInto: Bool { isOwn && ref.buffer.isHeldOnce }
}
