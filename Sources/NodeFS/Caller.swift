// SPDX-License-Identifier: Apache-2.0

/// The process whose system call this is, as the kernel names it in the request.
///
/// All three are 0 when the caller lives in a namespace the server cannot see (see `struct fuse_ctx` of libfuse).
public struct Caller: Hashable, Sendable {
  /// The caller's *thread* id, in the server's pid namespace.
  public let pid: Int32
  public let uid: UInt32
  public let gid: UInt32

  public init(pid: Int32, uid: UInt32, gid: UInt32) {
    self.pid = pid
    self.uid = uid
    self.gid = gid
  }
}
