// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Owns one file descriptor and closes it when it goes out of scope.
public struct Descriptor: ~Copyable, Sendable {
  /// Borrowed: valid as long as the owner lives.
  public private(set) var raw: CInt
  let kernel: any Kernel

  /// Takes over a descriptor that nobody else closes.
  public init(owning raw: CInt, kernel: any Kernel = LinuxKernel()) {
    self.raw = raw
    self.kernel = kernel
  }

  /// Opens a file or device node, close-on-exec.
  public init(opening path: String, _ flags: CInt, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    let fd = try checked("open", on: path) { kernel.open(path, flags) }
    self.init(owning: fd, kernel: kernel)
  }

  /// Gives the descriptor away; the caller closes it.
  public consuming func release() -> CInt {
    var emptied = self
    let fd = emptied.raw
    emptied.raw = -1
    return fd
  }

  /// A second descriptor of the same open file.
  public func duplicated(subject: @autoclosure () -> String) throws(KernelError) -> Descriptor {
    Descriptor(owning: try checked("dup", on: subject()) { kernel.duplicate(raw) }, kernel: kernel)
  }

  deinit {
    // After EINTR Linux has closed it already: never repeated.
    if raw >= 0 { _ = kernel.close(raw) }
  }
}
