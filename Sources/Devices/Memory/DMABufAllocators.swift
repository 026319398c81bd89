// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import LinuxMedia
public import MediaCore
internal import Reports

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
      let whole = pageAligned(size)
      var ranges: [PhysicalRange]?
      let buffer = try Udmabuf(kernel: kernel).allocate(size: whole, name: label) {
        ranges = Self.ranges(behind: $0, size: whole)
      }
      return try named(buffer, label: label, physicalRanges: ranges, kernel: kernel)
    }
  }

  /// The pages of a new buffer, while the memory it is made of is mapped. The driver holds on to them (`memfd_pin_folios`, before
  /// Linux 6.12 a reference to each), so they stay where they are as long as the buffer does; its own mapping does not show them.
  /// `nil` where the kernel does not tell of every one, which costs nothing but a line of `rk_dmabuf/sgt`.
  private static func ranges(behind address: UnsafeMutableRawPointer, size: Int) -> [PhysicalRange]? {
    // Not by touching them: what is no mapping is refused, and kernels before 5.14 do not know it.
    let populateRead: CInt = 22
    guard madvise(address, size, populateRead) == 0, let pages = try? PhysicalPages(),
      let found = try? pages.behind(address, size: size), found.bytes == UInt64(size)
    else { return nil }
    return found.ranges
  }
}

/// Names a new DMA-BUF and takes it over. A name the kernel does not take (before 5.3) costs the name only.
func named(
  _ buffer: consuming Descriptor, label: String, physicalRanges: [PhysicalRange]? = nil, kernel: any Kernel
) throws(KernelError) -> DescriptorMemory {
  try? DMABuf.setName(buffer.raw, label, kernel: kernel)
  return try DescriptorMemory(
    owning: buffer, exporter: nil, isDMABuf: true, label: label, physicalRanges: physicalRanges, kernel: kernel)
}
