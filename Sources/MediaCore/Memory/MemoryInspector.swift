// SPDX-License-Identifier: Apache-2.0

/// A file descriptor of this process.
public struct HeldDescriptor: Sendable, Equatable {
  public var descriptor: CInt
  public var inode: UInt64
  /// What the kernel says of a DMA-BUF; `nil` for what is none.
  public var buffer: Buffer?

  public struct Buffer: Sendable, Equatable {
    public var size: Int
    /// References to its file.
    public var count: Int?
    public var name: String
    public init(size: Int, count: Int?, name: String) {
      self.size = size
      self.count = count
      self.name = name
    }
  }

  public init(descriptor: CInt, inode: UInt64, buffer: Buffer? = nil) {
    self.descriptor = descriptor
    self.inode = inode
    self.buffer = buffer
  }
}

/// Who holds which buffer, as the kernel tells it. Asks it much: for threads that may take milliseconds.
public protocol MemoryInspector: Sendable {
  /// The descriptors of this process.
  /// - Throws: where the kernel does not tell.
  func descriptors() throws(Failure) -> [HeldDescriptor]
  /// How often each inode is mapped into this process.
  func mappings(of inodes: Set<UInt64>) -> [UInt64: Int]
  /// The other processes that hold one of the DMA-BUFs; and how many could not be looked at. Reads links, follows none.
  func holders(of inodes: Set<UInt64>) -> (found: [UInt64: [(process: Int32, name: String)]], unreadable: Int)
}
