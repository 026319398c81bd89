// SPDX-License-Identifier: Apache-2.0

/// The worker that starts the encoders' engines.
public struct EncoderWorkerReport: Sendable, Equatable {
  /// When it last began or ended a run, CLOCK_MONOTONIC_RAW, nanoseconds; 0 before the first.
  public var lastRunNanoseconds: Int64
  /// Times it ran.
  public var runs: UInt64
  /// Times it was asked to run.
  public var triggers: UInt64

  public init(
    lastRunNanoseconds: Int64 = 0, runs: UInt64 = 0, triggers: UInt64 = 0
  ) {
    self.lastRunNanoseconds = lastRunNanoseconds
    self.runs = runs
    self.triggers = triggers
  }
}

/// A pool of descriptors that all encoder channels share.
public struct PacketPoolReport: Sendable, Equatable {
  /// Descriptors that lie idle.
  public var unused: Int
  /// Descriptors in use.
  public var used: Int
  /// Most there may be; nil without bound.
  public var limit: Int?

  public init(
    unused: Int, used: Int, limit: Int? = nil
  ) {
    self.unused = unused
    self.used = used
    self.limit = limit
  }

  /// Descriptors made so far.
  public var total: Int { unused + used }
}

/// All encoder channels and what they share.
public struct EncodersReport: Sendable, Equatable {
  /// The worker that starts them; nil before there is one.
  public var worker: EncoderWorkerReport?
  /// The channels by number.
  public var channels: [EncoderReport]
  /// Descriptors of coded pictures.
  public var packets: PacketPoolReport?
  /// Descriptors of buffers.
  public var buffers: PacketPoolReport?
  /// Descriptors of frames.
  public var frames: PacketPoolReport?

  public init(
    worker: EncoderWorkerReport? = nil, channels: [EncoderReport] = [], packets: PacketPoolReport? = nil,
    buffers: PacketPoolReport? = nil, frames: PacketPoolReport? = nil
  ) {
    self.worker = worker
    self.channels = channels
    self.packets = packets
    self.buffers = buffers
    self.frames = frames
  }
}
