// SPDX-License-Identifier: Apache-2.0

/// The ring a channel's coded bytes lie in. All values are bytes.
public struct EncoderRing: Sendable, Equatable {
  /// Where the next byte will be written, from the start of the ring.
  public var writePosition = 0
  /// Where the oldest byte that is still needed lies, from the start of the ring.
  public var readPosition = 0
  /// Most bytes ever in use at once.
  public var highWater = 0
  /// Bytes in use now.
  public var used = 0
  /// Size of the ring.
  public var capacity = 0
  /// Free bytes it must have before a picture is begun.
  public var minimumFree = 0
  /// Write position at the last update.
  public var lastWritePosition = 0
  /// Read position at the last update.
  public var lastReadPosition = 0

  public init() {}
}
