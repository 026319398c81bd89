// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
public import Reports

extension MediaGraph {
  /// All picture memory of this process: bytes now, and the peak.
  public func memoryTotals() -> MemoryTotals { environment.ledger.totals }

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

  /// Every pool and every buffer of it, by number. A pool that was given up is listed until its last buffer came home.
  ///
  /// Buffers come and go while they are looked at, one after the other; a pool's free ones are those that its own buffers
  /// are shown to be, so that the two add up.
  public func allocations() -> AllocationsReport {
    environment.pools.prune()
    let users = environment.slots.users
    var (buffers, pools): ([BufferReport], [PoolReport]) = ([], [])
    for entry in environment.pools.entries {
      let own = entry.pool.buffers.map { report(on: $0, pool: entry.pool, users) }
      buffers += own
      pools.append(report(on: entry, own, users))
    }
    return AllocationsReport(buffers: buffers.sorted { $0.id < $1.id }, pools: pools.sorted { $0.id < $1.id })
  }

  private func report(
    on entry: PoolRegistry.Entry, _ buffers: [BufferReport], _ users: [UserSlots.User?]
  ) -> PoolReport {
    let pool = entry.pool
    let (kind, heap) = Self.memory(pool.memoryKind)
    // Of a device's own buffers those are free that it can fill, which need not be all that nobody holds.
    let free = entry.isLent ? min(pool.free, buffers.count) : buffers.count { $0.references == 0 }
    return PoolReport(
      id: Int(pool.id), total: buffers.count, free: free, minimumFree: min(pool.lowWater, free),
      bufferSize: UInt64(pool.bufferSize), creator: environment.options.programName,
      users: Self.user(entry.user, users).map { [$0] } ?? [], memory: kind, heap: heap)
  }

  private func report(on buffer: Buffer, pool: any BufferPool, _ users: [UserSlots.User?]) -> BufferReport {
    var holders: [BufferUser] = []
    for slot in 0..<UserSlot.count where holders.count < 32 {
      let slot = UserSlot(rawValue: UInt8(slot))
      if buffer.uses(by: slot) > 0, let user = Self.user(slot, users) { holders.append(user) }
    }
    let memory = buffer.memory
    return BufferReport(
      id: Int(buffer.id), poolID: Int(pool.id), references: buffer.references,
      kernelReferences: memory.isDMABuf ? memory.kernelReferenceCount() : nil, size: UInt64(buffer.size),
      creator: environment.options.programName, creatorProcessID: getpid(), users: holders,
      isMapped: memory.mapped != nil, exporter: memory.isDMABuf ? memory.exporter : nil, inode: memory.inode)
  }

  private static func user(_ slot: UserSlot, _ users: [UserSlots.User?]) -> BufferUser? {
    guard let user = users[Int(slot.rawValue)] else { return nil }
    return BufferUser(node: user.name, nodeID: user.node, slot: Int(slot.rawValue), isGone: user.isGone)
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
