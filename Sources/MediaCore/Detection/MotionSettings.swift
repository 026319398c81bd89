// SPDX-License-Identifier: Apache-2.0

/// What a detector of motion and occlusion is asked for. Words, ranges and usual values are those of HiSilicon's VDA channels where it has
/// the same.
public struct MotionSettings: Sendable, Equatable {
  /// What pictures are held against.
  public enum Algorithm: String, Sendable, CaseIterable {
    /// A mean of the pictures so far, each of which counts less the older it is.
    case background
    /// The picture before.
    case reference
  }

  public var algorithm = Algorithm.background
  /// Side of the square blocks that are compared: 8 or 16 samples.
  public var block = 16
  /// Parts of 256 that the background keeps when a picture is added to it.
  public var backgroundWeight = 128
  /// Sum of absolute differences of 16 samples from which a block has moved, beyond what noise makes of it: 0...4080.
  public var threshold = 100
  /// Most objects that are told, the largest first.
  public var mostObjects = 16
  /// Pictures without motion before its end is told.
  public var stillCount = 10
  /// Per cent of the blocks with detail that must have lost it for the picture to count as covered; 0: that is not looked for.
  public var coveredPercent = 60
  /// Pictures one after the other that are covered before occlusion is told, and that are not before it is withdrawn.
  public var coveredCount = 10
  public var uncoveredCount = 10

  public init() {}
}

/// What was seen in one picture.
public struct MotionFindings: Sendable, Equatable {
  /// A thing that moves: the rectangle around blocks that touch each other.
  public struct Object: Sendable, Equatable {
    /// In samples of the picture.
    public var area: Rectangle
    /// Blocks of it that have moved.
    public var blocks: Int
  }

  /// Of the picture, microseconds.
  public var pts: Int64 = 0
  /// Samples in blocks that have moved.
  public var alarmPixels = 0
  /// Blocks that have moved, of so many.
  public var alarmBlocks = 0
  public var blocks = 0
  /// The largest difference of a block, of 16 samples, beyond the noise; and the noise.
  public var largest = 0
  public var noise = 0
  public var objects: [Object] = []
  /// The picture is covered, and has been for as long as it takes.
  public var isOccluded = false
  /// Per cent of the blocks with detail that have lost it; `nil` where too few have any, as in the dark.
  public var coveredPercent: Int?

  public init() {}

  public var hasMoved: Bool { alarmBlocks > 0 }
}
