// SPDX-License-Identifier: Apache-2.0
import SystemPackage

extension NodeTree {
  /// An open node was given to its opener.
  /// - Returns: whether the kernel must forget the node's attributes first.
  func opened(_ handle: Handle) -> Bool {
    guard let handle = handle as? ReadHandle, let files = handle.node.files else { return false }
    return files.add(handle, length: handle.promisedLength)
  }

  /// The last descriptor of an open was closed.
  func closed(_ handle: Handle) {
    handle.release()
    guard let handle = handle as? ReadHandle, let files = handle.node.files, files.remove(handle) else { return }
    pagesChanged(of: handle.node)
  }

  /// A read into the page cache, on behalf of `sendfile(2)`, `splice(2)` or a private mapping.
  ///
  /// The pages are the node's, not the open's. They are filled for one open at a time, with a text whose length the kernel
  /// knows. Else it is `EINVAL`, upon which those who asked fall back to `read(2)`, which gets the whole text always.
  func pages(of handle: Handle, offset: Int64, size: Int) throws(NodeError) -> Slice {
    guard let handle = handle as? ReadHandle, let files = handle.node.files, !handle.isReader else {
      throw NodeError(.invalidArgument)
    }
    let text = try handle.fixed()
    guard files.lend(to: handle, length: text.text.count) else { throw NodeError(.invalidArgument) }
    return Slice(text, offset: offset, size: size)
  }

  /// A `read(2)`.
  func read(
    _ handle: Handle, offset: Int64, size: Int, isNonblocking: Bool, caller: @autoclosure () -> Caller
  ) throws(NodeError) -> Handle.Reading {
    do throws(NodeError) {
      return try handle.read(offset: offset, size: size, isNonblocking: isNonblocking)
    } catch {
      // Nothing else tells why a descriptor that was fine has lost its text.
      if error.errno == .noMemory { throw refuse(.read, handle.node.path, error, caller()) }
      throw error
    }
  }
}
