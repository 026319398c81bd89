// SPDX-License-Identifier: Apache-2.0

public import Reports

/// What all pages render from: what is the case at one moment.
///
/// Each part is gathered when a page first asks for it, and once: a page alone costs what it needs, and all pages of a
/// `report` tell of the same moment. A moment belongs to the thread that renders from it.
public final class Moment {
  /// Where the parts come from. What is not given is empty. All of it may be called from any thread, takes no lock the
  /// frame path takes and does no I/O.
  public struct Sources: Sendable {
    /// The pages there are.
    public var pages: PageTable
    public var identity: SystemIdentity
    /// When the program started, CLOCK_MONOTONIC, microseconds.
    public var startedMonotonicMicroseconds: Int64 = 0
    public var clocks: @Sendable () -> ClockReading
    public var nodes: @Sendable () -> [NodeReport] = { [] }
    public var allocations: @Sendable () -> AllocationsReport = { AllocationsReport() }
    public var memory: @Sendable () -> MemoryTotals = { MemoryTotals(totalBytes: 0, peakBytes: 0) }
    /// Holds the table of buffers against the descriptors of this process: takes milliseconds.
    public var memoryCheck: @Sendable () -> MemoryCheckReport = { MemoryCheckReport(checkedMicroseconds: 0) }
    /// What the last such look found; nil before there was one.
    public var lastMemoryCheck: @Sendable () -> MemoryCheckReport? = { nil }
    /// What `memory_limit` reads.
    public var memoryLimit: @Sendable () -> String = { "auto" }
    public var systemMemory: @Sendable () -> SystemMemoryReport = { SystemMemoryReport() }
    public var physicalMemory: @Sendable () -> PhysicalMemoryReport = { PhysicalMemoryReport() }
    public var regions: @Sendable () -> RegionsReport = { RegionsReport() }
    public var encoders: @Sendable () -> EncodersReport = { EncodersReport() }
    public var services: @Sendable () -> ServicesReport = { ServicesReport() }
    public var sessions: @Sendable () -> [SessionReport] = { [] }
    public var coding: @Sendable () -> CodingReport = { CodingReport() }
    public var objects: @Sendable () -> [ObjectState] = { [] }
    public var health: @Sendable () -> HealthReport
    public var devices: @Sendable () -> DevicesReport = { DevicesReport() }
    public var drops: @Sendable () -> [DropRecord] = { [] }
    public var log: @Sendable () -> [LogRecord] = { [] }
    public var refusals: @Sendable () -> [RefusalRecord] = { [] }
    public var config: @Sendable () -> [UInt8] = { [] }
    public var attributes: @Sendable () -> [SettingHelp] = { [] }
    public var statistics: @Sendable () -> [StatisticGroup] = { [] }

    public init(
      pages: PageTable, identity: SystemIdentity, clocks: @escaping @Sendable () -> ClockReading,
      health: @escaping @Sendable () -> HealthReport
    ) {
      self.pages = pages
      self.identity = identity
      self.clocks = clocks
      self.health = health
    }
  }

  private let sources: Sources

  public init(_ sources: Sources) { self.sources = sources }

  public var pages: PageTable { sources.pages }
  /// Which program this is.
  public var identity: SystemIdentity { sources.identity }
  /// When the program started, CLOCK_MONOTONIC, microseconds.
  public var startedMonotonicMicroseconds: Int64 { sources.startedMonotonicMicroseconds }
  /// When this is.
  public private(set) lazy var clocks = sources.clocks()
  /// The nodes of the graph by number.
  public private(set) lazy var nodes = sources.nodes()
  /// The buffers and pools, of one pass, so that they add up.
  public private(set) lazy var allocations = sources.allocations()
  /// All buffers together.
  public private(set) lazy var memory = sources.memory()
  public private(set) lazy var lastMemoryCheck = sources.lastMemoryCheck()
  /// What `memory_limit` reads.
  public private(set) lazy var memoryLimit = sources.memoryLimit()
  /// The DMA-BUFs of the whole system.
  public private(set) lazy var systemMemory = sources.systemMemory()
  /// Where own DMA-BUFs lie, and the kernel's heaps and areas of contiguous memory.
  public private(set) lazy var physicalMemory = sources.physicalMemory()
  public private(set) lazy var regions = sources.regions()
  /// The encoder channels.
  public private(set) lazy var encoders = sources.encoders()
  /// What executes tasks.
  public private(set) lazy var services = sources.services()
  /// The work queues of the channels.
  public private(set) lazy var sessions = sources.sessions()
  /// Which formats can be coded and decoded.
  public private(set) lazy var coding = sources.coding()
  /// The objects of the tree in the order of the configuration.
  public private(set) lazy var objects = sources.objects()
  /// What is not moving.
  public private(set) lazy var health = sources.health()
  /// What the machine has.
  public private(set) lazy var devices = sources.devices()
  /// The last frames that were dropped, oldest first.
  public private(set) lazy var drops = sources.drops()
  /// The log of the modules, oldest line first.
  public private(set) lazy var log = sources.log()
  /// Refused commands and failures, oldest first.
  public private(set) lazy var refusals = sources.refusals()
  /// The whole configuration.
  public private(set) lazy var config = sources.config()
  /// Every attribute of every kind of object.
  public private(set) lazy var attributes = sources.attributes()
  /// Statistics of what is no object: services, the filesystem.
  public private(set) lazy var statistics = sources.statistics()
}
