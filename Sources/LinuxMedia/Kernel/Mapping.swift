// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// Owns one shared memory mapping and removes it when it goes out of scope.
public struct Mapping: ~Copyable, @unchecked Sendable {
  // The address never changes; what is behind it is the holder's business.
  public let address: UnsafeMutableRawPointer
  public let size: Int
  private let kernel: any Kernel

  /// Maps `size` bytes of the descriptor from `offset`, to read and (unless `writable` is false) to write.
  public init(
    _ fd: CInt, size: Int, offset: Int64 = 0, writable: Bool = true, subject: @autoclosure () -> String,
    kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) {
    let protection = PROT_READ | (writable ? PROT_WRITE : 0)
    let result = try checked("mmap", on: subject()) { kernel.mmap(size, protection, fd, offset) }
    guard let address = UnsafeMutableRawPointer(bitPattern: Int(result)) else {
      throw KernelError(.invalidArgument, "mmap", on: subject())
    }
    self.address = address
    self.size = size
    self.kernel = kernel
  }

  deinit { _ = kernel.munmap(address, size) }
}
