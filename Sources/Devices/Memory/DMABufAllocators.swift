// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// DMA-BUFs of one heap, `/dev/dma_heap/NAME`.
public struct HeapAllocator: Allocator {
  /// The heap's name: `system`, `linux,cma`, a vendor's.
  public let heap: String
  private let kernel: any Kernel

  public init(heap: String, kernel: any Kernel = LinuxKernel()) {
    self.heap = heap
    self.kernel = kernel
  }

  public var name: String { "heap:\(heap)" }

  public func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    try checkSize(size, label)
    return try asFailure("heap \(heap)") { () throws(KernelError) in
      let buffer = try DMAHeap(heap, kernel: kernel).allocate(size: pageAligned(size))
      return try named(buffer, label: label, kernel: kernel)
    }
  }
}

/// DMA-BUFs over sealed memfds, `/dev/udmabuf`: for kernels without heaps.
public struct UdmabufAllocator: Allocator {
  private let kernel: any Kernel
  public init(kernel: any Kernel = LinuxKernel()) { self.kernel = kernel }

  public var name: String { "udmabuf" }

  public func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    try checkSize(size, label)
    return try asFailure { () throws(KernelError) in
      let buffer = try Udmabuf(kernel: kernel).allocate(size: pageAligned(size), name: label)
      return try named(buffer, label: label, kernel: kernel)
    }
  }
}

/// Names a new DMA-BUF and takes it over. A name the kernel does not take (before 5.3) costs the name only.
func named(_ buffer: consuming Descriptor, label: String, kernel: any Kernel) throws(KernelError) -> DescriptorMemory {
  try? DMABuf.setName(buffer.raw, label, kernel: kernel)
  return try DescriptorMemory(owning: buffer, exporter: nil, isDMABuf: true, label: label, kernel: kernel)
}
