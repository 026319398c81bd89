// SPDX-License-Identifier: Apache-2.0

/// What an object of the tree is doing.
public enum ObjectCondition: Sendable, Equatable {
  /// It is not enabled.
  case stopped
  /// Frames move.
  case running
  /// It is enabled and no frame has come for a while.
  case starved
  /// It is enabled and cannot work, and why.
  case failed(why: String)
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
  public var moreStatistics: [Statistic]

  public init(
    path: String, kind: String, condition: ObjectCondition, active: [KeyValue] = [], statistics: ObjectStatistics,
    moreStatistics: [Statistic] = []
  ) {
    self.path = path
    self.kind = kind
    self.condition = condition
    self.active = active
    self.statistics = statistics
    self.moreStatistics = moreStatistics
  }
}
