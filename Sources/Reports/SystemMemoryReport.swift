// SPDX-License-Identifier: Apache-2.0

/// How much has to be known of the system's DMA-BUFs.
public enum MemoryLook: Int, Sendable, Comparable {
  /// Which buffers there are, and how large they are.
  case totals
  /// And which devices are attached to each, where a source tells.
  case attachments
  /// And who holds them.
  case holders

  public static func < (left: MemoryLook, right: MemoryLook) -> Bool { left.rawValue < right.rawValue }
}

/// The DMA-BUFs of the whole system, as one look found them.
public struct MemoryScan: Sendable, Equatable {
  /// Whose list it is.
  public enum List: String, Sendable {
    /// The kernel's BPF iterator `iter/dmabuf`, Linux 6.16 and newer.
    case iterator
    /// debugfs `dma_buf/bufinfo`.
    case bufinfo
    /// `/sys/kernel/dmabuf/buffers`.
    case sysfs
    /// None: what processes hold is all that is known.
    case processes
  }

  public struct Holder: Sendable, Equatable {
    public var process: Int32
    public var descriptors: Int
    public var mappings: Int

    public init(process: Int32, descriptors: Int, mappings: Int) {
      self.process = process
      self.descriptors = descriptors
      self.mappings = mappings
    }
  }

  public struct Buffer: Sendable, Equatable {
    /// Unique in the system since it was booted.
    public var inode: UInt64
    /// Bytes.
    public var size: UInt64
    /// It is known by mappings only, so it is at least so large.
    public var isLowerBound = false
    public var name: String?
    public var exporter: String?
    /// References to its file: descriptors, mappings and what the kernel holds.
    public var references: Int?
    /// Devices that are attached, the newest first; `nil` where no source tells.
    public var attachments: [String]?
    public var holders: [Holder] = []
    /// It came while processes were looked at, so who holds it is not known yet.
    public var isUnplaced = false
    /// When a look first saw it, CLOCK_MONOTONIC, microseconds.
    public var bornMicroseconds: Int64 = 0
    /// It was there at the first look of all.
    public var isOlder = false

    public init(inode: UInt64, size: UInt64) {
      self.inode = inode
      self.size = size
    }
  }

  /// What a process has open of a DRM or media device, and what the driver says of it (`drm-usage-stats`).
  public struct DeviceUse: Sendable, Equatable {
    public var path: String
    public var lines: [String]

    public init(path: String, lines: [String]) {
      self.path = path
      self.lines = lines
    }
  }

  public struct Process: Sendable, Equatable {
    public var id: Int32
    public var name: String
    public var devices: [DeviceUse] = []

    public init(id: Int32, name: String) {
      self.id = id
      self.name = name
    }
  }

  public var list = List.processes
  /// Why a better list was not to be had, for example `bufinfo: Permission denied`.
  public var refused: [String] = []
  /// Devices that are attached were told by `bufinfo`, also where the list is another.
  public var tellsAttachments = false
  public var depth = MemoryLook.totals
  /// The newest first.
  public var buffers: [Buffer] = []
  /// Those that hold a buffer or have something to say of a device.
  public var processes: [Process] = []
  /// Bytes of all buffers.
  public var bytes: UInt64 = 0
  /// What the kernel itself says at the end of its list.
  public var kernelBytes: UInt64?
  /// What the memory cgroup of this process is charged for, where the kernel tells.
  public var cgroupBytes: UInt64?

  // MARK: how far it can be trusted

  public var processesSeen = 0
  /// Processes whose descriptors nobody may look at.
  public var unreadable = 0
  /// Processes that ended meanwhile.
  public var vanished = 0
  /// Processes that were not read for this look: none of their threads has run since they were.
  public var remembered = 0
  /// Mappings of files that are called like DMA-BUFs and are not counted: they lie on another filesystem, or on one of which
  /// nobody knows that it is that of the DMA-BUFs.
  public var strangeMappings = 0
  /// Threads with a table of descriptors of their own.
  public var ownTables = 0
  public var descriptors = 0
  /// Descriptors of DMA-BUFs whose inode the kernel does not tell: they cannot be told apart, so they are not counted.
  public var unidentified = 0
  /// Sources that contradict each other, and lines that are none.
  public var disagreements = 0
  /// CLOCK_MONOTONIC, microseconds, when the look ended.
  public var monotonicMicroseconds: Int64 = 0
  /// Processor time of it, microseconds.
  public var costMicroseconds: Int64 = 0

  public init() {}

  /// Buffers that no process has open or mapped.
  public var holderless: [Buffer] { buffers.filter { $0.holders.isEmpty && !$0.isUnplaced } }
}

/// What there was at a moment somebody named.
public struct MemoryMark: Sendable, Equatable {
  public var name: String
  public var monotonicMicroseconds: Int64
  public var bytes: UInt64
  /// Inodes of the buffers there were.
  public var inodes: Set<UInt64>

  public init(name: String, monotonicMicroseconds: Int64, bytes: UInt64, inodes: Set<UInt64>) {
    self.name = name
    self.monotonicMicroseconds = monotonicMicroseconds
    self.bytes = bytes
    self.inodes = inodes
  }
}

/// One second or minute of `rk_dmabuf/history`.
public struct MemoryMoment: Sendable, Equatable {
  /// CLOCK_MONOTONIC, seconds, when it began.
  public var second: Int64
  /// Bytes at its end, and the most and least that were seen in it.
  public var bytes: UInt64
  public var most: UInt64
  public var least: UInt64
  /// Buffers at its end.
  public var count: Int

  public init(second: Int64, bytes: UInt64, most: UInt64, least: UInt64, count: Int) {
    self.second = second
    self.bytes = bytes
    self.most = most
    self.least = least
    self.count = count
  }
}

/// What is known of the system's DMA-BUFs.
public struct SystemMemoryReport: Sendable, Equatable {
  /// The newest look of all.
  public var latest: MemoryScan?
  /// The newest that says which devices are attached, where a source tells.
  public var attached: MemoryScan?
  /// The newest that says who holds what.
  public var holders: MemoryScan?
  public var marks: [MemoryMark] = []
  /// Oldest first.
  public var seconds: [MemoryMoment] = []
  public var minutes: [MemoryMoment] = []
  /// How long a look is good for, milliseconds.
  public var ageMilliseconds = 1000
  /// How long after one look for `history` the next begins at the earliest, milliseconds.
  public var intervalMilliseconds: Int64 = 1000
  public var ownProcess: Int32 = 0
  /// Why the last look saw nothing; what is here is of the looks before. `nil` where it did.
  public var failure: String?

  public init() {}
}
