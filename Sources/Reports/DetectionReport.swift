// SPDX-License-Identifier: Apache-2.0

/// What a detector saw in the last picture it looked at.
public struct DetectionReport: Sendable, Equatable {
  /// A thing that moves, in samples of the picture.
  public struct Object: Sendable, Equatable {
    public var x: Int
    public var y: Int
    public var width: Int
    public var height: Int
    /// Blocks of it that have moved.
    public var blocks: Int

    public init(x: Int, y: Int, width: Int, height: Int, blocks: Int) {
      (self.x, self.y, self.width, self.height, self.blocks) = (x, y, width, height, blocks)
    }
  }

  /// Of the picture, microseconds of CLOCK_MONOTONIC; nil before the first.
  public var pts: Int64?
  /// Size of the picture.
  public var width = 0
  public var height = 0
  public var blockSize = 0
  /// Motion is told: it has begun and not been told to have ended.
  public var isMoving = false
  /// Samples in blocks that have moved; blocks, of so many.
  public var alarmPixels = 0
  public var alarmBlocks = 0
  public var blocks = 0
  /// The largest difference of a block, of 16 samples, beyond the noise; and the noise.
  public var largest = 0
  public var noise = 0
  /// The lens is covered.
  public var isOccluded = false
  /// Per cent of the blocks with detail that have lost it; nil where too few have any.
  public var coveredPercent: Int?
  /// The largest first.
  public var objects: [Object] = []

  public init() {}
}
