// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// Which node is where. One lock for all trees of the process: taken for a few pointer operations, never while a
/// closure of the owner runs, a reply is sent, or the kernel is told something.
///
/// One lock rather than one for each directory, because subtrees are put together outside of a tree, added and removed
/// as a whole, and there must be no order of locks to get wrong.
enum Structure {
  private static let lock = Mutex<Void>(())
  private static let lastInode = Atomic<UInt64>(1)

  /// The inode number FUSE gives every root.
  static let rootInode: UInt64 = 1
  static let longestName = 255

  static func nextInode() -> UInt64 { lastInode.wrappingAdd(1, ordering: .relaxed).newValue }

  static func child(_ name: String, of directory: Directory) -> Node? {
    lock.withLock { _ in directory.index[name] }
  }

  static func entries(of directory: Directory) -> [Directory.Entry] {
    lock.withLock { _ in directory.entries }
  }

  /// Links of a directory as Unix counts them: its own `.`, its name, and one `..` for each subdirectory.
  static func linkCount(of directory: Directory) -> Int32 {
    lock.withLock { _ in 2 + Int32(directory.subdirectories) }
  }

  static func parent(of node: Node) -> Directory? {
    lock.withLock { _ in node.places.first?.parent }
  }

  static func tree(of node: Node) -> NodeTree? {
    lock.withLock { _ in node.tree }
  }

  static func path(of node: Node) -> String {
    lock.withLock { _ in
      var names: [String] = []
      var at: Node? = node
      while let place = at?.places.first {
        names.append(place.name)
        at = place.parent
      }
      return names.reversed().joined(separator: "/")
    }
  }

  static func makeRoot(_ root: Directory, of tree: NodeTree) {
    lock.withLock { _ in
      root.links.store(1, ordering: .relaxed)
      join(root, tree)
    }
  }

  static func add(_ name: String, _ node: Node, to directory: Directory) throws(NodeError) {
    let problem = isPossible(name) ? nil : NodeError(.invalidArgument, "not a possible name: \(name)")
    if let problem { throw problem }
    let outcome: Result<NodeTree?, NodeError> = lock.withLock { _ in
      if let problem = obstacle(to: name, node, in: directory) { return .failure(problem) }
      directory.entries.append(.init(name: name, node: node))
      directory.index[name] = node
      if node is Directory { directory.subdirectories += 1 }
      node.places.append(.init(parent: directory, name: name))
      node.links.wrappingAdd(1, ordering: .relaxed)
      directory.noteWritten()
      if let tree = directory.tree { join(node, tree) }
      return .success(directory.tree)
    }
    // Names that were not there are not cached by the kernel, so a new one needs no word to it.
    if let tree = try outcome.get() { tree.attributesChanged(of: directory) }
  }

  static func remove(_ name: String, from directory: Directory) -> Node? {
    var survivors: [Node] = []
    let removed: (node: Node, tree: NodeTree?)? = lock.withLock { _ in
      guard let node = directory.index.removeValue(forKey: name) else { return nil }
      directory.entries.removeAll { $0.name == name }
      if node is Directory { directory.subdirectories -= 1 }
      directory.noteWritten()
      leave(node, place: (directory, name), &survivors)
      return (node, directory.tree)
    }
    guard let removed else { return nil }
    removed.tree?.entryRemoved(name, from: directory, survivors: survivors)
    return removed.node
  }

  // MARK: with the lock held

  private static func obstacle(to name: String, _ node: Node, in directory: Directory) -> NodeError? {
    if directory.isRemoved { return NodeError(.gone, "the directory was removed") }
    if node.isRemoved { return NodeError(.invalidArgument, "the node was removed before; make a new one") }
    if directory.index[name] != nil { return NodeError(.fileExists, "\(name) exists") }
    if node is Directory {
      if node.links.load(ordering: .relaxed) > 0 {
        return NodeError(.invalidArgument, "a directory has one place; use a symbolic link for a second name")
      }
      var above: Node? = directory
      while let at = above {
        if at === node { return NodeError(.tooManySymbolicLinkLevels, "a directory cannot be inside itself") }
        above = at.places.first?.parent
      }
    }
    if let tree = directory.tree, !mayJoin(node, tree) {
      return NodeError(.invalidArgument, "the node belongs to another tree")
    }
    return nil
  }

  private static func mayJoin(_ node: Node, _ tree: NodeTree) -> Bool {
    if let other = node.tree, other !== tree { return false }
    guard let directory = node as? Directory else { return true }
    return directory.entries.allSatisfy { mayJoin($0.node, tree) }
  }

  private static func join(_ node: Node, _ tree: NodeTree) {
    node.tree = tree
    tree.register(node)
    guard let directory = node as? Directory else { return }
    for entry in directory.entries { join(entry.node, tree) }
  }

  private static func leave(_ node: Node, place: (parent: Directory, name: String), _ survivors: inout [Node]) {
    node.places.removeAll { $0.parent === place.parent && $0.name == place.name }
    guard node.links.wrappingSubtract(1, ordering: .relaxed).newValue == 0 else {
      survivors.append(node)
      return
    }
    node.isGone.store(true, ordering: .releasing)
    node.tree?.unregister(node)
    guard let directory = node as? Directory else { return }
    let entries = directory.entries
    directory.entries = []
    directory.index = [:]
    directory.subdirectories = 0
    for entry in entries { leave(entry.node, place: (directory, entry.name), &survivors) }
  }

  private static func isPossible(_ name: String) -> Bool {
    let bytes = name.utf8
    return !bytes.isEmpty && bytes.count <= longestName && name != "." && name != ".."
      && !bytes.contains(UInt8(ascii: "/")) && !bytes.contains(0)
  }
}
