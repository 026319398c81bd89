// SPDX-License-Identifier: Apache-2.0

/// A node that uses a buffer or takes buffers from a pool.
public struct BufferUser: Sendable, Equatable {
  /// Name of the node, without blanks.
  public var node: String
  /// Number of the node.
  public var nodeID: Int
  /// Place of this user in the buffer's table of 32 users; the node keeps it for life. Without meaning for a pool.
  public var slot: Int
  /// The node has been removed and the buffer was not given back.
  public var isGone: Bool
  /// How often it holds the buffer. Without meaning for a pool.
  public var uses: Int

  public init(
    node: String, nodeID: Int, slot: Int = 0, isGone: Bool = false, uses: Int = 1
  ) {
    self.node = node
    self.nodeID = nodeID
    self.slot = slot
    self.isGone = isGone
    self.uses = uses
  }
}

/// Where a buffer's bytes are, seen from the buffers that share them.
public enum BufferSharing: UInt8, Sendable, Equatable {
  /// The memory is this buffer's own.
  case own
  /// The memory is one piece that several buffers share; this one stands for all of it and its size counts.
  case sharedOwner
  /// A view of memory that another buffer stands for; its size does not count in totals.
  case sharedView
}

/// One media buffer.
public struct BufferReport: Sendable, Equatable {
  /// Number of the buffer, unique and never used again while the process lives.
  public var id: Int
  /// The pool it belongs to; nil when it belongs to none.
  public var poolID: Int?
  /// How many hold it; 0 when it lies idle in its pool.
  public var references: Int
  /// How many references the kernel counts on its DMA-BUF; nil when it is not a DMA-BUF or the kernel does not
  /// tell.
  public var kernelReferences: Int?
  /// Size in bytes.
  public var size: UInt64
  /// Whether the memory is its own or shared with other buffers.
  public var sharing: BufferSharing
  /// Name of the process or module that made it.
  public var creator: String
  /// Process that made it; nil when a device did.
  public var creatorProcessID: Int32?
  /// Object that made it, as it was called then; nil when it belongs to none.
  public var creatorPath: String?
  /// That object has been removed since.
  public var isCreatorGone: Bool
  /// The nodes that use it now, by ascending slot; 32 at most.
  public var users: [BufferUser]
  /// Uses by those for whom the table of users has no place, who are not among `users`.
  public var otherUses: Int
  /// A number that stands for the buffer where other systems print an address. nil: NodeText makes one from the id.
  public var handle: UInt64?
  /// It is mapped into this process.
  public var isMapped: Bool
  /// A number that stands for the mapping's address. nil: NodeText makes one from the id when `isMapped`.
  public var mapping: UInt64?
  /// Physical address; nil when unknown, as it is for an ordinary process.
  public var physicalAddress: UInt64?
  /// Name of the DMA-BUF's exporter as the kernel tells it, for example `system` or `udmabuf`; nil when it is not a
  /// DMA-BUF.
  public var exporter: String?
  /// Inode number of the DMA-BUF or memory file, the same in every process; nil when unknown.
  public var inode: UInt64?

  public init(
    id: Int, poolID: Int? = nil, references: Int, kernelReferences: Int? = nil, size: UInt64,
    sharing: BufferSharing = .own, creator: String, creatorProcessID: Int32? = nil, creatorPath: String? = nil,
    isCreatorGone: Bool = false, users: [BufferUser] = [], otherUses: Int = 0,
    handle: UInt64? = nil, isMapped: Bool = false, mapping: UInt64? = nil, physicalAddress: UInt64? = nil,
    exporter: String? = nil, inode: UInt64? = nil
  ) {
    self.id = id
    self.poolID = poolID
    self.references = references
    self.kernelReferences = kernelReferences
    self.size = size
    self.sharing = sharing
    self.creator = creator
    self.creatorProcessID = creatorProcessID
    self.creatorPath = creatorPath
    self.isCreatorGone = isCreatorGone
    self.users = users
    self.otherUses = otherUses
    self.handle = handle
    self.isMapped = isMapped
    self.mapping = mapping
    self.physicalAddress = physicalAddress
    self.exporter = exporter
    self.inode = inode
  }
}
