// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A set of buffers of one size that reports can look into while frames flow.
public protocol BufferPool: AnyObject, Sendable {
  /// Unique in the process, never reused.
  var id: UInt32 { get }
  /// `vi0`, `vpss0.1`: whom it serves; with the index the name of each DMA-BUF.
  var name: String { get }
  /// Bytes a buffer.
  var bufferSize: Int { get }
  /// `memfd`, `udmabuf`, `heap:system`, `v4l2:mmap`.
  var memoryKind: String { get }
  /// All buffers that exist now. A snapshot; takes no lock the frame path takes.
  var buffers: [Buffer] { get }
  /// Idle buffers now.
  var free: Int { get }
  /// Fewest idle buffers ever seen after a request was served; -1 once a request found none.
  var lowWater: Int { get }
  /// Requests that found no idle buffer.
  var refused: UInt64 { get }
  /// It belongs to none of those who take its buffers, and outlives them.
  var isShared: Bool { get }
  /// All buffers are parts of one piece of memory.
  var isWrapped: Bool { get }
}

extension BufferPool {
  public var refused: UInt64 { 0 }
  public var isShared: Bool { false }
  public var isWrapped: Bool { false }
}

/// Numbers for pools; shared by every kind of pool so that ids are unique in the process.
public enum PoolID {
  private static let nextID = Atomic<UInt32>(0)
  public static func next() -> UInt32 { nextID.add(1, ordering: .relaxed).oldValue }
}
