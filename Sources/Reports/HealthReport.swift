// SPDX-License-Identifier: Apache-2.0

/// The state of the whole. The raw value is the name users see.
public enum HealthVerdict: String, Sendable, Equatable, CaseIterable {
  /// Everything that is enabled moves.
  case ok
  /// Something that is enabled does not move.
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

/// Whether everything that is enabled moves, and what does not.
public struct HealthReport: Sendable, Equatable {
  /// The whole.
  public var verdict: HealthVerdict
  /// When this was found.
  public var clocks: ClockReading
  /// The objects that are not moving; the culprit of the others first.
  public var findings: [HealthFinding]

  public init(
    verdict: HealthVerdict, clocks: ClockReading, findings: [HealthFinding] = []
  ) {
    self.verdict = verdict
    self.clocks = clocks
    self.findings = findings
  }
}
