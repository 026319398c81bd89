// SPDX-License-Identifier: Apache-2.0

/// What kind of memory a pool's buffers are made of. The raw value is the name users see.
public enum MemoryKind: String, Sendable, Equatable, CaseIterable {
  /// A DMA-BUF heap.
  case heap = "dma-heap"
  /// An anonymous memory file turned into a DMA-BUF.
  case udmabuf
  /// An anonymous memory file; no DMA-BUF.
  case memfd
  /// A dumb buffer of a display device, exported as a DMA-BUF.
  case drmDumb = "drm-dumb"
  /// Memory of a capture or codec device.
  case device
}

/// A pool of buffers of one size.
public struct PoolReport: Sendable, Equatable {
  /// Number of the pool, unique and never used again while the process lives.
  public var id: Int
  /// What it is called, the first part of its buffers' names in the kernel: `vi0`, `vpss0.1`.
  public var name: String
  /// Its directory in the tree, for example `vb/0`; nil for a pool a node made for itself.
  public var path: String?
  /// Number a kernel allocator gave it; nil when there is none.
  public var kernelPoolID: Int?
  /// Buffers in the pool.
  public var total: Int
  /// Buffers free now.
  public var free: Int
  /// Lowest count of free buffers so far; -1 when a request found none and a frame was lost for it.
  public var minimumFree: Int
  /// Size of each buffer in bytes.
  public var bufferSize: UInt64
  /// Name of the process or module that made it.
  public var creator: String
  /// Object that made it, as it was called then; nil when it belongs to none.
  public var creatorPath: String?
  /// That object has been removed since.
  public var isCreatorGone: Bool
  /// Requests that found no free buffer.
  public var refused: UInt64
  /// Nodes that take buffers from it.
  public var users: [BufferUser]
  /// What the buffers are made of.
  public var memory: MemoryKind
  /// Name of the heap or path of the device the memory is from; nil for a memory file.
  public var heap: String?

  public init(
    id: Int, name: String = "", path: String? = nil, kernelPoolID: Int? = nil, total: Int, free: Int, minimumFree: Int,
    bufferSize: UInt64,
    creator: String, creatorPath: String? = nil, isCreatorGone: Bool = false, refused: UInt64 = 0,
    users: [BufferUser] = [], memory: MemoryKind, heap: String? = nil
  ) {
    self.id = id
    self.name = name
    self.path = path
    self.kernelPoolID = kernelPoolID
    self.total = total
    self.free = free
    self.minimumFree = minimumFree
    self.bufferSize = bufferSize
    self.creator = creator
    self.creatorPath = creatorPath
    self.isCreatorGone = isCreatorGone
    self.refused = refused
    self.users = users
    self.memory = memory
    self.heap = heap
  }
}

/// All buffers and pools, of one pass: a pool's counts are those of its own buffers.
public struct AllocationsReport: Sendable, Equatable {
  /// The buffers by number.
  public var buffers: [BufferReport]
  /// The pools by number.
  public var pools: [PoolReport]

  public init(buffers: [BufferReport] = [], pools: [PoolReport] = []) {
    self.buffers = buffers
    self.pools = pools
  }
}
