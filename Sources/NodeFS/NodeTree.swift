// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization
import SystemPackage

/// A tree of nodes: the core of NodeFS, which knows nothing of FUSE. `Mount` serves it.
public final class NodeTree: Sendable {
  /// The top. Everything else is added below it, before or while the tree is served.
  public let root: Directory

  /// What was asked of this tree, and how it went.
  public var activity: Activity { counters.activity(parked: waitingRoom.count) }

  let counters = Counters()
  let waitingRoom: WaitingRoom
  let snapshots = SnapshotPool()
  let keptTexts: KeptTexts
  /// What was last measured for a `stat`, for who opens the node right after.
  let measured = Mutex<Measured?>(nil)
  /// Writes, and objects made and removed: begun or done.
  let changes = Atomic<UInt64>(0)
  let owner: Node.Owner
  private let onRefusal: @Sendable (Refusal) -> Void
  private let nodes = Mutex<[UInt64: Node]>([:])
  private let listener = Mutex<(any TreeListener)?>(nil)

  /// - Parameters:
  ///   - root: The top directory, with the hooks of `mkdir` and `rmdir` directly below it.
  ///   - owner: Who owns the nodes that name no owner; by default the user this process runs as.
  ///   - onRefusal: Called for everything NodeFS itself refuses, before the caller gets its errno, on a serving
  ///     thread: it must not block.
  public init(
    root: Directory = Directory(), owner: Node.Owner? = nil, onRefusal: @escaping @Sendable (Refusal) -> Void = { _ in }
  ) {
    self.root = root
    self.owner = owner ?? .ofThisProcess
    self.keptTexts = KeptTexts(owner: self.owner.uid)
    self.onRefusal = onRefusal
    let wake = Hook()
    self.waitingRoom = WaitingRoom(onEarlierDeadline: { wake.call() })
    self.deadlineHook = wake
    Structure.makeRoot(root, of: self)
  }

  private let deadlineHook: Hook

  /// Who is told about changes; nil when nobody serves the tree. Returns false when somebody else listens already.
  func listen(_ new: (any TreeListener)?) -> Bool {
    let taken = listener.withLock {
      if new != nil, $0 != nil { return false }
      $0 = new
      return true
    }
    guard taken else { return false }
    if let new { deadlineHook.set { new.deadlineCameCloser() } } else { deadlineHook.set(nil) }
    return true
  }

  // MARK: called by Structure

  /// With the structure lock held.
  func register(_ node: Node) {
    nodes.withLock { $0[node.ino] = node }
  }

  /// With the structure lock held.
  func unregister(_ node: Node) {
    _ = nodes.withLock { $0.removeValue(forKey: node.ino) }
  }

  func attributesChanged(of node: Node) {
    currentListener?.attributesChanged(inode: inode(of: node))
  }

  func pagesChanged(of node: Node) {
    currentListener?.pagesChanged(inode: inode(of: node))
  }

  func entryRemoved(_ name: String, from directory: Directory, survivors: [Node]) {
    waitingRoom.nodesRemoved()
    guard let listener = currentListener else { return }
    listener.entryRemoved(name, from: inode(of: directory))
    listener.attributesChanged(inode: inode(of: directory))
    for node in survivors { listener.attributesChanged(inode: inode(of: node)) }
  }

  fileprivate var currentListener: (any TreeListener)? { listener.withLock { $0 } }

  // MARK: called by the adapter

  /// How many nodes the tree has.
  var nodeCount: Int { nodes.withLock { $0.count } }

  /// The inode number the kernel knows `node` by.
  func inode(of node: Node) -> UInt64 { node === root ? Structure.rootInode : node.ino }

  /// Throws `ESTALE` for a node that is gone: the kernel then looks the path up anew, and finds what has the name now.
  func node(_ inode: UInt64) throws(NodeError) -> Node {
    if inode == Structure.rootInode { return root }
    guard let node = nodes.withLock({ $0[inode] }) else { throw NodeError(.staleNFSFileHandle) }
    return node
  }

  func directory(_ inode: UInt64) throws(NodeError) -> Directory {
    guard let directory = try node(inode) as? Directory else { throw NodeError(.notDirectory) }
    return directory
  }

  func lookup(_ name: String, in parent: UInt64) throws(NodeError) -> Node {
    guard let node = Structure.child(name, of: try directory(parent)) else { throw NodeError(.noSuchFileOrDirectory) }
    return node
  }

  /// Tells the owner what NodeFS refuses, and returns the error to answer with.
  func refuse(
    _ operation: Refusal.Operation, _ path: @autoclosure () -> String, _ error: NodeError, _ caller: Caller,
    bytes: [UInt8] = []
  ) -> NodeError {
    onRefusal(Refusal(path: path(), operation: operation, error: error, caller: caller, bytes: bytes))
    return error
  }
}

/// Who serves a tree, and so has to tell the kernel what it must no longer remember. Called on any thread, without a
/// lock held; returns at once.
protocol TreeListener: AnyObject, Sendable {
  func entryRemoved(_ name: String, from directory: UInt64)
  func attributesChanged(inode: UInt64)
  /// As above, and the pages the kernel has of it.
  func pagesChanged(inode: UInt64)
  /// A deadline earlier than all others came in.
  func deadlineCameCloser()
  /// A stream somebody waits for may be readable, or a sink have room.
  func streamIsReadable(_ handle: any PumpedHandle)
}

extension NodeTree {
  /// A stream's producer raised its signal while somebody waits. Its thread is not the place to answer from.
  func streamIsReadable(_ handle: any PumpedHandle) {
    if let listener = currentListener { listener.streamIsReadable(handle) } else { handle.pump() }
  }
}

extension Node.Owner {
  /// The effective user and group of this process.
  static var ofThisProcess: Self { Self(uid: geteuid(), gid: getegid()) }
}
