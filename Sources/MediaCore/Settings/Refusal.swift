// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// Why a change was not made. Nothing has changed when one is thrown.
public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
  /// What the writer gets: EINVAL not a value, ERANGE out of range, EBUSY cannot change while running, ENOENT no such
  /// object, ENODEV gone, ENOTSUP this engine cannot, E2BIG too long, ENOSPC no room, ETIMEDOUT, ELOOP.
  public var errno: Errno
  /// What it was about: `venc/0/bitrate`.
  public var path: String
  /// The value as it came; hostile bytes are escaped by whoever prints it.
  public var value: [UInt8]
  /// What is wrong, one line.
  public var reason: String
  /// What would be right, one line; empty where nothing would be.
  public var hint: String

  public init(_ errno: Errno, path: String, value: [UInt8] = [], reason: String, hint: String = "") {
    self.errno = errno
    self.path = path
    self.value = value
    self.reason = reason
    self.hint = hint
  }

  public init(_ failure: Failure, path: String, value: [UInt8] = [], hint: String = "") {
    self.init(failure.errno, path: path, value: value, reason: failure.description, hint: hint)
  }

  public var description: String { "\(path): \(reason)" + (hint.isEmpty ? "" : "; \(hint)") }
}
