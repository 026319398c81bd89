// SPDX-License-Identifier: Apache-2.0
public import Reports

/// A piece of memory with a file descriptor: a DMA-BUF, or a memfd on machines without an exporter.
///
/// Made by an ``Allocator`` or exported by a device. The descriptor and any mapping are owned by the implementation
/// and closed when the object goes.
public protocol Memory: AnyObject, Sendable {
  /// The descriptor, valid as long as the object lives. Borrowed: never close it.
  var fileDescriptor: CInt { get }
  /// Size in bytes.
  var size: Int { get }
  /// Inode of the descriptor; for a DMA-BUF unique since boot.
  var inode: UInt64 { get }
  /// Who exported it, as the kernel names it (`system`, `udmabuf`, `vb2-dma-contig`), or `memfd`.
  var exporter: String { get }
  /// True for a DMA-BUF, false for a plain memfd.
  var isDMABuf: Bool { get }
  /// The kernel's count of references to the DMA-BUF's file, or `nil` where there is none or it cannot be read.
  /// Does a system call; for reports, never on the frame path.
  func kernelReferenceCount() -> Int?
  /// Address of a shared read/write mapping, made at the first call and kept. Thread-safe.
  func map() throws(Failure) -> UnsafeMutableRawPointer
  /// The mapping if there is one already, without making it.
  var mapped: UnsafeMutableRawPointer? { get }
  /// The physical memory it lies in, in order of its bytes, where that was seen when it was made and cannot change.
  var physicalRanges: [PhysicalRange]? { get }
  /// Bracket CPU access (`DMA_BUF_IOCTL_SYNC`); nothing to do for memory that is always coherent.
  func beginCPUAccess(write: Bool) throws(Failure)
  func endCPUAccess(write: Bool) throws(Failure)
}

/// What one piece of memory may have.
public enum MemorySize {
  /// Bytes: far above any frame, far below what overflows.
  public static let largest = 1 << 31
}

extension Memory {
  public var physicalRanges: [PhysicalRange]? { nil }
}

/// Gives memory for pools.
public protocol Allocator: Sendable {
  /// Whether so many pieces of so many bytes may be asked for at all; asks for none of them.
  /// - Throws: ENOMEM where a limit would be passed, with the sum in words.
  func admit(count: Int, size: Int, for name: String) throws(Failure)
  /// `memfd`, `udmabuf`, `heap:system`, ...: what the node prints as the kind of memory.
  var name: String { get }
  /// - Parameters:
  ///   - size: bytes, rounded up to whole pages by the implementation.
  ///   - label: `<pool>-<index>`, at most 31 bytes; becomes the DMA-BUF's name.
  /// - Throws: ENOMEM and what the kernel says.
  func allocate(size: Int, label: String) throws(Failure) -> any Memory
}

extension Allocator {
  public func admit(count: Int, size: Int, for name: String) throws(Failure) {}
}
