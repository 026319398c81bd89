// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports

/// An object that is no node of the graph: no frames come to it, it is fitted to channels and has an effect there. A region, and
/// what attaches it.
protocol Fitting: ModuleObject {
  /// CLOCK_MONOTONIC nanoseconds.
  var createdAt: Int64 { get }
  /// What it is doing; `nil` where it has no `state` of its own.
  var condition: ObjectCondition? { get }
  /// When that began, CLOCK_MONOTONIC nanoseconds, for `health`.
  var since: Int64 { get }
  /// Facts for `active`.
  func activeFacts() -> [KeyValue]
  /// What it counts: the one place where it is declared.
  func statistics() -> [Statistic]
  /// Takes a file that was written to it whole. What comes of it is told in `state` and to the listener. No I/O.
  func take(_ key: String, _ bytes: [UInt8])
  /// The largest such file, bytes.
  var largestFile: Int { get }
  /// What the vendor's region page shows of it.
  var regionReport: RegionReport? { get }
  /// Where a region lies.
  var placement: (region: Int, target: ObjectPath, x: Int, y: Int, layer: Int)? { get }
  /// The buffers it gives.
  var pool: Pool? { get }
}

extension Fitting {
  var condition: ObjectCondition? { nil }
  var since: Int64 { createdAt }
  func activeFacts() -> [KeyValue] { [] }
  func statistics() -> [Statistic] { [] }
  func take(_ key: String, _ bytes: [UInt8]) {}
  var largestFile: Int { 0 }
  var regionReport: RegionReport? { nil }
  var placement: (region: Int, target: ObjectPath, x: Int, y: Int, layer: Int)? { nil }
  var pool: Pool? { nil }
}
