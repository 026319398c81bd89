// SPDX-License-Identifier: Apache-2.0

/// Something NodeFS itself refused, before any handler of the owner saw it.
///
/// Errors that handlers return are not reported here: their author knows them already.
public struct Refusal: Sendable {
  /// What the caller tried.
  public enum Operation: String, Sendable {
    /// Opened a node for writing that takes no writes.
    case openForWriting = "open for writing"
    /// Opened a node for reading that shows nothing (what `grep -r` does to every command node).
    case openForReading = "open for reading"
    /// Opened a node whose picture was not made in time.
    case open
    case read
    /// Too long, at the wrong place, or not answered in time.
    case write
    case truncate
    case changeMode = "chmod"
    case changeOwner = "chown"
    case create
    case makeNode = "mknod"
    case makeDirectory = "mkdir"
    case removeDirectory = "rmdir"
    case unlink
    case rename
    case link
    case symlink
  }

  /// The path inside the tree, without a leading slash: `venc/0/bitrate`.
  public let path: String
  public let operation: Operation
  /// What the caller was told, and why.
  public let error: NodeError
  public let caller: Caller
  /// The first bytes (at most 128) of a refused write, as they came.
  public let bytes: [UInt8]

  public init(path: String, operation: Operation, error: NodeError, caller: Caller, bytes: [UInt8] = []) {
    self.path = path
    self.operation = operation
    self.error = error
    self.caller = caller
    self.bytes = bytes
  }
}
