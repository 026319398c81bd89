// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// One `open(2)` of a node. Lives until the kernel's RELEASE, whatever becomes of the node.
class Handle: @unchecked Sendable {
  // `@unchecked` for the subclasses, which guard their state themselves.
  let node: Node
  /// What a write through it was refused with, where a text comes whole: what follows is the rest of that text.
  private let refusal = Mutex<Errno?>(nil)

  init(_ node: Node) {
    self.node = node
  }

  /// A write of a whole text was refused.
  func noteRefusal(_ error: NodeError) { refusal.withLock { $0 = $0 ?? error.errno } }

  /// Some writers pass a text on line by line and go on after a line that was refused (bash's `printf`): the rest of it must not be
  /// taken for a text of its own.
  func checkWhole() throws(NodeError) {
    guard let errno = refusal.withLock({ $0 }) else { return }
    throw NodeError(
      errno, "an earlier write through this descriptor was refused: open the file again, and write the text at once")
  }

  /// What a read came to.
  enum Reading: Sendable {
    case slice(Slice)
    /// The request must wait: `StreamHandle.park`.
    case wait
  }

  /// - Parameter isNonblocking: `O_NONBLOCK` is set on the descriptor now.
  func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    throw NodeError(.badFileDescriptor)
  }

  /// The last descriptor was closed. Called once.
  func release() {}

  func checkNode() throws(NodeError) {
    if node.isRemoved { throw NodeError(.gone, "the node was removed") }
  }
}

/// An open setting or command that is only written, and what is read of nodes that only take writes: nothing.
final class WriteHandle: Handle, @unchecked Sendable {
  override func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    try checkNode()
    return .slice(.empty)
  }
}

/// An open directory: what was in it when it was last read from the start, so that entries that come and go while
/// somebody lists make him see nothing twice and miss nothing that stays.
final class DirectoryHandle: Handle, @unchecked Sendable {
  private let listed = Mutex<[Directory.Entry]>([])
  private let directory: Directory

  init(_ directory: Directory) {
    self.directory = directory
    super.init(directory)
  }

  /// The entries from `offset` on; offset 0 looks anew.
  func entries(from offset: Int64) throws(NodeError) -> ArraySlice<Directory.Entry> {
    try checkNode()
    if offset == 0 {
      let now = Structure.entries(of: directory).filter { !$0.node.isUnlisted }
      listed.withLock { $0 = now }
      return now[...]
    }
    return listed.withLock { $0.dropFirst(Int(clamping: offset)) }
  }
}

extension Node {
  /// Streams answer to their name but are not listed.
  var isUnlisted: Bool {
    if case .stream = kind { return true }
    return false
  }
}
