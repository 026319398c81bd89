// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization
import SystemPackage

/// An open text or picture: bytes that stay the same once their length was told, until they are read from the start again.
class ReadHandle: Handle, @unchecked Sendable {
  let opener: Caller
  private let hasRead = Atomic<Bool>(false)
  /// Guarded by the lock of `OpenFiles`.
  nonisolated(unsafe) var tellingAtRead: UInt64?

  init(_ node: Node, opener: Caller) {
    self.opener = opener
    super.init(node)
  }

  /// It was read by `read(2)`, so it does not look at the kernel's pages.
  var isReader: Bool { hasRead.load(ordering: .relaxed) }

  func noteRead() {
    node.files?.noteRead(self)
    if !isReader { hasRead.store(true, ordering: .relaxed) }
  }

  /// The length of what it will read, where somebody was told.
  var promisedLength: Int? { nil }

  /// What it reads, made now where that has not happened yet.
  func fixed() throws(NodeError) -> Snapshot { throw NodeError(.badFileDescriptor) }

  /// For `fstat(2)`.
  func length() throws(NodeError) -> Int { try fixed().text.count }
}

/// An open text or setting. The snapshot is private to the open.
final class TextHandle: ReadHandle, @unchecked Sendable {
  private struct State {
    var snapshot: Snapshot?
    /// It was made for a length and has not been read yet.
    var isPromised = false
    /// Until when that holds where the opener may not have asked for the length at all. CLOCK_MONOTONIC nanoseconds.
    var promisedUntil = Int64.max
    /// Time of the node's last write when it was made.
    var modified: Int64 = 0
    /// Its place among the texts that are kept.
    var place: UInt64?
    /// Length of the text that was given up for others.
    var lostLength: Int?
  }

  private let render: Node.Render
  private let tree: NodeTree
  private let state = Mutex(State())

  /// - Parameter measured: the text whose length the opener was just told.
  init(_ node: Node, render: @escaping Node.Render, tree: NodeTree, opener: Caller, measured: Measured? = nil) {
    self.render = render
    self.tree = tree
    super.init(node, opener: opener)
    if let measured {
      keep(
        measured.text, isPromised: true, until: measured.time + NodeTree.measuredPromise,
        modified: node.modified.load(ordering: .relaxed))
    }
  }

  /// The text that was promised, or a new one, at offset 0; slices elsewhere. The render runs without a lock held, so that
  /// parallel `pread`s of one descriptor never wait for each other, and each gets a slice of one whole text.
  override func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    try checkNode()
    noteRead()
    let modified = node.modified.load(ordering: .relaxed)
    let (current, lostLength): (Snapshot?, Int?) = state.withLock {
      // What was written since is seen by who reads, whatever he was told before.
      let isUsed =
        offset != 0
        || $0.isPromised && $0.modified == modified
          && ($0.promisedUntil == .max || $0.promisedUntil > Clock.now())
      $0.isPromised = false
      return (isUsed ? $0.snapshot : nil, offset != 0 ? $0.lostLength : nil)
    }
    if let current { return .slice(Slice(current, offset: offset, size: size)) }
    if let lostLength {
      if offset >= lostLength { return .slice(.empty) }
      throw Self.lost
    }
    let fresh = try tree.rendered(render)
    let slice = Slice(fresh, offset: offset, size: size)
    keep(fresh, isPromised: false, modified: modified)
    return .slice(slice)
  }

  override var promisedLength: Int? { state.withLock { $0.isPromised ? $0.snapshot?.text.count : nil } }

  override func fixed() throws(NodeError) -> Snapshot {
    try checkNode()
    let (current, isLost): (Snapshot?, Bool) = state.withLock {
      $0.promisedUntil = .max
      return ($0.snapshot, $0.lostLength != nil)
    }
    if let current { return current }
    if isLost { throw Self.lost }
    let modified = node.modified.load(ordering: .relaxed)
    let fresh = try tree.rendered(render)
    return keep(fresh, isPromised: !isReader, modified: modified)
  }

  override func length() throws(NodeError) -> Int {
    if let lost = state.withLock({ $0.lostLength }) { return lost }
    return try fixed().text.count
  }

  /// Makes `fresh` the text of this open. A promise is made once: who comes second gets the first one's text.
  /// - Parameter modified: time of the node's last write before it was made.
  @discardableResult
  private func keep(
    _ fresh: Snapshot, isPromised: Bool, until end: Int64 = .max, modified: Int64
  ) -> Snapshot {
    let place = tree.keptTexts.add(self, bytes: fresh.text.capacity)
    let (used, old, oldPlace): (Snapshot, Snapshot?, UInt64?) = state.withLock {
      if isPromised, let there = $0.snapshot { return (there, nil, place) }
      let old = ($0.snapshot, $0.place)
      $0.snapshot = fresh
      $0.isPromised = isPromised
      $0.promisedUntil = end
      $0.modified = modified
      $0.place = place
      $0.lostLength = nil
      return (fresh, old.0, old.1)
    }
    if let oldPlace { tree.keptTexts.remove(oldPlace) }
    recycle(old)
    return used
  }

  /// The text has to go, so that what descriptors keep stays within bounds.
  func giveUp(_ place: UInt64) {
    let old: Snapshot? = state.withLock { state in
      guard state.place == place, let text = state.snapshot.take() else { return nil }
      state.lostLength = text.text.count
      state.place = nil
      state.isPromised = false
      return text
    }
    recycle(old)
  }

  private static let lost = NodeError(
    .noMemory, "the text this descriptor had was given up for newer ones; reading at offset 0 makes a new one")

  override func release() {
    let (old, place): (Snapshot?, UInt64?) = state.withLock { ($0.snapshot.take(), $0.place.take()) }
    if let place { tree.keptTexts.remove(place) }
    recycle(old)
  }

  /// A reply may still be reading the old text; then the last of them frees it.
  private func recycle(_ old: consuming Snapshot?) {
    var last = consume old
    guard isKnownUniquelyReferenced(&last), let unique = last.take() else { return }
    // The last reply's reads are over before the storage is written again.
    atomicMemoryFence(ordering: .acquiring)
    tree.snapshots.give(unique)
  }
}

/// An open picture: made before the open was answered, the same bytes for the whole open.
final class PictureHandle: ReadHandle, @unchecked Sendable {
  private let snapshot: Snapshot

  init(_ node: Node, _ snapshot: Snapshot, opener: Caller) {
    self.snapshot = snapshot
    super.init(node, opener: opener)
  }

  override func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    try checkNode()
    noteRead()
    return .slice(Slice(snapshot, offset: offset, size: size))
  }

  override var promisedLength: Int? { snapshot.text.count }

  override func fixed() throws(NodeError) -> Snapshot {
    try checkNode()
    return snapshot
  }
}
