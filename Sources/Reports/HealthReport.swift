// SPDX-License-Identifier: Apache-2.0

/// The state of the whole. The raw value is the name users see.
public enum HealthVerdict: String, Sendable, Equatable, CaseIterable {
  /// Everything that is enabled moves, or has come to its end, at the rate it was asked for, and nothing is lost.
  case ok
  /// Something that is enabled does not move, or not as it was asked to.
  case degraded
  /// Something failed.
  case failed
}

/// Why a queue holds an object up.
public enum QueueFill: String, Sendable, Equatable {
  case full, empty
}

/// A queue that holds an object up.
public struct QueueFinding: Sendable, Equatable {
  /// Whose queue, for example `venc/0 input`.
  public var name: String
  /// Full or empty.
  public var fill: QueueFill
  /// Frames in it.
  public var waiting: Int
  /// Frames it can hold.
  public var capacity: Int

  public init(
    name: String, fill: QueueFill, waiting: Int, capacity: Int
  ) {
    self.name = name
    self.fill = fill
    self.waiting = waiting
    self.capacity = capacity
  }
}

/// An object that is not moving.
public struct HealthFinding: Sendable, Equatable {
  /// The object, for example `venc/0`.
  public var path: String
  /// What it is doing.
  public var condition: ObjectCondition
  /// When it last moved, CLOCK_MONOTONIC, microseconds.
  public var sinceMonotonicMicroseconds: Int64
  /// Whom it waits for: an object, a device or a process; nil when it waits for nobody.
  public var waitingFor: String?
  /// The queue that is full or empty; nil when none is to blame.
  public var queue: QueueFinding?

  public init(
    path: String, condition: ObjectCondition, sinceMonotonicMicroseconds: Int64, waitingFor: String? = nil,
    queue: QueueFinding? = nil
  ) {
    self.path = path
    self.condition = condition
    self.sinceMonotonicMicroseconds = sinceMonotonicMicroseconds
    self.waitingFor = waitingFor
    self.queue = queue
  }
}

/// What is wrong with an object that moves.
public struct HealthTrouble: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// Frames were lost in the last seconds: how many, for each cause.
    case loses(DropCounts, seconds: Int)
    /// It gives fewer frames a second than it was asked for.
    case isSlow(reached: Double, asked: Double)
    /// A frame's work takes longer than the time in which the next one comes, both in microseconds.
    case isOverworked(workMicroseconds: Int, intervalMicroseconds: Int)
  }
  /// The object, for example `vpss/0`.
  public var path: String
  public var kind: Kind

  public init(path: String, kind: Kind) {
    self.path = path
    self.kind = kind
  }
}

/// Whether everything that is enabled moves, and what does not.
public struct HealthReport: Sendable, Equatable {
  /// The whole.
  public var verdict: HealthVerdict
  /// When this was found.
  public var clocks: ClockReading
  /// The objects that are not moving; the culprit of the others first.
  public var findings: [HealthFinding]
  /// What is wrong with those that move, in the order of the configuration.
  public var troubles: [HealthTrouble]

  public init(
    verdict: HealthVerdict, clocks: ClockReading, findings: [HealthFinding] = [], troubles: [HealthTrouble] = []
  ) {
    self.verdict = verdict
    self.clocks = clocks
    self.findings = findings
    self.troubles = troubles
  }
}
