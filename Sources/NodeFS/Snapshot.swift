// SPDX-License-Identifier: Apache-2.0
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

  func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    snapshot.text.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
  }

  /// For tests.
  var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

/// Snapshots that are not in use, with their storage, so that a read of a text allocates nothing.
final class SnapshotPool: Sendable {
  private static let mostIdle = 32
  /// What grew larger than this is given back to the system.
  private static let largestKept = 1 << 20

  private let idle = Mutex<[Snapshot]>([])

  func take() -> Snapshot {
    idle.withLock { $0.popLast() } ?? Snapshot()
  }

  /// Only for a snapshot that nobody else refers to.
  func give(_ snapshot: consuming Snapshot) {
    guard snapshot.text.capacity <= Self.largestKept else { return }
    snapshot.text.removeAll()
    idle.withLock { [snapshot] in
      if $0.count < Self.mostIdle { $0.append(snapshot) }
    }
  }

  var idleCount: Int { idle.withLock { $0.count } }
}
