// SPDX-License-Identifier: Apache-2.0

/// Consecutive bytes of physical memory.
public struct PhysicalRange: Sendable, Equatable {
  /// Physical address of the first byte.
  public var start: UInt64
  /// Bytes; at least 1.
  public var length: UInt64

  public init(start: UInt64, length: UInt64) {
    self.start = start
    self.length = length
  }

  /// Address of the last byte.
  public var last: UInt64 { start &+ length &- 1 }
}

/// One of the kernel's areas of contiguous memory (CMA), as far as the kernel tells of it.
public struct ContiguousArea: Sendable, Equatable {
  /// As the kernel calls it, for example `reserved` or `linux,cma`.
  public var name: String
  /// Bytes; nil where the kernel does not tell.
  public var total: UInt64?
  /// Bytes that are allocated; nil where the kernel does not tell.
  public var used: UInt64?
  /// What is allocated, a bit for each unit of allocation, the lowest bit of a word first. An area has one bitmap, or one for
  /// each of its ranges; none where the kernel does not tell.
  public var bitmaps: [[UInt32]] = []

  public init(name: String, total: UInt64? = nil, used: UInt64? = nil) {
    self.name = name
    self.total = total
    self.used = used
  }
}

/// Where DMA-BUFs lie in memory, and what contiguous memory the kernel has: one look.
public struct PhysicalMemoryReport: Sendable, Equatable {
  /// Of this program's own DMA-BUFs, by inode and in order of the bytes of the buffer: those of which something is known.
  public var ranges: [UInt64: [PhysicalRange]] = [:]
  /// Own DMA-BUFs of which all is known, and those of which a part or nothing is.
  public var placed = 0
  public var partlyPlaced = 0
  public var unplaced = 0
  /// Why nothing is known of any, where it is one reason: the kernel keeps the numbers of pages to itself.
  public var refusal: String?
  /// Names of the heaps, in order of name.
  public var heaps: [String] = []
  /// In order of name.
  public var areas: [ContiguousArea] = []
  /// Bytes of all areas and what is free of them, as `/proc/meminfo` has it.
  public var contiguousBytes: UInt64?
  public var freeContiguousBytes: UInt64?
  /// CLOCK_MONOTONIC, microseconds, when the look ended; 0 before there was one.
  public var monotonicMicroseconds: Int64 = 0
  /// Processor time of it, microseconds.
  public var costMicroseconds: Int64 = 0

  public init() {}

  /// The area that a heap takes its memory from: the one of the heap's name, else, for the heap that is named for the default
  /// area (Linux 6.16 and later), the only one there is.
  public var heapArea: ContiguousArea? {
    if let area = areas.first(where: { heaps.contains($0.name) }) { return area }
    return heaps.contains("default_cma_region") && areas.count == 1 ? areas[0] : nil
  }
}
