// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// What a cursor had to give.
public enum StreamRead: Sendable, Equatable {
  /// So many bytes (at least 1) were put into the buffer.
  case bytes(Int)
  /// The stream has ended: `read(2)` returns 0.
  case end
  /// Nothing now. The cursor's signal will be raised when there is.
  case wouldBlock
  /// `read(2)` fails with this.
  case failure(Errno)
}

/// One reader's place in a stream; made when the node is opened, closed exactly once.
public protocol StreamCursor: AnyObject, Sendable {
  /// Puts up to `buffer.count` bytes into `buffer`. Must not block.
  ///
  /// Calls for one cursor never overlap. They come from NodeFS's threads.
  func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamRead

  /// The reader is gone. Called once, after the last `read`. Where the node was removed first, the reader's reads fail
  /// with `ENODEV` from then on and the cursor is closed when the reader closes.
  func close()
}

/// One `open(2)` of a stream node.
public struct StreamOpening: Sendable {
  public let caller: Caller
  /// Raised by the producer whenever this cursor may have something to read, or has ended.
  public let signal: StreamSignal
}
