// SPDX-License-Identifier: Apache-2.0

/// What a sink did with bytes.
public enum SinkWrite: Sendable, Equatable {
  /// So many from the front were taken (at least 1).
  case taken(Int)
  /// No room now. The cursor's signal will be raised when there is.
  case wouldBlock
  /// `write(2)` fails with this.
  case failure(NodeError)
}

/// One writer of a sink; made when the node is opened, closed exactly once.
public protocol SinkCursor: AnyObject, Sendable {
  /// Takes what there is room for. Must not block.
  ///
  /// Calls for one cursor never overlap. They come from NodeFS's threads.
  func write(_ bytes: UnsafeRawBufferPointer) -> SinkWrite

  /// The writer is gone: its last descriptor was closed. Called once, after the last `write`.
  func close()
}

/// One `open(2)` of a sink node.
public struct SinkOpening: Sendable {
  public let caller: Caller
  /// Raised by the owner whenever this cursor may have room, or refuses from now on.
  public let signal: StreamSignal
}
