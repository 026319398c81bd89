// SPDX-License-Identifier: Apache-2.0
import CAllocationCount
import Glibc
import Synchronization

/// Heap calls of the threads that ask, noted one after the other: with each note those since the same thread's last one. A worker
/// that stands still has its work gone on with by another.
final class HeapNotes: Sendable {
  private struct State {
    var sums: [UInt64] = []
    var sum: UInt64 = 0
    var threads: [(id: pthread_t, count: UInt64)] = []
  }
  private let state = Mutex(State())
  init() {
    state.withLock {
      $0.sums.reserveCapacity(4096)
      $0.threads.reserveCapacity(64)
    }
  }
  func note() {
    let (count, id) = (allocation_count(), pthread_self())
    state.withLock { state in
      guard state.sums.count < 4096 else { return }
      var place = 0
      while place < state.threads.count, state.threads[place].id != id { place += 1 }
      if place == state.threads.count { state.threads.append((id, count)) }
      // Another thread may have the number of one that has ended.
      if count > state.threads[place].count { state.sum += count - state.threads[place].count }
      state.threads[place].count = count
      state.sums.append(state.sum)
    }
  }
  /// How many were noted. Looking at `all` while they are being noted would make the next one copy them.
  var count: Int { state.withLock { $0.sums.count } }
  var all: [UInt64] { state.withLock { $0.sums } }
  /// Heap calls between the notes `range.lowerBound` and `upperBound`: the quietest of four stretches as long, since the
  /// Swift runtime fills its own caches when a path is first taken. What happens again and again is in all of them.
  func fewest(in range: Range<Int>) -> UInt64? {
    let all = all
    let length = range.count / 4
    return (0..<4).map { all[range.lowerBound + ($0 + 1) * length] - all[range.lowerBound + $0 * length] }.min()
  }
}
