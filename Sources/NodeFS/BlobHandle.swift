// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// An open blob: collects what is written and delivers it whole when it is closed.
final class BlobHandle: Handle, @unchecked Sendable {
  private struct State {
    var bytes: [UInt8] = []
    var isSpoilt = false
  }

  private let blob: Node.Blob
  private let opener: Caller
  /// It was opened with `O_TRUNC`: without a byte it is an empty file, not one that nobody wrote to.
  private let isEmptied: Bool
  private let state = Mutex(State())

  init(_ node: Node, blob: Node.Blob, opener: Caller, isEmptied: Bool) {
    self.blob = blob
    self.opener = opener
    self.isEmptied = isEmptied
    super.init(node)
  }

  /// Takes the next piece. After a refusal nothing will be delivered.
  func write(_ bytes: UnsafeRawBufferPointer, offset: Int64) throws(NodeError) {
    try checkNode()
    let problem: NodeError? = state.withLock { state in
      if state.isSpoilt { return NodeError(.invalidArgument, "what was written before was refused") }
      if offset != Int64(state.bytes.count) {
        return spoil(
          &state, NodeError(.invalidArgument, "a blob is written in order from offset 0, not at \(offset)"))
      }
      if state.bytes.count + bytes.count > blob.limit {
        return spoil(&state, NodeError(.argListTooLong, "longer than \(blob.limit) bytes"))
      }
      if let room = blob.room, !room.take(bytes.count) {
        return spoil(
          &state, NodeError(.noMemory, "all files that are being written hold at most \(room.bytes) bytes together"))
      }
      state.bytes.append(contentsOf: bytes)
      return nil
    }
    if let problem { throw problem }
  }

  private func spoil(_ state: inout State, _ problem: NodeError) -> NodeError {
    blob.room?.giveBack(state.bytes.count)
    (state.bytes, state.isSpoilt) = ([], true)
    return problem
  }

  override func release() {
    let whole: [UInt8]? = state.withLock {
      let whole = $0.isSpoilt || ($0.bytes.isEmpty && !isEmptied) ? nil : $0.bytes
      blob.room?.giveBack($0.bytes.count)
      $0.bytes = []
      return whole
    }
    guard let whole, !node.isRemoved else { return }
    node.noteWritten()
    blob.deliver(BlobDelivery(bytes: whole, caller: opener))
  }
}
