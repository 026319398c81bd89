// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import SystemPackage

extension NodeTree {
  /// What an `open(2)` came to.
  enum Opening {
    case handle(Handle)
    /// The request must wait for a picture: `PictureDesk.join`.
    case picture(PictureDesk)
    /// The request must wait for what the text needs, and is opened with `openPrepared` then.
    case preparing(Preparation)
  }

  /// Checks how the node may be opened, and opens it. `flags` are those of `open(2)`.
  ///
  /// The kernel has checked the mode bits against the caller (`default_permissions`); what is refused here is what no
  /// caller can do, root included.
  func open(_ node: Node, flags: CInt, caller: Caller) throws(NodeError) -> Opening {
    let access = flags & O_ACCMODE
    func refuse(_ operation: Refusal.Operation, _ reason: String) -> NodeError {
      self.refuse(operation, node.path, NodeError(.permissionDenied, reason), caller)
    }
    if node.isRemoved { throw NodeError(.staleNFSFileHandle) }
    switch node.kind {
    case .text(let render):
      guard access == O_RDONLY else { throw refuse(.openForWriting, "the node is read-only") }
      if let preparation = node.preparation, !preparation.isDone() { return .preparing(preparation) }
      return .handle(text(node, render, caller))
    case .setting(let render, _):
      // Who only writes is told no length.
      if access == O_WRONLY { return .handle(WriteHandle(node)) }
      if let preparation = node.preparation, !preparation.isDone() { return .preparing(preparation) }
      return .handle(text(node, render, caller))
    case .command:
      return .handle(WriteHandle(node))
    case .stream(let open):
      guard access == O_RDONLY else { throw refuse(.openForWriting, "the node is read-only") }
      return .handle(try openStream(node, open, isNonblocking: flags & O_NONBLOCK != 0, caller))
    case .picture(let desk):
      guard access == O_RDONLY else { throw refuse(.openForWriting, "the node is read-only") }
      return .picture(desk)
    // What only takes writes reads as empty, so that who copies the tree comes through.
    case .blob, .sink:
      if access == O_RDONLY { return .handle(WriteHandle(node)) }
      return .handle(try openForWriting(node, flags, caller))
    case .directory: throw NodeError(.isDirectory)
    case .symlink: throw NodeError(.tooManySymbolicLinkLevels)
    }
  }

  private func text(_ node: Node, _ render: @escaping Node.Render, _ caller: Caller) -> TextHandle {
    TextHandle(node, render: render, tree: self, opener: caller, measured: takeMeasured(of: node, for: caller))
  }

  private func openForWriting(_ node: Node, _ flags: CInt, _ caller: Caller) throws(NodeError) -> Handle {
    func refuse(_ operation: Refusal.Operation, _ reason: String) -> NodeError {
      self.refuse(operation, node.path, NodeError(.permissionDenied, reason), caller)
    }
    guard flags & O_ACCMODE == O_WRONLY else { throw refuse(.openForReading, "the node only takes writes") }
    switch node.kind {
    case .blob(let blob): return BlobHandle(node, blob: blob, opener: caller, isEmptied: flags & O_TRUNC != 0)
    case .sink(let open): return try openSink(node, open, caller)
    default: throw NodeError(.badFileDescriptor)
    }
  }

  private func openStream(
    _ node: Node, _ open: @Sendable (StreamOpening) throws -> any StreamCursor, isNonblocking: Bool, _ caller: Caller
  ) throws(NodeError) -> StreamHandle {
    let signal = StreamSignal()
    let cursor: any StreamCursor
    do {
      cursor = try open(StreamOpening(caller: caller, signal: signal))
    } catch {
      throw NodeError(from: error)
    }
    let handle = StreamHandle(node, cursor: cursor, signal: signal)
    serve(handle, whenever: signal)
    return handle
  }

  private func openSink(
    _ node: Node, _ open: @Sendable (SinkOpening) throws -> any SinkCursor, _ caller: Caller
  ) throws(NodeError) -> SinkHandle {
    let signal = StreamSignal()
    let cursor: any SinkCursor
    do {
      cursor = try open(SinkOpening(caller: caller, signal: signal))
    } catch {
      throw NodeError(from: error)
    }
    let handle = SinkHandle(node, cursor: cursor, signal: signal)
    serve(handle, whenever: signal)
    return handle
  }

  /// Has requests that are parked in the handle served when its owner raises the signal.
  private func serve<Opened: PumpedHandle>(_ handle: Opened, whenever signal: StreamSignal) {
    signal.onReadable { [weak self, weak handle] in
      guard let self, let handle else { return }
      streamIsReadable(handle)
    }
  }

  /// A request that waits; to be given to `StreamHandle.park`, `PictureDesk.join`, `run`, `make` or `remove`.
  func parked<Value: Sendable>(
    _ node: Node, _ operation: Refusal.Operation, _ caller: Caller, deadline: Duration? = nil,
    send: @escaping @Sendable (Result<Value, NodeError>) -> Void
  ) -> Parked<Value> {
    Parked(
      in: waitingRoom, node: node, operation: operation, caller: caller,
      deadline: deadline.map { Clock.now() &+ $0.nanoseconds }, send: send)
  }

  /// The caller of a parked request got a signal.
  func interrupt(_ id: UInt64) {
    // Counted before the answer: who has it finds it counted.
    waitingRoom.interrupt(id) { _ = counters.interrupts.wrappingAdd(1, ordering: .relaxed) }
  }

  /// Answers what is overdue. Returns when to look again, on the monotonic clock.
  func expireDeadlines(now: Int64) -> Int64 {
    waitingRoom.expire(now: now) { request, error in
      counters.timeouts.wrappingAdd(1, ordering: .relaxed)
      _ = refuse(request.operation, request.node.path, error, request.caller)
    }
  }
}
