// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
public import Reports

extension MediaGraph {
  /// All picture memory of this process: bytes now, and the peak.
  public func memoryTotals() -> MemoryTotals { environment.ledger.totals }

  /// Stores 0 as the peak until the next buffer is made, as writing 0 to the vendor's `rk_dmabuf/peak` does.
  public func resetMemoryPeak() { environment.ledger.resetPeak() }

  /// Every buffer of every pool, by number.
  public func bufferReports() -> [BufferReport] {
    let users = environment.slots.users
    var reports: [BufferReport] = []
    for entry in environment.pools.entries {
      for buffer in entry.pool.buffers { reports.append(report(on: buffer, pool: entry.pool, users)) }
    }
    return reports.sorted { $0.id < $1.id }
  }

  /// Every pool, by number. One that was given up is listed until its last buffer came home.
  public func poolReports() -> [PoolReport] {
    environment.pools.prune()
    let users = environment.slots.users
    return environment.pools.entries.map { entry in
      let pool = entry.pool
      let (kind, heap) = Self.memory(pool.memoryKind)
      return PoolReport(
        id: Int(pool.id), total: pool.buffers.count, free: pool.free, minimumFree: pool.lowWater,
        bufferSize: UInt64(pool.bufferSize), creator: environment.options.programName,
        users: Self.user(entry.user, users).map { [$0] } ?? [], memory: kind, heap: heap)
    }.sorted { $0.id < $1.id }
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
