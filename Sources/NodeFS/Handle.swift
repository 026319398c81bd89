// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// One `open(2)` of a node. Lives until the kernel's RELEASE, whatever becomes of the node.
class Handle: @unchecked Sendable {
  // `@unchecked` for the subclasses, which guard their state themselves.
  let node: Node

  init(_ node: Node) {
    self.node = node
  }

  /// What a read came to.
  enum Reading: Sendable {
    case slice(Slice)
    /// The request must wait: `StreamHandle.park`.
    case wait
  }

  /// - Parameter isNonblocking: `O_NONBLOCK` is set on the descriptor now.
  func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    throw NodeError(.badFileDescriptor)
  }

  /// The last descriptor was closed. Called once.
  func release() {}

  func checkNode() throws(NodeError) {
    if node.isRemoved { throw NodeError(.gone, "the node was removed") }
  }
}

/// An open text, setting or command. The snapshot is private to the open.
final class TextHandle: Handle, @unchecked Sendable {
  private let render: Node.Render?
  private let pool: SnapshotPool
  private let counters: Counters
  private let snapshot = Mutex<Snapshot?>(nil)

  init(_ node: Node, render: Node.Render?, pool: SnapshotPool, counters: Counters) {
    self.render = render
    self.pool = pool
    self.counters = counters
    super.init(node)
  }

  /// Renders at offset 0, slices elsewhere. The render runs without a lock held, so that parallel `pread`s of one
  /// descriptor never wait for each other, and each gets a slice of one whole text.
  override func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    try checkNode()
    guard let render else { throw NodeError(.permissionDenied) }
    if offset != 0, let current = snapshot.withLock({ $0 }) {
      return .slice(Slice(current, offset: offset, size: size))
    }
    let fresh = pool.take()
    do {
      try render(&fresh.text)
    } catch {
      pool.give(fresh)
      throw NodeError(from: error)
    }
    counters.renders.wrappingAdd(1, ordering: .relaxed)
    let slice = Slice(fresh, offset: offset, size: size)
    recycle(
      snapshot.withLock {
        let old = $0
        $0 = fresh
        return old
      })
    return .slice(slice)
  }

  override func release() {
    recycle(snapshot.withLock { $0.take() })
  }

  /// A reply may still be reading the old text; then the last of them frees it.
  private func recycle(_ old: consuming Snapshot?) {
    var last = consume old
    guard isKnownUniquelyReferenced(&last), let unique = last.take() else { return }
    // The last reply's reads are over before the storage is written again.
    atomicMemoryFence(ordering: .acquiring)
    pool.give(unique)
  }
}

/// An open picture: made before the open was answered, the same bytes for the whole open.
final class PictureHandle: Handle, @unchecked Sendable {
  private let snapshot: Snapshot

  init(_ node: Node, _ snapshot: Snapshot) {
    self.snapshot = snapshot
    super.init(node)
  }

  override func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    try checkNode()
    return .slice(Slice(snapshot, offset: offset, size: size))
  }
}

/// An open directory: what was in it when it was last read from the start, so that entries that come and go while
/// somebody lists make him see nothing twice and miss nothing that stays.
final class DirectoryHandle: Handle, @unchecked Sendable {
  private let listed = Mutex<[Directory.Entry]>([])
  private let directory: Directory

  init(_ directory: Directory) {
    self.directory = directory
    super.init(directory)
  }

  /// The entries from `offset` on; offset 0 looks anew.
  func entries(from offset: Int64) throws(NodeError) -> ArraySlice<Directory.Entry> {
    try checkNode()
    if offset == 0 {
      let now = Structure.entries(of: directory).filter { !$0.node.isUnlisted }
      listed.withLock { $0 = now }
      return now[...]
    }
    return listed.withLock { $0.dropFirst(Int(clamping: offset)) }
  }
}

extension Node {
  /// Streams answer to their name but are not listed.
  var isUnlisted: Bool {
    if case .stream = kind { return true }
    return false
  }
}
