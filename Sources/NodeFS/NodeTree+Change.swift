// SPDX-License-Identifier: Apache-2.0
import Base
import SystemPackage

/// Writes, `mkdir` and `rmdir`: what changes something.
extension NodeTree {
  /// What a `write(2)` came to.
  enum Writing {
    /// All bytes were taken.
    case taken
    /// A command the caller waits for: `run`.
    case command(Node.Command)
    /// Bytes for a sink, which may have to wait: `SinkHandle.write`.
    case sink(SinkHandle)
  }

  /// Checks a write before any handler sees it.
  func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int64, to handle: Handle, caller: Caller
  ) throws(NodeError) -> Writing {
    let node = handle.node
    func refuse(_ error: NodeError) -> NodeError {
      self.refuse(.write, node.path, error, caller, bytes: [UInt8](bytes.prefix(128)))
    }
    try handle.checkNode()
    if let handle = handle as? BlobHandle {
      do {
        try handle.write(bytes, offset: offset)
      } catch {
        throw refuse(error)
      }
      counters.bytesWritten.wrappingAdd(UInt64(bytes.count), ordering: .relaxed)
      return .taken
    }
    if let handle = handle as? SinkHandle { return .sink(handle) }
    let command: Node.Command
    switch node.kind {
    case .setting(_, let its), .command(let its): command = its
    default: throw NodeError(.badFileDescriptor)
    }
    if bytes.count > command.limit { throw refuse(NodeError(.argListTooLong, "longer than \(command.limit) bytes")) }
    if command.wholeWrites, offset != 0 {
      throw refuse(
        NodeError(.invalidArgument, "must come in one write at offset 0, not at \(offset): use cat, cp or a heredoc"))
    }
    if command.wholeWrites {
      do throws(NodeError) { try handle.checkWhole() } catch { throw refuse(error) }
    }
    return .command(command)
  }

  /// Notes what became of a write to a sink: bytes that were taken, or a refusal.
  func noteSinkWrite(_ result: Result<Int, NodeError>, of node: Node, caller: Caller) {
    switch result {
    case .success(let count):
      node.noteWritten()
      counters.bytesWritten.wrappingAdd(UInt64(count), ordering: .relaxed)
    case .failure(let error):
      // Who is told to come again, or has gone, was not refused.
      let passing: [Errno] = [.resourceTemporarilyUnavailable, .interrupted, NodeError(.gone).errno]
      if !passing.contains(error.errno) { _ = refuse(.write, node.path, error, caller) }
    }
  }

  /// Runs one command for a parked write. `arm` as for `Parked.park`.
  func run(
    _ command: Node.Command, through handle: Handle, _ bytes: [UInt8], at offset: Int64, caller: Caller,
    parked: Parked<Void>, arm: (UInt64) -> Void
  ) {
    noteChange()
    guard parked.park(arm: arm) else { return }
    let (node, counters) = (handle.node, counters)
    let count = UInt64(bytes.count)
    let reply = Reply { [weak self] result in
      switch result {
      case .success:
        node.noteWritten()
        self?.noteChange()
        counters.bytesWritten.wrappingAdd(count, ordering: .relaxed)
      case .failure(let error):
        if command.wholeWrites { handle.noteRefusal(error) }
      }
      return parked.complete(result)
    }
    do {
      try command.run(WriteRequest(bytes: bytes, offset: offset, caller: caller, reply: reply))
    } catch {
      reply.fail(NodeError(from: error))
    }
  }

  /// What a directory does on `mkdir`, or the refusal.
  func makeHook(of directory: Directory, _ name: String, caller: Caller) throws(NodeError)
    -> @Sendable (MakeRequest) throws -> Void
  {
    if directory.isRemoved { throw NodeError(.staleNFSFileHandle) }
    if directory[name] != nil { throw NodeError(.fileExists) }
    guard let hook = directory.makeHook else {
      throw refuse(
        .makeDirectory, path(directory, name), NodeError(.notPermitted, "no directory can be made here"), caller)
    }
    return hook
  }

  /// Makes a directory for a parked `mkdir`, which is answered with the new node. `arm` as for `Parked.park`.
  func make(
    _ name: String, in directory: Directory, with hook: @Sendable (MakeRequest) throws -> Void, caller: Caller,
    parked: Parked<Node>, arm: (UInt64) -> Void
  ) {
    noteChange()
    guard parked.park(arm: arm) else { return }
    let reply = Reply { [weak self] result in
      self?.noteChange()
      return parked.complete(
        result.flatMap {
          directory[name].map { .success($0) } ?? .failure(NodeError(.ioError, "the handler added no \(name)"))
        })
    }
    do {
      try hook(MakeRequest(directory: directory, name: name, caller: caller, reply: reply))
    } catch {
      reply.fail(NodeError(from: error))
    }
  }

  /// What a directory does on `rmdir` of `name`, and the node it names; or the refusal.
  func removeHook(of directory: Directory, _ name: String, caller: Caller) throws(NodeError)
    -> (hook: @Sendable (RemoveRequest) throws -> Void, node: Directory)
  {
    guard let node = directory[name] else { throw NodeError(.noSuchFileOrDirectory) }
    guard let node = node as? Directory else { throw NodeError(.notDirectory) }
    guard let hook = directory.removeHook else {
      throw refuse(
        .removeDirectory, path(directory, name), NodeError(.notPermitted, "nothing can be removed here"), caller)
    }
    return (hook, node)
  }

  /// Removes a directory for a parked `rmdir`. `arm` as for `Parked.park`.
  func remove(
    _ name: String, _ node: Directory, from directory: Directory,
    with hook: @Sendable (RemoveRequest) throws -> Void, caller: Caller, parked: Parked<Void>, arm: (UInt64) -> Void
  ) {
    noteChange()
    guard parked.park(arm: arm) else { return }
    let reply = Reply { [weak self] result in
      self?.noteChange()
      if case .success = result, directory[name] === node { directory.remove(name) }
      return parked.complete(result)
    }
    do {
      try hook(RemoveRequest(directory: directory, name: name, node: node, caller: caller, reply: reply))
    } catch {
      reply.fail(NodeError(from: error))
    }
  }

  func path(_ directory: Directory, _ name: String) -> String {
    let above = directory.path
    return above.isEmpty ? name : "\(above)/\(name)"
  }

  /// Refuses what nobody can do in this tree.
  func refuse(
    _ operation: Refusal.Operation, _ name: String, in directory: Directory, caller: Caller
  ) -> NodeError {
    refuse(operation, path(directory, name), impossible(operation, name, in: directory), caller)
  }

  private func impossible(_ operation: Refusal.Operation, _ name: String, in directory: Directory) -> NodeError {
    guard operation == .create else { return NodeError(.notPermitted, "entries come and go by mkdir and rmdir only") }
    // A name that was mistyped: as in procfs there is none, and none can be made by writing to it.
    let names = Similarity.nearest(to: name, of: directory.names)
    return NodeError(
      .noSuchFileOrDirectory,
      names.isEmpty
        ? "there is no such file"
        : "there is no such file; there are, the nearest first: \(names.joined(separator: " "))")
  }

  /// Checks a `setattr`: lengths and times may be "set" where writing is allowed, which changes nothing; modes and
  /// owners may not. `change` is the request's set of `FUSE_SET_ATTR_*`.
  func checkAttributes(_ node: Node, change: AttributeChange, caller: Caller) throws(NodeError) {
    func refuse(_ operation: Refusal.Operation, _ errno: Errno, _ reason: String) -> NodeError {
      self.refuse(operation, node.path, NodeError(errno, reason), caller)
    }
    if change.contains(.mode) { throw refuse(.changeMode, .notPermitted, "modes are fixed") }
    if !change.isDisjoint(with: [.uid, .gid]) { throw refuse(.changeOwner, .notPermitted, "owners are fixed") }
    guard change.contains(.size) else { return }
    switch node.kind {
    case .setting, .command, .blob, .sink: return
    case .directory: throw NodeError(.isDirectory)
    default: throw refuse(.truncate, .permissionDenied, "the node is read-only")
    }
  }
}

/// What a `setattr` wants to change: the bits of the FUSE protocol's `FATTR_*`, which libfuse passes on.
struct AttributeChange: OptionSet {
  let rawValue: UInt32
  static let mode = Self(rawValue: 1 << 0)
  static let uid = Self(rawValue: 1 << 1)
  static let gid = Self(rawValue: 1 << 2)
  static let size = Self(rawValue: 1 << 3)
}
