// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
public import Reports

extension MediaGraph {
  /// All picture memory of this process: bytes now, the peak, and what it may reach.
  public func memoryTotals() -> MemoryTotals {
    environment.pools.prune()
    return environment.ledger.totals
  }

  /// What else memory is kept for, besides media buffers.
  public func memoryStatistics() -> [Statistic] {
    let (rings, feeds) = all.reduce(into: (0, 0)) { sums, object in
      sums.0 += object.stream?.figures.capacity ?? 0
      sums.1 += object.intake?.bytesWaiting ?? 0
    }
    return [
      Statistic("stream_rings_bytes", .gauge, unit: .bytes, "Bytes of the rings of coded pictures.", rings),
      Statistic("feed_bytes", .gauge, unit: .bytes, "Bytes written to feed that no decoder has taken yet.", feeds),
    ]
  }

  /// Stores 0 as the peak until the next buffer is made, as writing 0 to the vendor's `rk_dmabuf/peak` does.
  public func resetMemoryPeak() { environment.ledger.resetPeak() }

  /// What an object holds, for its `active`; nothing where that is nothing.
  func memoryFacts(_ path: String) -> [KeyValue] {
    let bytes = environment.pools.entries.reduce(0) { $0 + ($1.creator.path == path ? $1.bytes : 0) }
    return bytes == 0 ? [] : [KeyValue(key: "memory_bytes", value: "\(bytes)")]
  }

  /// Every pool and every buffer of it, by number. A pool that was given up is listed until its last buffer came home.
  ///
  /// Buffers come and go while they are looked at, one after the other; a pool's free ones are those that its own buffers
  /// are shown to be, so that the two add up.
  public func allocations() -> AllocationsReport {
    environment.pools.prune()
    let look = Look(self)
    var (buffers, pools): ([BufferReport], [PoolReport]) = ([], [])
    for entry in environment.pools.entries {
      let isGone = look.isGone(entry.creator)
      let own = entry.pool.buffers
      buffers.reserveCapacity(buffers.count + own.count)
      let first = buffers.count
      for buffer in own { buffers.append(look.report(on: buffer, entry, isGone)) }
      pools.append(look.report(on: entry, buffers[first...], isGone))
    }
    return AllocationsReport(buffers: buffers.sorted { $0.id < $1.id }, pools: pools.sorted { $0.id < $1.id })
  }

  /// One pool; `nil` when it is not listed.
  func poolReport(_ pool: Pool) -> PoolReport? {
    guard let entry = environment.pools.entries.first(where: { $0.pool === pool }) else { return nil }
    let look = Look(self)
    let own = pool.buffers.map { look.report(on: $0, entry, false) }
    return look.report(on: entry, own[...], look.isGone(entry.creator))
  }
}

/// What one pass over the buffers looks things up in.
private struct Look {
  let users: [UserSlots.User?]
  /// The objects there are.
  let generations: [String: UInt64]
  let creator: String
  let process = getpid()

  init(_ graph: MediaGraph) {
    users = graph.environment.slots.users
    creator = graph.environment.options.programName
    var found: [String: UInt64] = [:]
    for object in graph.all { found["\(object.path)"] = object.generation }
    for object in graph.allFittings { found["\(object.path)"] = object.generation }
    generations = found
  }

  func isGone(_ creator: PoolRegistry.Creator) -> Bool { generations[creator.path] != creator.generation }

  func report(on entry: PoolRegistry.Entry, _ buffers: ArraySlice<BufferReport>, _ isGone: Bool) -> PoolReport {
    let pool = entry.pool
    let (kind, heap) = Self.memory(pool.memoryKind)
    // Of a device's own buffers those are free that it can fill, which need not be all that nobody holds.
    let free = entry.isLent ? min(pool.free, buffers.count) : buffers.count { $0.references == 0 }
    return PoolReport(
      id: Int(pool.id), name: pool.name, path: pool.isShared ? entry.creator.path : nil, total: buffers.count,
      free: free,
      minimumFree: min(pool.lowWater, free), bufferSize: UInt64(pool.bufferSize), creator: creator,
      creatorPath: entry.creator.path, isCreatorGone: isGone, refused: pool.refused,
      users: entry.users.compactMap { user($0) }, memory: kind, heap: heap)
  }

  func report(on buffer: Buffer, _ entry: PoolRegistry.Entry, _ isCreatorGone: Bool) -> BufferReport {
    var holders: [BufferUser] = []
    let references = buffer.references
    var others = 0
    if references > 0 {
      var left = references
      for slot in 0..<UserSlot.count where left > 0 {
        let slot = UserSlot(rawValue: UInt8(slot))
        let uses = buffer.uses(by: slot)
        guard uses > 0 else { continue }
        left -= uses
        // The vendor's table has 32 places.
        if holders.count < 32, let user = user(slot, uses: uses) { holders.append(user) } else { others += uses }
      }
    }
    let memory = buffer.memory.whole
    let isDMABuf = memory.isDMABuf
    let sharing: BufferSharing =
      !(buffer.memory is MemoryPart) ? .own : buffer.index == 0 ? .sharedOwner : .sharedView
    return BufferReport(
      id: Int(buffer.id), poolID: Int(entry.pool.id), references: references,
      kernelReferences: isDMABuf ? memory.kernelReferenceCount() : nil,
      size: UInt64(sharing == .sharedOwner ? memory.size : buffer.size), sharing: sharing, creator: creator,
      creatorProcessID: process, creatorPath: entry.creator.path, isCreatorGone: isCreatorGone, users: holders,
      otherUses: others, isMapped: memory.mapped != nil, exporter: isDMABuf ? memory.exporter : nil, inode: memory.inode
    )
  }

  private func user(_ slot: UserSlot, uses: Int = 1) -> BufferUser? {
    guard let user = users[Int(slot.rawValue)] else { return nil }
    return BufferUser(node: user.name, nodeID: user.node, slot: Int(slot.rawValue), isGone: user.isGone, uses: uses)
  }

  /// From the allocator's name: `memfd`, `udmabuf`, `heap:system`, `drm:card0`, `v4l2:mmap`.
  private static func memory(_ name: String) -> (MemoryKind, String?) {
    let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
    let rest = parts.count > 1 ? parts[1] : nil
    switch parts.first ?? "" {
    case "memfd": return (.memfd, nil)
    case "udmabuf": return (.udmabuf, nil)
    case "heap", "dma-heap": return (.heap, rest)
    case let kind where kind.hasPrefix("drm"): return (.drmDumb, rest)
    default: return (.device, name)
    }
  }
}
