// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// All pools whose buffers frames of the graph lie in. A pool that was given up stays listed until its last buffer
/// came home: that is what makes a leak visible.
final class PoolRegistry: Sendable {
  /// Who made a pool, as it was called then: true also when it has gone.
  struct Creator: Sendable {
    var path: String
    /// Number of the object, among all that ever had the path.
    var generation: UInt64
  }

  /// An object that takes buffers. Those beyond the table of uses share a place in that.
  struct Taker: Sendable, Equatable {
    var user: UserSlot
    var path: String
  }

  struct Entry: Sendable {
    let pool: any BufferPool
    let creator: Creator
    /// Who takes buffers from it, each once.
    var takers: [Taker]
    var users: [UserSlot] { takers.map(\.user) }
    /// Whether its memory came from a device, not from the graph's allocator.
    let isLent: Bool
    /// Bytes of it that the ledger has by way of this list: memory of devices.
    var lentBytes = 0
    var isGivenUp = false

    /// Bytes of its memory now; what several buffers share once.
    var bytes: Int {
      if pool.isWrapped { return pool.buffers.first.map { $0.memory.whole.size } ?? 0 }
      return pool.buffers.reduce(0) { sum, buffer in
        buffer.linked.reduce(sum + buffer.memory.size) { $0 + $1.size }
      }
    }

    /// Those of them that no allocator of the graph counts.
    fileprivate var uncounted: Int {
      guard isLent else { return 0 }
      return pool.buffers.reduce(0) { sum, buffer in
        ([buffer.memory] + buffer.linked).reduce(sum) { $0 + ($1 is CountedMemory ? 0 : $1.size) }
      }
    }
  }

  private let list = Published<[Entry]>([])
  private let change = Mutex<Void>(())
  private let ledger: MemoryLedger

  init(_ ledger: MemoryLedger) { self.ledger = ledger }

  var entries: [Entry] { list.value }

  /// Lists a pool, or one more user of a shared one.
  /// - Parameter user: who takes its buffers; `nil` where nobody does yet.
  /// - Throws: ENOMEM where a device's own memory passes the limit; it is not listed then.
  func add(_ pool: any BufferPool, creator: Creator, user: UserSlot?, isLent: Bool) throws(Failure) {
    var failure: Failure?
    update { entries in
      if let index = entries.firstIndex(where: { $0.pool === pool }) {
        let taker = user.map { Taker(user: $0, path: creator.path) }
        if let taker, !entries[index].takers.contains(taker) { entries[index].takers.append(taker) }
        return
      }
      var entry = Entry(
        pool: pool, creator: creator, takers: user.map { [Taker(user: $0, path: creator.path)] } ?? [],
        isLent: isLent)
      do throws(Failure) {
        let bytes = entry.uncounted
        if bytes > 0 { try ledger.reserve(bytes, for: pool.name) }
        ledger.notePeak()
        entry.lentBytes = bytes
        entries.append(entry)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// No more buffers are taken of a pool of the runtime's own by that user; those in use come back by themselves.
  func close(_ pool: Pool, user: UserSlot, path: String? = nil) {
    pool.leave()
    giveUp(pool, user: user, path: path)
  }

  /// - Parameter user: who gives it up; a shared one only loses him. `nil` is its owner.
  /// - Parameter path: of the object, where others may share its place in the table of uses.
  func giveUp(_ pool: any BufferPool, user: UserSlot?, path: String? = nil) {
    update { entries in
      guard let index = entries.firstIndex(where: { $0.pool === pool }) else { return }
      if pool.isShared, let user {
        let takers = entries[index].takers
        let place = takers.firstIndex { $0.user == user && (path == nil || $0.path == path) }
        if let place { entries[index].takers.remove(at: place) }
      } else {
        entries[index].isGivenUp = true
      }
    }
  }

  /// Forgets pools that were given up and are whole again, and counts devices' memory as it is now.
  func prune() {
    guard entries.contains(where: { $0.isGivenUp || $0.isLent && $0.uncounted != $0.lentBytes }) else { return }
    update { _ in }
  }

  /// Whether a buffer is charged to the user.
  func holds(_ user: UserSlot) -> Bool {
    entries.contains { entry in entry.pool.buffers.contains { $0.uses(by: user) > 0 } }
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
      for index in entries.indices where entries[index].isLent {
        // A device that came back, or whose pictures have another size, has other buffers.
        let now = entries[index].uncounted
        if now != entries[index].lentBytes { ledger.add(now - entries[index].lentBytes) }
        entries[index].lentBytes = now
      }
      list.store(entries)
    }
  }
}

extension Memory {
  /// The memory this is, or is a part of.
  var whole: any Memory { (self as? MemoryPart)?.whole ?? self }
}
