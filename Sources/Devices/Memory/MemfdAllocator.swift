// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// Plain shared memory: works everywhere, but no device can import it.
public struct MemfdAllocator: Allocator {
  private let kernel: any Kernel
  public init(kernel: any Kernel = LinuxKernel()) { self.kernel = kernel }

  public var name: String { "memfd" }

  public func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    try checkSize(size, label)
    return try asFailure { () throws(KernelError) in
      let memory = try Memfd.create(name: label, size: pageAligned(size), kernel: kernel)
      return try DescriptorMemory(owning: memory, exporter: "memfd", isDMABuf: false, label: label, kernel: kernel)
    }
  }
}

func checkSize(_ size: Int, _ label: String) throws(Failure) {
  guard size > 0, size <= MemorySize.largest else {
    throw Failure(.invalidArgument, "allocate", on: label, "size \(size) is not in 1...\(MemorySize.largest)")
  }
}
