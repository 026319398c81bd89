// SPDX-License-Identifier: Apache-2.0

/// The ring a channel's coded bytes lie in. All values are bytes.
public struct EncoderRing: Sendable, Equatable {
  /// Where the next byte will be written, from the start of the ring.
  public var writePosition: Int
  /// Where the oldest byte that is still needed lies, from the start of the ring.
  public var readPosition: Int
  /// Most bytes ever in use at once.
  public var highWater: Int
  /// Bytes in use now.
  public var used: Int
  /// Size of the ring.
  public var capacity: Int
  /// Free bytes it must have before a picture is begun.
  public var minimumFree: Int
  /// Write position at the last update.
  public var lastWritePosition: Int
  /// Read position at the last update.
  public var lastReadPosition: Int

  public init(
    writePosition: Int, readPosition: Int, highWater: Int, used: Int, capacity: Int, minimumFree: Int,
    lastWritePosition: Int, lastReadPosition: Int
  ) {
    self.writePosition = writePosition
    self.readPosition = readPosition
    self.highWater = highWater
    self.used = used
    self.capacity = capacity
    self.minimumFree = minimumFree
    self.lastWritePosition = lastWritePosition
    self.lastReadPosition = lastReadPosition
  }
}
