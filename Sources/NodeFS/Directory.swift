// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// A directory: entries are added and removed at any time, from any thread, also before it is in a tree itself.
public final class Directory: Node, @unchecked Sendable {
  struct Entry {
    let name: String
    let node: Node
  }

  let makeHook: (@Sendable (MakeRequest) throws -> Void)?
  let removeHook: (@Sendable (RemoveRequest) throws -> Void)?
  let deadline: Duration

  // Guarded by `Structure.lock`.
  /// In the order they were added, which is the order READDIR shows.
  nonisolated(unsafe) var entries: [Entry] = []
  nonisolated(unsafe) var index: [String: Node] = [:]
  nonisolated(unsafe) var subdirectories = 0

  /// - Parameters:
  ///   - deadline: When a `mkdir` or `rmdir` that nobody answered gets `ETIMEDOUT`; the work goes on.
  ///   - make: Serves `mkdir` in this directory. Without it, `mkdir` is refused with `EPERM`.
  ///   - remove: Serves `rmdir` in this directory. Without it, `rmdir` is refused with `EPERM`.
  public init(
    owner: Owner? = nil, mode: UInt32 = 0o755, deadline: Duration = Node.defaultDeadline,
    make: (@Sendable (MakeRequest) throws -> Void)? = nil,
    remove: (@Sendable (RemoveRequest) throws -> Void)? = nil
  ) {
    self.makeHook = make
    self.removeHook = remove
    self.deadline = deadline
    super.init(kind: .directory, permissions: mode & 0o777, owner: owner)
  }

  /// Shows `node` as `name` in this directory. A directory with all its content appears at once.
  ///
  /// A file may be added under several names, in several directories of one tree; a directory has one place.
  ///
  /// - Throws: `EEXIST` when the name is taken, `EINVAL` for an impossible name or a node that was removed before or
  ///   belongs to another tree, `ELOOP` for a directory inside itself, `ENODEV` when this directory was removed.
  @discardableResult
  public func add(_ name: String, _ node: Node) throws(NodeError) -> Self {
    try Structure.add(name, node, to: self)
    return self
  }

  /// Takes the entry out, with everything below it. Parked requests end, open handles return `ENODEV` from now on,
  /// and the kernel forgets the name.
  ///
  /// - Returns: What was removed; nil when there was no such entry.
  @discardableResult
  public func remove(_ name: String) -> Node? {
    Structure.remove(name, from: self)
  }

  /// What the directory shows as `name`.
  public subscript(name: String) -> Node? { Structure.child(name, of: self) }

  /// The names in the order they were added, streams included.
  public var names: [String] { Structure.entries(of: self).map(\.name) }
}
