// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
public import MediaCore
public import Reports
import Synchronization

/// A piece of memory behind one descriptor: a DMA-BUF of any exporter, or a memfd.
///
/// Owns the descriptor and, once somebody asked for it, one shared mapping; both go with the object.
public final class DescriptorMemory: Memory {
  private let descriptor: Descriptor
  public let size: Int
  public let inode: UInt64
  public let exporter: String
  public let isDMABuf: Bool
  public let physicalRanges: [PhysicalRange]?
  private let label: String
  private let kernel: any Kernel
  private let mapping = Mutex<Mapping?>(nil)
  // 0 until there is a mapping; so that `mapped` takes no lock.
  private let address = Atomic<UInt>(0)

  /// Takes over a descriptor.
  ///
  /// - Parameters:
  ///   - exporter: `nil` asks the kernel, which knows for DMA-BUFs only.
  ///   - label: what errors name.
  init(
    owning descriptor: consuming Descriptor, exporter: String?, isDMABuf: Bool, label: String,
    physicalRanges: [PhysicalRange]? = nil, kernel: any Kernel = LinuxKernel()
  ) throws(KernelError) {
    let fd = descriptor.raw
    size = try DMABuf.size(fd, subject: label, kernel: kernel)
    inode = try DMABuf.inode(fd, subject: label, kernel: kernel)
    // A board without /proc still streams: the exporter is then unknown, not an error.
    self.exporter = exporter ?? (try? DescriptorInfo(of: fd, kernel: kernel))?.exporter ?? "unknown"
    self.isDMABuf = isDMABuf
    self.physicalRanges = physicalRanges
    self.label = label
    self.kernel = kernel
    self.descriptor = descriptor
  }

  public var fileDescriptor: CInt { descriptor.raw }

  public func kernelReferenceCount() -> Int? {
    guard isDMABuf else { return nil }
    return (try? DescriptorInfo(of: descriptor.raw, kernel: kernel))?.count
  }

  public var mapped: UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(bitPattern: address.load(ordering: .acquiring))
  }

  public func map() throws(Failure) -> UnsafeMutableRawPointer {
    if let mapped { return mapped }
    return try mapping.withLock { (made: inout sending Mapping?) throws(Failure) -> UnsafeMutableRawPointer in
      if let mapped { return mapped }
      let new = try asFailure { () throws(KernelError) in
        try Mapping(descriptor.raw, size: size, subject: label, kernel: kernel)
      }
      let result = new.address
      made = consume new
      address.store(UInt(bitPattern: result), ordering: .releasing)
      return result
    }
  }

  public func beginCPUAccess(write: Bool) throws(Failure) {
    guard isDMABuf else { return }
    try asFailure { () throws(KernelError) in
      try DMABuf.begin(write ? .write : .read, descriptor.raw, subject: label, kernel: kernel)
    }
  }

  public func endCPUAccess(write: Bool) throws(Failure) {
    guard isDMABuf else { return }
    try asFailure { () throws(KernelError) in
      try DMABuf.end(write ? .write : .read, descriptor.raw, subject: label, kernel: kernel)
    }
  }
}
