// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import SystemPackage

/// A call the kernel refused: why, what was tried, and on what.
public struct KernelError: Error, Sendable, Equatable, CustomStringConvertible {
  public var errno: Errno
  /// `VIDIOC_S_FMT`, `open`, `mmap`.
  public var operation: String
  /// The device or file.
  public var subject: String

  public init(_ errno: Errno, _ operation: String, on subject: String) {
    self.errno = errno
    self.operation = operation
    self.subject = subject
  }

  /// `VIDIOC_S_FMT /dev/video0: Device or resource busy`
  public var description: String { "\(operation) \(subject): \(errno.description)" }
}

/// Repeats a call that a signal interrupted; any other result is returned as it is.
@inline(__always)
func uninterrupted<Result: SignedInteger & FixedWidthInteger>(_ body: () -> Result) -> Result {
  while true {
    let result = body()
    if result != -Result(EINTR) { return result }
  }
}

/// Turns a negative errno into an error. The strings are built only when it failed.
@inline(__always)
func checked<Result: SignedInteger & FixedWidthInteger>(
  _ operation: @autoclosure () -> String, on subject: @autoclosure () -> String, _ body: () -> Result
) throws(KernelError) -> Result {
  let result = uninterrupted(body)
  if result < 0 { throw KernelError(Errno(rawValue: CInt(-result)), operation(), on: subject()) }
  return result
}
