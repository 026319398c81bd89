// SPDX-License-Identifier: Apache-2.0

/// The DMA-BUFs of the system and this process's other picture memory together.
public struct MemoryTotals: Sendable, Equatable {
  /// Bytes in buffers that exist now, each piece of memory counted once.
  public var totalBytes: UInt64
  /// Highest total seen when a buffer was made, since start or the last reset; 0 right after a reset. Of other processes'
  /// buffers those are seen that were there at a look.
  public var peakBytes: UInt64
  /// Bytes of this process's picture memory of all kinds.
  public var ownBytes: UInt64
  /// Bytes of it that are no DMA-BUFs.
  public var ownOtherBytes: UInt64

  /// Bytes the picture memory of this process may reach; nil where there is no limit.
  public var limitBytes: UInt64?
  /// Requests that would have passed the limit.
  public var refused: UInt64

  public init(
    totalBytes: UInt64, peakBytes: UInt64, ownBytes: UInt64 = 0, ownOtherBytes: UInt64 = 0, limitBytes: UInt64? = nil,
    refused: UInt64 = 0
  ) {
    self.totalBytes = totalBytes
    self.peakBytes = peakBytes
    self.ownBytes = ownBytes
    self.ownOtherBytes = ownOtherBytes
    self.limitBytes = limitBytes
    self.refused = refused
  }
}
