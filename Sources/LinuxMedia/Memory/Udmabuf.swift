// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// `/dev/udmabuf`: a DMA-BUF over the pages of a memfd (kernel: `udmabuf.h`).
public struct Udmabuf: ~Copyable, Sendable {
  public static let path = "/dev/udmabuf"
  private let device: Descriptor

  /// - Throws: ENOENT when the kernel has none, EACCES.
  public init(kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    device = try Descriptor(opening: Udmabuf.path, O_RDWR, kernel: kernel)
  }

  /// A new buffer; its memfd lives inside it.
  ///
  /// - Parameters:
  ///   - size: whole pages.
  ///   - look: is shown the memory of the new buffer, read-only and where it can be mapped; for the time of the call.
  /// - Throws: EINVAL above the driver's limit (64 MiB unless `size_limit_mb` says otherwise).
  public func allocate(
    size: Int, name: String, look: (UnsafeMutableRawPointer) -> Void = { _ in }
  ) throws(KernelError) -> Descriptor {
    let kernel = device.kernel
    let memory = try Memfd.create(name: name, size: size, kernel: kernel)
    var request = udmabuf_create(
      memfd: UInt32(bitPattern: memory.raw), flags: UInt32(UDMABUF_FLAGS_CLOEXEC), offset: 0, size: UInt64(size))
    let fd = try checked("UDMABUF_CREATE", on: name) { kernel.ioctl(device.raw, mpifs_UDMABUF_CREATE, &request) }
    let buffer = Descriptor(owning: fd, kernel: kernel)
    if let mapping = try? Mapping(memory.raw, size: size, writable: false, subject: name, kernel: kernel) {
      look(mapping.address)
    }
    return buffer
  }
}
