// SPDX-License-Identifier: Apache-2.0

extension NodeTree {
  /// What `stat(2)` reports as the length.
  ///
  /// For a text this is the length it has now, found by rendering it: `tar` and `rsync` then copy it, and `tail` finds
  /// its end. 0, as procfs reports it, would do harm: since 6.5 the kernel answers `sendfile(2)`, with which `busybox
  /// cat` begins, from the size alone, and there would be no text at all.
  func size(of node: Node) -> Int {
    switch node.kind {
    case .text(let render), .setting(let render, _):
      let snapshot = snapshots.take()
      defer { snapshots.give(snapshot) }
      // A text that cannot be rendered now says so when it is read, for which it needs a size.
      guard (try? render(&snapshot.text)) != nil else { return 1 }
      counters.renders.wrappingAdd(1, ordering: .relaxed)
      return snapshot.text.count
    case .picture(let desk): return desk.lastSize
    case .symlink(let target): return target.utf8.count
    case .stream: return Self.nominalSize
    case .directory, .command, .blob, .sink: return 0
    }
  }

  /// How long the kernel may remember a node's attributes, in seconds.
  func attributeMemory(of node: Node, size: Int) -> Double {
    switch node.kind {
    // The length changes by itself. Every read makes the kernel ask again anyhow (it may have changed the time of
    // access), so this only bounds what `tail` gets wrong after a `stat` that nobody read after. An empty text must
    // be asked for each time, or the first text in it would not be seen by those who trust the size.
    case .text, .setting: size == 0 ? 0 : 1
    default: Self.longMemory
    }
  }

  /// Of what has no length but must not have none, either.
  static let nominalSize = 4096

  /// Long, because the kernel is told about every change.
  static let longMemory: Double = 86_400
}
