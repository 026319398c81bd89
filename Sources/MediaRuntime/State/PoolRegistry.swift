// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// All pools whose buffers frames of the graph lie in. A pool that was given up stays listed until its last buffer
/// came home: that is what makes a leak visible.
final class PoolRegistry: Sendable {
  struct Entry: Sendable {
    let pool: any BufferPool
    /// Who takes buffers from it.
    let user: UserSlot
    /// Whether its memory came from a device, not from the graph's allocator.
    let isLent: Bool
    /// Bytes to take off the ledger at the end; memory of devices.
    let lentBytes: Int
    var isGivenUp = false
  }

  private let list = Published<[Entry]>([])
  private let change = Mutex<Void>(())
  private let ledger: MemoryLedger

  init(_ ledger: MemoryLedger) { self.ledger = ledger }

  var entries: [Entry] { list.value }

  func add(_ pool: any BufferPool, user: UserSlot, isLent: Bool) {
    let bytes = isLent ? pool.buffers.reduce(0) { $0 + $1.memory.size } : 0
    if bytes > 0 { ledger.add(bytes) }
    update { $0.append(Entry(pool: pool, user: user, isLent: isLent, lentBytes: bytes)) }
  }

  /// No more buffers are taken of a pool of the runtime's own; those in use come back by themselves.
  func close(_ pool: Pool) {
    pool.close()
    giveUp(pool)
  }

  func giveUp(_ pool: any BufferPool) {
    update { entries in
      for index in entries.indices where entries[index].pool === pool { entries[index].isGivenUp = true }
    }
  }

  /// Forgets pools that were given up and are whole again.
  func prune() {
    guard entries.contains(where: { $0.isGivenUp }) else { return }
    update { _ in }
  }

  private func update(_ body: (inout [Entry]) -> Void) {
    change.withLock { _ in
      var entries = list.value
      body(&entries)
      entries.removeAll { entry in
        guard entry.isGivenUp, entry.pool.buffers.allSatisfy({ $0.references == 0 }) else { return false }
        if entry.lentBytes > 0 { ledger.remove(entry.lentBytes) }
        return true
      }
      list.store(entries)
    }
  }
}
