// SPDX-License-Identifier: Apache-2.0

/// One `write(2)` on a setting or command: one command.
public struct WriteRequest: Sendable {
  /// What was written, raw: a trailing newline is still there.
  public let bytes: [UInt8]
  /// Where the caller wrote. Settings ignore it; `>>` makes it anything.
  public let offset: Int64
  public let caller: Caller
  /// Answers the caller; exactly once, now or later, from any thread.
  public let reply: Reply
}

/// One `mkdir(2)`: the handler adds a directory called `name` to `directory`, then answers with success.
public struct MakeRequest: Sendable {
  public let directory: Directory
  public let name: String
  public let caller: Caller
  /// After `succeed()` the new entry must be in `directory`, else the caller gets `EIO`.
  public let reply: Reply
}

/// One `rmdir(2)`: the handler gives up the object behind `node`, then answers with success.
public struct RemoveRequest: Sendable {
  public let directory: Directory
  public let name: String
  /// The directory to be removed. Its children need not be removed first.
  public let node: Directory
  public let caller: Caller
  /// On `succeed()` the entry is taken out of `directory` if the handler has not done so itself.
  public let reply: Reply
}

/// One picture to be made. Callers that open the node meanwhile share the result.
public struct PictureRequest: Sendable {
  /// Who opened the node first.
  public let caller: Caller
  public let reply: PictureReply
}

/// What was written to a blob node between open and close.
public struct BlobDelivery: Sendable {
  public let bytes: [UInt8]
  /// Who opened the node.
  public let caller: Caller
}
