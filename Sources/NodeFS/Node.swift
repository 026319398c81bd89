// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization

/// One file, directory or symbolic link of the tree.
///
/// Nodes are made free-standing with the factories below (`Node.text { ... }`, `Node.setting(...)`, `Directory()`)
/// and become visible when they, or a directory above them, are added to a directory of a served tree. A node that
/// was removed from its last directory is gone for good: make a new one to show the same name again.
///
/// Closures are called on NodeFS's few serving threads. They parse, render and answer; they do no I/O, wait for
/// nothing, and never touch their own mount (that deadlocks). What takes longer keeps the `reply` and answers later.
public class Node: @unchecked Sendable {
  // `@unchecked`: what is mutable and not atomic is guarded by `Structure.lock`.

  /// The inode number: unique in this process, never used again.
  public let ino: UInt64
  let kind: Kind
  let permissions: UInt32
  /// What its text needs; nil for what can be rendered at any time.
  let preparation: Preparation?
  let owner: Owner?

  /// Nanoseconds since 1970 of creation, then of the last accepted write. Atomic: `getattr` takes no lock for it.
  let modified: Atomic<Int64>
  /// The node was removed from its last directory: whoever still has it open gets ENODEV.
  let isGone = Atomic<Bool>(false)
  /// Who has it open for reading; nil for what is not read as a file of some length.
  let files: OpenFiles?
  /// In how many directories the node is.
  let links = Atomic<Int32>(0)

  // Guarded by `Structure.lock`.
  /// The directories the node is in, and its name there.
  nonisolated(unsafe) var places: [Place] = []
  nonisolated(unsafe) weak var tree: NodeTree?

  struct Place {
    weak var parent: Directory?
    let name: String
  }

  /// Who owns the node, where that is not whoever serves the tree.
  public struct Owner: Hashable, Sendable {
    public var uid: UInt32
    public var gid: UInt32
    public init(uid: UInt32, gid: UInt32) {
      self.uid = uid
      self.gid = gid
    }
  }

  enum Kind {
    case directory
    case text(Render)
    case setting(Render, Command)
    case command(Command)
    case stream(@Sendable (StreamOpening) throws -> any StreamCursor)
    case sink(@Sendable (SinkOpening) throws -> any SinkCursor)
    case picture(PictureDesk)
    case blob(Blob)
    case symlink(String)
  }

  /// Appends the node's whole text. Called with an empty buffer.
  public typealias Render = @Sendable (inout TextBuffer) throws -> Void

  init(kind: Kind, permissions: UInt32, owner: Owner?, preparation: Preparation? = nil) {
    self.preparation = preparation
    self.ino = Structure.nextInode()
    self.kind = kind
    self.permissions = permissions
    self.owner = owner
    self.modified = Atomic(Clock.realtime())
    self.files =
      switch kind {
      case .text, .setting, .picture: OpenFiles()
      case .directory, .command, .stream, .sink, .blob, .symlink: nil
      }
  }

  /// Marks the content as changed now, for `stat(2)`. NodeFS does so itself for writes that were accepted.
  public func touch() {
    noteWritten()
    Structure.tree(of: self)?.attributesChanged(of: self)
  }

  /// As `touch`, where the kernel knows already that the attributes changed.
  func noteWritten() {
    modified.store(Clock.realtime(), ordering: .relaxed)
  }

  /// Whether the node was removed from its last directory.
  public var isRemoved: Bool { isGone.load(ordering: .acquiring) }

  /// The node's path inside the tree, without a leading slash; empty for the root and for a node in no tree.
  /// A node with several names answers with the first.
  public var path: String { Structure.path(of: self) }
}
