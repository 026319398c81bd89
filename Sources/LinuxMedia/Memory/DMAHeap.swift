// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// One DMA-BUF heap, `/dev/dma_heap/NAME` (kernel: `dma-heap.h`).
public struct DMAHeap: ~Copyable, Sendable {
  public static let directory = "/dev/dma_heap"
  public let name: String
  private let device: Descriptor

  /// - Throws: ENOENT when there is no such heap, EACCES (vendor systems have 0600 root).
  public init(_ name: String, kernel: any Kernel = LinuxKernel()) throws(KernelError) {
    // Assigned after what can throw: Swift 6.2 loses track of what a half-made value owns, and its compiler ends.
    let device = try Descriptor(opening: "\(DMAHeap.directory)/\(name)", O_RDONLY, kernel: kernel)
    self.name = name
    self.device = device
  }

  /// A new buffer of `size` bytes, rounded up to whole pages by the kernel.
  /// - Throws: ENOMEM when the heap is exhausted.
  public func allocate(size: Int) throws(KernelError) -> Descriptor {
    // The descriptor field must be 0 on the way in; the flags become those of the new descriptor.
    var request = dma_heap_allocation_data()
    request.len = UInt64(size)
    request.fd_flags = UInt32(O_RDWR | O_CLOEXEC)
    _ = try checked("DMA_HEAP_IOCTL_ALLOC", on: "heap \(name)") {
      device.kernel.ioctl(device.raw, mpifs_DMA_HEAP_IOCTL_ALLOC, &request)
    }
    return Descriptor(owning: CInt(bitPattern: request.fd), kernel: device.kernel)
  }
}
