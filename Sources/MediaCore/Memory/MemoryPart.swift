// SPDX-License-Identifier: Apache-2.0

/// A part of a piece of memory that several buffers share, as the vendor's pools in wrap mode have it.
///
/// Holds the whole. No device imports it: a descriptor stands for the whole memory, from its first byte.
public final class MemoryPart: Memory {
  public let whole: any Memory
  /// Bytes from the beginning of the whole.
  public let offset: Int
  public let size: Int

  init(of whole: any Memory, at offset: Int, size: Int) {
    self.whole = whole
    self.offset = offset
    self.size = size
  }

  /// Bytes a part takes: whole pages.
  public static func size(holding bytes: Int) -> Int { (bytes + 4095) / 4096 * 4096 }

  public var fileDescriptor: CInt { whole.fileDescriptor }
  public var inode: UInt64 { whole.inode }
  public var exporter: String { whole.exporter }
  public var isDMABuf: Bool { false }
  public func kernelReferenceCount() -> Int? { whole.kernelReferenceCount() }
  public func map() throws(Failure) -> UnsafeMutableRawPointer { try whole.map() + offset }
  public var mapped: UnsafeMutableRawPointer? { whole.mapped.map { $0 + offset } }
  public func beginCPUAccess(write: Bool) throws(Failure) { try whole.beginCPUAccess(write: write) }
  public func endCPUAccess(write: Bool) throws(Failure) { try whole.endCPUAccess(write: write) }
}
