// SPDX-License-Identifier: Apache-2.0

/// All media buffers together.
public struct MemoryTotals: Sendable, Equatable {
  /// Bytes in buffers that exist now, each piece of memory counted once.
  public var totalBytes: UInt64
  /// Highest total seen when a buffer was made, since start or the last reset; 0 right after a reset.
  public var peakBytes: UInt64

  /// Bytes the total may reach; nil where there is no limit.
  public var limitBytes: UInt64?
  /// Requests that would have passed the limit.
  public var refused: UInt64

  public init(
    totalBytes: UInt64, peakBytes: UInt64, limitBytes: UInt64? = nil, refused: UInt64 = 0
  ) {
    self.totalBytes = totalBytes
    self.peakBytes = peakBytes
    self.limitBytes = limitBytes
    self.refused = refused
  }
}
