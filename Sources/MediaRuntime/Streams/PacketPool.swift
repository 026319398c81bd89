// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The packets of all channels: coded pictures that wait for a reader since they came, or that a reader has in part. There are at most `limit`,
/// as with the vendor's encoder; what a ring keeps for readers that may come is none.
///
/// Where all are taken, the channel whose readers are furthest behind gives way: its slowest reader loses what it has not read, whole groups of
/// pictures. So one reader that stalls costs nobody else a picture, and its own channel's other readers none.
final class PacketPool: Sendable {
  let limit: Int
  private let taken = Atomic<Int>(0)
  private let most = Atomic<Int>(0)

  private struct Member: Sendable {
    weak var ring: PacketRing?
  }
  private let members = Mutex<[Member]>([])

  init(limit: Int) { self.limit = max(1, limit) }

  /// Packets in use, and the most that ever were: so many have been made.
  var used: Int { taken.load(ordering: .relaxed) }
  var made: Int { most.load(ordering: .relaxed) }

  func add(_ ring: PacketRing) {
    members.withLock { members in
      members.removeAll { $0.ring == nil }
      members.append(Member(ring: ring))
    }
  }

  /// Takes a packet for a picture that comes. No ring's lock is held.
  /// - Returns: false where all are taken and nobody can give way.
  func reserve() -> Bool {
    while true {
      let now = taken.load(ordering: .relaxed)
      if now >= limit {
        guard makeRoom() else { return false }
        continue
      }
      guard taken.compareExchange(expected: now, desired: now + 1, ordering: .relaxed).exchanged else { continue }
      note(now + 1)
      return true
    }
  }

  /// A ring's use has changed by so many.
  func change(by count: Int) {
    guard count != 0 else { return }
    note(taken.add(count, ordering: .relaxed).newValue)
  }

  private func note(_ now: Int) {
    var old = most.load(ordering: .relaxed)
    while now > old {
      let result = most.compareExchange(expected: old, desired: now, ordering: .relaxed)
      if result.exchanged { return }
      old = result.original
    }
  }

  private func makeRoom() -> Bool {
    let rings = members.withLock { members in members.compactMap(\.ring) }
    for ring in rings.sorted(by: { $0.inUse > $1.inUse }) where ring.inUse > 0 {
      if ring.giveWay() { return true }
    }
    return used < limit
  }
}
