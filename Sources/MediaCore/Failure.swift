// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What went wrong, in the form every layer reports it: the errno, what was tried, and on what.
///
/// Building one allocates strings, so it is for the path that failed, never for a per-frame decision.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kernel's or the library's reason as an errno; libraries without one are mapped by their door.
  public var errno: Errno
  /// What was tried, in the words of the interface: `VIDIOC_S_FMT`, `open`, `WelsCreateSVCEncoder`.
  public var operation: String
  /// What it was tried on: a device, a file, an object of the graph.
  public var subject: String
  /// What a reader needs to know beyond the errno; may be empty.
  public var detail: String

  public init(_ errno: Errno, _ operation: String, on subject: String, _ detail: String = "") {
    self.errno = errno
    self.operation = operation
    self.subject = subject
    self.detail = detail
  }

  /// `open /dev/video0: No such file or directory (no camera)`
  public var description: String {
    // The C library's words for EILSEQ speak of text.
    let what = errno == .illegalByteSequence ? "damaged data" : errno.description
    let base = "\(operation) \(subject): \(what)"
    return detail.isEmpty ? base : "\(base) (\(detail))"
  }
}

extension Failure {
  /// The device is not there any more, or not under this name: ENODEV, ENXIO, ENOENT.
  public var isDeviceGone: Bool {
    errno == .operationNotSupportedByDevice || errno == .noSuchAddressOrDevice || errno == .noSuchFileOrDirectory
  }
}
