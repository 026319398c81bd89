// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization

/// The text of one moment. Written once by a render, then only read: by its handle and by replies on their way out.
final class Snapshot: @unchecked Sendable {
  // `@unchecked`: filled before it is shared.
  var text: TextBuffer

  init(capacity: Int = 4096) {
    text = TextBuffer(capacity: capacity)
  }

  convenience init(_ bytes: [UInt8]) {
    self.init(capacity: bytes.count)
    text.append(contentsOf: bytes)
  }

  /// Nothing. Never filled.
  static let empty = Snapshot(capacity: 0)
}

/// A piece of a snapshot on its way to a reader. Keeps the snapshot alive, whatever its handle does meanwhile.
struct Slice: Sendable {
  let snapshot: Snapshot
  let offset: Int
  let count: Int

  /// What `read(2)` gets: nothing past the end.
  init(_ snapshot: Snapshot, offset: Int64, size: Int) {
    self.snapshot = snapshot
    self.offset = Int(min(max(offset, 0), Int64(snapshot.text.count)))
    self.count = min(max(size, 0), snapshot.text.count - self.offset)
  }

  /// What is read of what has no text.
  static let empty = Slice(.empty, offset: 0, size: 0)

  func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    snapshot.text.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
  }

  /// For tests.
  var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

/// Snapshots that are not in use, with their storage, so that a read of a text allocates nothing.
final class SnapshotPool: Sendable {
  private static let mostIdle = 32
  private static let mostIdleBytes = 2 << 20
  /// So many bytes freed are worth giving back to the system.
  private static let worthTrimming = 1 << 20

  private struct State {
    var idle: [Snapshot] = []
    var bytes = 0
    /// Freed since the heap was last given back.
    var freed = 0
  }
  private let state = Mutex(State())

  func take() -> Snapshot {
    state.withLock {
      guard let snapshot = $0.idle.popLast() else { return nil }
      $0.bytes -= snapshot.text.capacity
      return snapshot
    } ?? Snapshot()
  }

  /// Only for a snapshot that nobody else refers to.
  func give(_ snapshot: consuming Snapshot) {
    snapshot.text.removeAll()
    let mustTrim = state.withLock { [snapshot] in
      let bytes = snapshot.text.capacity
      if $0.idle.count < Self.mostIdle, $0.bytes + bytes <= Self.mostIdleBytes {
        $0.idle.append(snapshot)
        $0.bytes += bytes
        return false
      }
      $0.freed += bytes
      guard $0.freed >= Self.worthTrimming else { return false }
      $0.freed = 0
      return true
    }
    if mustTrim { Heap.trimSoon() }
  }

  var idleCount: Int { state.withLock { $0.idle.count } }
}
