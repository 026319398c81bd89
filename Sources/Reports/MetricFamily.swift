// SPDX-License-Identifier: Apache-2.0

/// How a metric behaves.
public enum MetricKind: String, Sendable, Equatable {
  /// Goes up only.
  case counter
  /// Goes up and down.
  case gauge
}

/// One value of a metric.
public struct MetricSample: Sendable, Equatable {
  /// Path of the object it belongs to; nil for the whole program.
  public var object: String?
  /// Cause, where a metric is split by cause.
  public var cause: String?
  /// The value.
  public var value: Double

  public init(
    object: String? = nil, cause: String? = nil, value: Double
  ) {
    self.object = object
    self.cause = cause
    self.value = value
  }
}

/// A metric beyond those that follow from the other reports, for example requests served by the filesystem.
public struct MetricFamily: Sendable, Equatable {
  /// Name without the program's prefix and without `_total`, for example `filesystem_requests`. Letters, digits,
  /// underscores; ends in its unit when it has one.
  public var name: String
  /// How it behaves.
  public var kind: MetricKind
  /// Base unit when it has one, also the end of the name, for example `seconds`.
  public var unit: String?
  /// One sentence.
  public var help: String
  /// Its values.
  public var samples: [MetricSample]

  public init(
    name: String, kind: MetricKind, unit: String? = nil, help: String, samples: [MetricSample] = []
  ) {
    self.name = name
    self.kind = kind
    self.unit = unit
    self.help = help
    self.samples = samples
  }
}
