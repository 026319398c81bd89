// SPDX-License-Identifier: Apache-2.0

/// The memory by what it is made of, as a table of zones and blocks shows it: a zone is a kind of memory or a heap, a block one
/// piece of it.
public struct MemoryZone: Sendable, Equatable {
  /// `memfd`, `udmabuf`, the heap's name, or the device's.
  public var name: String
  public var memory: MemoryKind
  /// By token.
  public var blocks: [MemoryBlock]
  /// Bytes of all its blocks.
  public var usedBytes: UInt64

  public init(name: String, memory: MemoryKind, blocks: [MemoryBlock] = [], usedBytes: UInt64 = 0) {
    self.name = name
    self.memory = memory
    self.blocks = blocks
    self.usedBytes = usedBytes
  }
}

/// One piece of memory. Buffers that are parts of one piece are one block.
public struct MemoryBlock: Sendable, Equatable {
  /// Number of the buffer, of the first where several share it; what stands for its address where nobody can know one.
  public var buffer: Int
  /// Physical address; nil when unknown.
  public var physicalAddress: UInt64?
  public var size: UInt64
  /// Name of its pool: `vi0`.
  public var name: String
  public var isMapped: Bool
  /// Object that made it, as it was called then, and whether that has been removed since.
  public var creatorPath: String?
  public var isCreatorGone: Bool
  /// Nodes that hold it, with how often.
  public var users: [BufferUser]
}

/// Who holds which blocks of a pool, by module.
public struct PoolUse: Sendable, Equatable {
  public struct Row: Sendable, Equatable {
    /// Index of the block in its pool, from 0.
    public var block: Int
    /// Number of the buffer.
    public var buffer: Int
    /// How often each of `modules` holds it, in that order.
    public var counts: [Int]
  }

  /// Names of the modules that hold any, in order of name; `other` last, for those without a place in the table of users.
  public var modules: [String]
  /// The blocks that are held, by index.
  public var rows: [Row]
  /// Of how many blocks each module holds some, in the order of `modules`.
  public var sums: [Int]

  /// What stands for those who have no place of their own.
  public static let other = "other"
}

extension AllocationsReport {
  /// The memory by zone, in order of name; blocks in order of address where it is known, else of token.
  public var zones: [MemoryZone] {
    var zones: [String: MemoryZone] = [:]
    let pools = Dictionary(pools.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    for buffer in buffers {
      guard let pool = buffer.poolID.flatMap({ pools[$0] }) else { continue }
      let name = pool.heap ?? pool.memory.rawValue
      var zone = zones[name] ?? MemoryZone(name: name, memory: pool.memory)
      if buffer.sharing == .sharedView {
        // A part of the block before it.
        if let last = zone.blocks.indices.last { zone.blocks[last].users += buffer.users }
      } else {
        zone.usedBytes &+= buffer.size
        zone.blocks.append(
          MemoryBlock(
            buffer: buffer.id, physicalAddress: buffer.physicalAddress, size: buffer.size, name: pool.name,
            isMapped: buffer.isMapped, creatorPath: buffer.creatorPath, isCreatorGone: buffer.isCreatorGone,
            users: buffer.users))
      }
      zones[name] = zone
    }
    return zones.values.map { zone in
      var zone = zone
      zone.blocks.sort { ($0.physicalAddress ?? .max, $0.buffer) < ($1.physicalAddress ?? .max, $1.buffer) }
      return zone
    }.sorted { $0.name < $1.name }
  }

  /// Who holds the blocks of a pool.
  public func use(of pool: PoolReport) -> PoolUse {
    let own = buffers.filter { $0.poolID == pool.id }
    var modules = Set(own.flatMap { $0.users.map(\.node) }).sorted()
    if own.contains(where: { $0.otherUses > 0 }) { modules.append(PoolUse.other) }
    var use = PoolUse(modules: modules, rows: [], sums: modules.map { _ in 0 })
    for (index, buffer) in own.enumerated() where buffer.references > 0 {
      let counts = modules.map { module in
        buffer.users.reduce(module == PoolUse.other ? buffer.otherUses : 0) { $0 + ($1.node == module ? $1.uses : 0) }
      }
      for (place, count) in counts.enumerated() where count > 0 { use.sums[place] += 1 }
      use.rows.append(PoolUse.Row(block: index, buffer: buffer.id, counts: counts))
    }
    return use
  }
}
