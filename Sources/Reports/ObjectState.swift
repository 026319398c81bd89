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
  /// Its source, or one up the way, has come to its end, as asked.
  case ended
  /// It is enabled and cannot work, and why.
  case failed(why: String)
}

/// One object of the tree: what it is doing, what is in use and what it counted. Each part is gathered when it is first
/// asked for, and once, so that a page that shows one word costs one word.
public final class ObjectState {
  /// Its directory in the tree, for example `venc/0`.
  public let path: String
  /// First part of the path: `vi`, `vpss`, `venc`, ...
  public let kind: String

  private let gather: Parts
  private struct Parts {
    var condition: () -> ObjectCondition
    var streams: () -> [StreamReport]
    var active: () -> [KeyValue]
    var statistics: () -> ObjectStatistics
    var moreStatistics: () -> [Statistic]
    var effects: () -> [EffectRecord]
    var controls: () -> ControlsReport?
    var detection: () -> DetectionReport?
    var pool: () -> PoolReport?
  }

  /// What it is doing.
  public private(set) lazy var condition = gather.condition()
  /// The forms in which its coded stream can be read, the plain one first; empty where it has none.
  public private(set) lazy var streams = gather.streams()
  /// What is in use (backend, engine, memory, width, ...), in the order to show.
  public private(set) lazy var active = gather.active()
  /// What every object counts.
  public private(set) lazy var statistics = gather.statistics()
  /// What only this kind of object counts, shown after the common ones.
  public private(set) lazy var moreStatistics = gather.moreStatistics()
  /// Accepted changes and what became of them, oldest first.
  public private(set) lazy var effects = gather.effects()
  /// The controls of the device it runs on; nil while it runs on none.
  public private(set) lazy var controls = gather.controls()

  /// What a detector saw last; nil where it is none.
  public private(set) lazy var detection = gather.detection()
  /// The buffers it gives; nil where it gives none.
  public private(set) lazy var pool = gather.pool()

  public init(
    path: String, kind: String, condition: @escaping @autoclosure () -> ObjectCondition,
    streams: @escaping @autoclosure () -> [StreamReport] = [],
    active: @escaping @autoclosure () -> [KeyValue] = [],
    statistics: @escaping @autoclosure () -> ObjectStatistics,
    moreStatistics: @escaping @autoclosure () -> [Statistic] = [],
    effects: @escaping @autoclosure () -> [EffectRecord] = [],
    controls: @escaping @autoclosure () -> ControlsReport? = nil,
    detection: @escaping @autoclosure () -> DetectionReport? = nil,
    pool: @escaping @autoclosure () -> PoolReport? = nil
  ) {
    self.path = path
    self.kind = kind
    gather = Parts(
      condition: condition, streams: streams, active: active, statistics: statistics, moreStatistics: moreStatistics,
      effects: effects,
      controls: controls, detection: detection, pool: pool)
  }
}

/// The controls of the device an object runs on.
public struct ControlsReport: Sendable, Equatable {
  /// A line for each, those without a file too.
  public var help: [SettingHelp]
  /// What those with a file read.
  public var values: [KeyValue]

  public init(help: [SettingHelp], values: [KeyValue]) {
    self.help = help
    self.values = values
  }
}
