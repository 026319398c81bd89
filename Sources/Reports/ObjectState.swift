// SPDX-License-Identifier: Apache-2.0

/// What an object of the tree is doing.
public enum ObjectCondition: Sendable, Equatable {
  /// It is not enabled.
  case stopped
  /// Frames move.
  case running
  /// It is enabled, and what it opens is absent or does not answer.
  case waiting(for: String)
  /// It is enabled and no frame has come for a while.
  case starved
  /// It is enabled and cannot work, and why.
  case failed(why: String)
}

/// What an object counted since it was made. Counters never go back while the object lives.
public struct ObjectStatistics: Sendable, Equatable {
  /// Frames that arrived, the dropped ones included.
  public var framesIn: UInt64
  /// Frames or coded pictures that left.
  public var framesOut: UInt64
  /// Frames dropped, by cause.
  public var dropped: DropCounts
  /// Frames waiting or being worked on: frames in = frames out + dropped + in flight.
  public var inFlight: Int
  /// Frames in its queue now.
  public var queueDepth: Int
  /// Frames its queue can hold.
  public var queueCapacity: Int
  /// Time the last frame's work took, microseconds.
  public var lastMicroseconds: Int
  /// Mean time of a frame's work, microseconds.
  public var meanMicroseconds: Int
  /// Longest time of a frame's work, microseconds.
  public var maximumMicroseconds: Int
  /// Time of all frames' work together, microseconds.
  public var workMicroseconds: UInt64
  /// Coded bytes that left; nil for an object that gives frames.
  public var bytesOut: UInt64?
  /// Picture bytes the CPU copied because they could not be handed over.
  public var bytesCopied: UInt64
  /// When the object was made, CLOCK_MONOTONIC, microseconds.
  public var createdMicroseconds: Int64
  /// Counts all objects the process has made; tells a new object from its predecessor of the same number.
  public var generation: UInt64

  public init(
    framesIn: UInt64 = 0, framesOut: UInt64 = 0, dropped: DropCounts = DropCounts(), inFlight: Int = 0,
    queueDepth: Int = 0, queueCapacity: Int = 0, lastMicroseconds: Int = 0, meanMicroseconds: Int = 0,
    maximumMicroseconds: Int = 0, workMicroseconds: UInt64 = 0, bytesOut: UInt64? = nil, bytesCopied: UInt64 = 0,
    createdMicroseconds: Int64, generation: UInt64
  ) {
    self.framesIn = framesIn
    self.framesOut = framesOut
    self.dropped = dropped
    self.inFlight = inFlight
    self.queueDepth = queueDepth
    self.queueCapacity = queueCapacity
    self.lastMicroseconds = lastMicroseconds
    self.meanMicroseconds = meanMicroseconds
    self.maximumMicroseconds = maximumMicroseconds
    self.workMicroseconds = workMicroseconds
    self.bytesOut = bytesOut
    self.bytesCopied = bytesCopied
    self.createdMicroseconds = createdMicroseconds
    self.generation = generation
  }
}

/// One object of the tree: what it is doing, what is in use and what it counted.
public struct ObjectState: Sendable, Equatable {
  /// Its directory in the tree, for example `venc/0`.
  public var path: String
  /// First part of the path: `vi`, `vpss`, `venc`, ...
  public var kind: String
  /// What it is doing.
  public var condition: ObjectCondition
  /// What is in use (backend, engine, memory, width, ...), in the order to show.
  public var active: [KeyValue]
  /// What it counted.
  public var statistics: ObjectStatistics
  /// Counts only this kind of object has, shown after the common ones.
  public var moreStatistics: [KeyValue]

  public init(
    path: String, kind: String, condition: ObjectCondition, active: [KeyValue] = [], statistics: ObjectStatistics,
    moreStatistics: [KeyValue] = []
  ) {
    self.path = path
    self.kind = kind
    self.condition = condition
    self.active = active
    self.statistics = statistics
    self.moreStatistics = moreStatistics
  }
}
