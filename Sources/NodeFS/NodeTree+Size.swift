// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization

/// A text that was made to tell its length.
struct Measured {
  let node: Node
  let process: Int32
  let text: Snapshot
  /// CLOCK_MONOTONIC nanoseconds.
  let time: Int64
  /// `NodeTree.changes` before it was made.
  let changes: UInt64
}

extension NodeTree {
  /// What `stat(2)` reports as the length to `caller`.
  ///
  /// For who has the node open it is the length of what he will read: `tar`, `scp` and web servers announce it, and are held
  /// to it. For others it is the length a text has now, found by rendering it. 0, as procfs reports it, would do harm: since
  /// 6.5 the kernel answers `sendfile(2)`, with which `busybox cat` begins, from the size alone, and there would be no text at
  /// all.
  func size(of node: Node, for caller: Caller?) -> Int {
    guard let files = node.files else {
      switch node.kind {
      case .symlink(let target): return target.utf8.count
      case .stream: return Self.nominalSize
      default: return 0
      }
    }
    let size = readableSize(of: node, files, caller)
    files.tell(size)
    return size
  }

  private func readableSize(of node: Node, _ files: OpenFiles, _ caller: Caller?) -> Int {
    // A text that cannot be rendered now says so when it is read, for which it needs a size.
    if let handle = caller.flatMap({ files.handle(of: $0) }) { return (try? handle.length()) ?? 1 }
    if let promised = files.promisedLength { return promised }
    switch node.kind {
    case .text(let render), .setting(let render, _):
      let changes = changes.load(ordering: .acquiring)
      guard let text = try? rendered(render) else { return 1 }
      let size = text.text.count
      note(
        caller.map {
          Measured(node: node, process: $0.pid, text: text, time: Clock.now(), changes: changes)
        }, text)
      return size
    case .picture(let desk): return desk.lastSize
    default: return 0
    }
  }

  func rendered(_ render: Node.Render) throws(NodeError) -> Snapshot {
    let fresh = snapshots.take()
    do {
      try render(&fresh.text)
    } catch {
      snapshots.give(fresh)
      throw NodeError(from: error)
    }
    counters.renders.wrappingAdd(1, ordering: .relaxed)
    return fresh
  }

  /// Remembers one measured text, or gives it back at once.
  private func note(_ new: consuming Measured?, _ text: Snapshot) {
    let isNoted = new != nil
    let old = measured.withLock { measured in
      guard isNoted else { return nil as Snapshot? }
      let old = measured?.text
      measured = new
      return old
    }
    if let unused = isNoted ? old : text { snapshots.give(unused) }
  }

  /// The text whose length `caller` was told a moment ago, which the kernel may still tell him again. Nobody has changed
  /// anything since, so it is as good as one made now.
  func takeMeasured(of node: Node, for caller: Caller) -> Measured? {
    measured.withLock { measured in
      guard let noted = measured, noted.node === node, noted.process == caller.pid,
        noted.changes == changes.load(ordering: .acquiring), Clock.now() - noted.time < Self.measuredMemory
      else { return nil }
      measured = nil
      return noted
    }
  }

  /// For so long a text that was measured is the text of now, nanoseconds.
  private static let measuredMemory = Int64.milliseconds(10)

  /// Something is about to be different, or is.
  func noteChange() { changes.wrappingAdd(1, ordering: .releasing) }

  /// How long the kernel may remember a node's attributes, in seconds.
  func attributeMemory(of node: Node, size: Int) -> Double {
    // What is empty must be asked for each time, or the first bytes in it would not be seen by those who trust the size.
    if node.files != nil, size == 0 { return 0 }
    switch node.kind {
    // The length changes by itself. Every read makes the kernel ask again anyhow (it may have changed the time of
    // access), so this only bounds what `ls` shows after a `stat` that nobody read after.
    case .text, .setting: return Double(Self.lengthMemory) / Double(Int64.seconds(1))
    default: return Self.longMemory
    }
  }

  /// How long the kernel may remember the length of a text, nanoseconds.
  private static let lengthMemory = Int64.milliseconds(100)

  /// So long after it was measured the kernel has forgotten the length of a text that was opened in time: its memory begins
  /// before the open, and its clock ticks every 10 ms at least.
  static let measuredPromise = measuredMemory + lengthMemory + .milliseconds(40)

  /// Of what has no length but must not have none, either.
  static let nominalSize = 4096

  /// Long, because the kernel is told about every change.
  static let longMemory: Double = 86_400
}
