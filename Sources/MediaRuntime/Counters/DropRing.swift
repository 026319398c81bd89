// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The last dropped frames as records of plain words, written on the frame path by any number of threads.
///
/// A writer takes the next ticket, which names its slot, and marks the slot as being written. It waits for nobody:
/// where another writer is still in the slot, a whole round behind, its record is left out. A reader takes only records
/// that stayed the same while it read them. At most the last `capacity` records are kept; how many frames were dropped is
/// counted elsewhere.
///
/// Ownership: owns its memory, of fixed size.
final class DropRing: Sendable {
  static let capacity = 256

  /// What is kept of a frame.
  struct Record: Sendable, Equatable {
    /// CLOCK_MONOTONIC nanoseconds.
    var time: Int64 = 0
    var number: UInt64 = 0
    var pts: Int64 = 0
    /// Object, cause and stage; ``DropLog`` packs them.
    var what: UInt64 = 0
  }

  /// A slot fills a cache line: [0] twice the ticket, plus 1 while it is written and plus 2 when it has been; then the
  /// record.
  private static let words = 8
  nonisolated(unsafe) private let slots: UnsafeMutablePointer<Atomic<UInt64>>
  private let tickets = Atomic<UInt64>(0)

  init() {
    let count = Self.capacity * Self.words
    let raw = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<UInt64>.stride, alignment: 64)
    slots = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for index in 0..<count { (slots + index).initialize(to: Atomic(0)) }
  }

  deinit {
    slots.deinitialize(count: Self.capacity * Self.words)
    UnsafeMutableRawPointer(slots).deallocate()
  }

  private func slot(_ ticket: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
    slots + Int(ticket % UInt64(Self.capacity)) * Self.words
  }

  func write(_ record: Record) {
    let ticket = tickets.add(1, ordering: .relaxed).oldValue
    let slot = slot(ticket)
    let writing = ticket &* 2 &+ 1
    let seen = slot[0].load(ordering: .relaxed)
    guard seen & 1 == 0, seen < writing,
      slot[0].compareExchange(
        expected: seen, desired: writing, successOrdering: .acquiring, failureOrdering: .relaxed
      ).exchanged
    else { return }
    atomicMemoryFence(ordering: .releasing)
    slot[1].store(UInt64(bitPattern: record.time), ordering: .relaxed)
    slot[2].store(record.number, ordering: .relaxed)
    slot[3].store(UInt64(bitPattern: record.pts), ordering: .relaxed)
    slot[4].store(record.what, ordering: .relaxed)
    slot[0].store(writing &+ 1, ordering: .releasing)
  }

  /// The records that are whole, in the order of their tickets.
  var records: [Record] {
    let end = tickets.load(ordering: .acquiring)
    var found: [Record] = []
    for ticket in end - min(end, UInt64(Self.capacity))..<end {
      let slot = slot(ticket)
      let written = ticket &* 2 &+ 2
      guard slot[0].load(ordering: .acquiring) == written else { continue }
      let record = Record(
        time: Int64(bitPattern: slot[1].load(ordering: .relaxed)), number: slot[2].load(ordering: .relaxed),
        pts: Int64(bitPattern: slot[3].load(ordering: .relaxed)), what: slot[4].load(ordering: .relaxed))
      atomicMemoryFence(ordering: .acquiring)
      if slot[0].load(ordering: .relaxed) == written { found.append(record) }
    }
    return found
  }
}
