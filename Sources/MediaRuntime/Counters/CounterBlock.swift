// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// A group of 64-bit counters on cache lines of its own, read as one consistent whole.
///
/// A sequence lock: word 0 is odd while a writer is inside. Writers exclude each other by it (the rare moment when two
/// sources meet at one receiver); readers only retry and never hold a writer up.
///
/// Ownership: the memory belongs to whoever made the block, who calls `free` in its own deinit.
struct CounterBlock: @unchecked Sendable {
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let count: Int
  private static let lineBytes = 128

  /// - Parameter size: counters, indexed 0..<size.
  init(_ size: Int) {
    count = size + 1
    let bytes = (count * MemoryLayout<UInt64>.stride + Self.lineBytes - 1) / Self.lineBytes * Self.lineBytes
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: Self.lineBytes)
    words = raw.bindMemory(to: Atomic<UInt64>.self, capacity: count)
    for index in 0..<count { (words + index).initialize(to: Atomic(0)) }
  }

  func free() {
    words.deinitialize(count: count)
    UnsafeMutableRawPointer(words).deallocate()
  }

  /// Enters as the only writer. Only plain stores belong between this and `end`.
  @inline(__always) func begin() {
    let sequence = words[0].load(ordering: .relaxed)
    if sequence & 1 == 0,
      words[0].compareExchange(
        expected: sequence, desired: sequence &+ 1, successOrdering: .acquiring, failureOrdering: .relaxed
      ).exchanged
    {
      atomicMemoryFence(ordering: .releasing)
      return
    }
    beginSlowly()
  }

  @inline(never) private func beginSlowly() {
    var spins = 0
    while true {
      let sequence = words[0].load(ordering: .relaxed)
      if sequence & 1 == 0,
        words[0].weakCompareExchange(
          expected: sequence, desired: sequence &+ 1, successOrdering: .acquiring, failureOrdering: .relaxed
        ).exchanged
      {
        atomicMemoryFence(ordering: .releasing)
        return
      }
      spins += 1
      // The writer inside may have lost its CPU.
      if spins & 31 == 0 { sched_yield() }
    }
  }

  @inline(__always) func end() {
    let sequence = words[0].load(ordering: .relaxed)
    words[0].store(sequence &+ 1, ordering: .releasing)
  }

  /// One counter. Setting belongs between `begin` and `end`.
  subscript(index: Int) -> UInt64 {
    @inline(__always) get { words[index + 1].load(ordering: .relaxed) }
    @inline(__always) nonmutating set { words[index + 1].store(newValue, ordering: .relaxed) }
  }

  /// Stores a figure that stands by itself, outside `begin` and `end`.
  @inline(__always) func storeAlone(_ index: Int, _ value: UInt64) {
    words[index + 1].store(value, ordering: .relaxed)
  }

  /// Reads several counters of one moment.
  func read<Value>(_ body: (CounterBlock) -> Value) -> Value {
    var spins = 0
    while true {
      let before = words[0].load(ordering: .acquiring)
      if before & 1 == 0 {
        let value = body(self)
        atomicMemoryFence(ordering: .acquiring)
        if words[0].load(ordering: .relaxed) == before { return value }
      }
      spins += 1
      if spins & 31 == 0 { sched_yield() }
    }
  }
}
