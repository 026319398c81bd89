// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// What a node's closures throw, and what the caller of `read(2)`, `write(2)`, `mkdir(2)` ... gets to see.
///
/// The errno is all the kernel carries; `reason` stays in the process (for the owner's log). Any other error thrown
/// by a closure reaches the caller as `EIO`.
public struct NodeError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The errno the system call fails with.
  public let errno: Errno
  /// What was wrong, in words, for the owner's own log.
  public let reason: String

  public init(_ errno: Errno, _ reason: String = "") {
    self.errno = errno
    self.reason = reason
  }

  public var description: String {
    reason.isEmpty ? "\(errno) (errno \(errno.rawValue))" : "\(reason): \(errno) (errno \(errno.rawValue))"
  }

  /// Any error as a `NodeError`: an `Errno` keeps its number, what is neither becomes `EIO`.
  init(from error: any Error) {
    switch error {
    case let error as NodeError: self = error
    case let error as Errno: self.init(error)
    default: self.init(.ioError, "\(error)")
    }
  }
}

extension Errno {
  /// `ENODEV`: the node, or what it stood for, was removed.
  static var gone: Errno { .operationNotSupportedByDevice }
}
