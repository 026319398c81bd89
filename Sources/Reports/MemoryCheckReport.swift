// SPDX-License-Identifier: Apache-2.0

/// The table of buffers against the descriptors the kernel has for this process.
public struct MemoryCheckReport: Sendable, Equatable {
  /// A process that holds a buffer of ours.
  public struct Holder: Sendable, Equatable {
    public var process: Int32
    public var name: String
    public init(process: Int32, name: String) {
      self.process = process
      self.name = name
    }
  }

  /// A buffer of the table, or a descriptor, with which something is wrong.
  public struct Finding: Sendable, Equatable {
    /// Number of the buffer; nil for a descriptor that is in no table.
    public var buffer: Int?
    /// The descriptor; nil where there is none.
    public var descriptor: Int32?
    /// Name of its pool, or the one the kernel has.
    public var name: String
    public var inode: UInt64
    public var size: UInt64
    /// References the kernel counts, and those that are descriptors and mappings of this process.
    public var kernelCount: Int?
    public var ownCount: Int?
    /// Who else holds it, as far as that can be seen.
    public var holders: [Holder]

    public init(
      buffer: Int? = nil, descriptor: Int32? = nil, name: String, inode: UInt64, size: UInt64, kernelCount: Int? = nil,
      ownCount: Int? = nil, holders: [Holder] = []
    ) {
      self.buffer = buffer
      self.descriptor = descriptor
      self.name = name
      self.inode = inode
      self.size = size
      self.kernelCount = kernelCount
      self.ownCount = ownCount
      self.holders = holders
    }
  }

  /// When it was made, CLOCK_MONOTONIC microseconds.
  public var checkedMicroseconds: Int64
  /// Pieces of memory in the table.
  public var buffers = 0
  /// DMA-BUF descriptors of this process.
  public var descriptors = 0
  /// Buffers of the table that no descriptor of this process is.
  public var withoutDescriptor: [Finding] = []
  /// DMA-BUF descriptors of this process that are in no table.
  public var withoutBuffer: [Finding] = []
  /// Buffers of which the kernel counts more references than this process has.
  public var heldElsewhere: [Finding] = []
  /// Processes whose descriptors could not be looked at, where they had to be.
  public var unreadableProcesses = 0
  /// Why it could not be made; nil when it was.
  public var failure: String?

  public init(checkedMicroseconds: Int64) { self.checkedMicroseconds = checkedMicroseconds }
}
