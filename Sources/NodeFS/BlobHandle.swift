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
  private let state = Mutex(State())

  init(_ node: Node, blob: Node.Blob, opener: Caller) {
    self.blob = blob
    self.opener = opener
    super.init(node)
  }

  /// Takes the next piece. After a refusal nothing will be delivered.
  func write(_ bytes: UnsafeRawBufferPointer, offset: Int64) throws(NodeError) {
    try checkNode()
    let problem: NodeError? = state.withLock {
      if offset != Int64($0.bytes.count) {
        $0.isSpoilt = true
        return NodeError(.invalidArgument, "a blob is written in order from offset 0, not at \(offset)")
      }
      if $0.bytes.count + bytes.count > blob.limit {
        $0.isSpoilt = true
        $0.bytes = []
        return NodeError(.argListTooLong, "longer than \(blob.limit) bytes")
      }
      $0.bytes.append(contentsOf: bytes)
      return nil
    }
    if let problem { throw problem }
  }

  override func release() {
    let whole: [UInt8]? = state.withLock {
      let whole = $0.isSpoilt || $0.bytes.isEmpty ? nil : $0.bytes
      $0.bytes = []
      return whole
    }
    guard let whole, !node.isRemoved else { return }
    node.noteWritten()
    blob.deliver(BlobDelivery(bytes: whole, caller: opener))
  }
}
