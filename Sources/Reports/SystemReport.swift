// SPDX-License-Identifier: Apache-2.0

/// Everything at one moment: what the pages about the whole need.
public struct SystemReport: Sendable, Equatable {
  /// Which program this is.
  public var identity: SystemIdentity
  /// When this was read.
  public var clocks: ClockReading
  /// When the program started, CLOCK_MONOTONIC, microseconds.
  public var startedMonotonicMicroseconds: Int64
  /// The nodes of the graph by number.
  public var nodes: [NodeReport]
  /// The buffers by number.
  public var buffers: [BufferReport]
  /// The pools by number.
  public var pools: [PoolReport]
  /// All buffers together.
  public var memory: MemoryTotals
  /// The regions.
  public var regions: RegionsReport
  /// The encoder channels.
  public var encoders: EncodersReport
  /// The objects of the tree in the order of the configuration.
  public var objects: [ObjectState]
  /// What is not moving.
  public var health: HealthReport
  /// The log, oldest line first.
  public var log: [LogRecord]
  /// Refused commands and failures, oldest first.
  public var refusals: [RefusalRecord]
  /// Accepted changes and what became of them, oldest first.
  public var effects: [EffectRecord]
  /// Figures of what is no object: services, the filesystem.
  public var metrics: [StatisticGroup]

  public init(
    identity: SystemIdentity, clocks: ClockReading, startedMonotonicMicroseconds: Int64 = 0, nodes: [NodeReport] = [],
    buffers: [BufferReport] = [], pools: [PoolReport] = [],
    memory: MemoryTotals = MemoryTotals(totalBytes: 0, peakBytes: 0), regions: RegionsReport = RegionsReport(),
    encoders: EncodersReport = EncodersReport(), objects: [ObjectState] = [], health: HealthReport,
    log: [LogRecord] = [], refusals: [RefusalRecord] = [], effects: [EffectRecord] = [], metrics: [StatisticGroup] = []
  ) {
    self.identity = identity
    self.clocks = clocks
    self.startedMonotonicMicroseconds = startedMonotonicMicroseconds
    self.nodes = nodes
    self.buffers = buffers
    self.pools = pools
    self.memory = memory
    self.regions = regions
    self.encoders = encoders
    self.objects = objects
    self.health = health
    self.log = log
    self.refusals = refusals
    self.effects = effects
    self.metrics = metrics
  }
}
