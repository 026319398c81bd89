// SPDX-License-Identifier: Apache-2.0

/// How far a frame had come when it was dropped. The raw value is the name users see.
public enum DropStage: String, Sendable, Equatable, CaseIterable {
  /// It never got here: a gap in what the source or device gave.
  case source
  /// On arrival.
  case input
  /// While it waited in a queue.
  case queue
  /// While it was worked on.
  case work
  /// After the work, on its way out.
  case output
}

/// A frame that was dropped.
public struct DropRecord: Sendable, Equatable {
  /// When, CLOCK_MONOTONIC, microseconds.
  public var monotonicMicroseconds: Int64
  /// The object that dropped it, for example `venc/0`.
  public var object: String
  /// Number its source gave it; nil when that is not known.
  public var number: UInt64?
  /// Presentation time, microseconds; nil when that is not known.
  public var ptsMicroseconds: Int64?
  public var cause: DropCause
  public var stage: DropStage

  public init(
    monotonicMicroseconds: Int64, object: String, number: UInt64?, ptsMicroseconds: Int64?, cause: DropCause,
    stage: DropStage
  ) {
    self.monotonicMicroseconds = monotonicMicroseconds
    self.object = object
    self.number = number
    self.ptsMicroseconds = ptsMicroseconds
    self.cause = cause
    self.stage = stage
  }
}
