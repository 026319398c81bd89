// SPDX-License-Identifier: Apache-2.0

/// How a figure behaves.
public enum StatisticKind: Sendable, Equatable {
  /// Goes up only, for as long as its owner lives.
  case counter
  /// Goes up and down.
  case gauge
}

/// What a figure is counted in. `stats` shows it as it is; `metrics` in base units.
public enum StatisticUnit: Sendable, Equatable {
  /// Pieces, or a ratio.
  case none
  case frames, bytes, seconds
  /// Shown in `metrics` in seconds: a key that ends in `_us` ends in `_seconds` there.
  case microseconds
}

/// One figure, declared once where it is counted: `stats` and `metrics` both follow from it.
///
/// Its names are fixed text, so that a list of statistics is made without taking memory for any of them.
public struct Statistic: Sendable {
  /// Name in `stats`: lower-case letters, digits and underscores.
  public var name: StaticString
  public var kind: StatisticKind
  public var unit: StatisticUnit
  /// What is counted, one sentence.
  public var help: StaticString
  public var value: Double
  /// Name in `metrics` between the owner's class and `_total`; nil: the one that follows from `name` and `unit`.
  public var metric: StaticString?
  /// Where a metric is split by cause, the cause. Those of one metric stand side by side.
  public var cause: String?
  /// Where it is shown.
  public var places: Places

  public enum Places: Sendable, Equatable {
    case statsAndMetrics
    /// For what other lines of the other page tell already.
    case onlyStats, onlyMetrics
  }

  public init(
    _ name: StaticString, _ kind: StatisticKind, unit: StatisticUnit = .none, metric: StaticString? = nil,
    cause: String? = nil, in places: Places = .statsAndMetrics, _ help: StaticString, _ value: Double
  ) {
    self.name = name
    self.kind = kind
    self.unit = unit
    self.help = help
    self.value = value
    self.metric = metric
    self.cause = cause
    self.places = places
  }

  public init(
    _ name: StaticString, _ kind: StatisticKind, unit: StatisticUnit = .none, metric: StaticString? = nil,
    cause: String? = nil, in places: Places = .statsAndMetrics, _ help: StaticString, _ value: some BinaryInteger
  ) {
    self.init(name, kind, unit: unit, metric: metric, cause: cause, in: places, help, Double(value))
  }

  /// Its name as text.
  public var key: String { name.description }

  /// What names it in `metrics`; for microseconds without a name of their own, a `_us` at the end stands for `_seconds`.
  public var family: StaticString { metric ?? name }

  /// Value in `metrics`, in base units.
  public var metricValue: Double { unit == .microseconds ? value / 1e6 : value }
}

/// The figures of one thing: an object of the tree, a service, a pool, the program.
public struct StatisticGroup: Sendable {
  /// First part of the names in `metrics`, for example `venc`; empty for the whole program.
  public var module: String
  /// Which of its kind, for example `venc/0`; nil where there is one.
  public var owner: String?
  public var statistics: [Statistic]

  public init(_ module: String, owner: String? = nil, _ statistics: [Statistic]) {
    self.module = module
    self.owner = owner
    self.statistics = statistics
  }
}
