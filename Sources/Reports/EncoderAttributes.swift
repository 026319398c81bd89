// SPDX-License-Identifier: Apache-2.0

/// A coded format.
public enum CodedFormat: String, Sendable, Equatable, CaseIterable {
  case h264, h265, vp8, mjpeg, fwht
}

/// How key frames and references follow each other.
public enum GOPMode: String, Sendable, Equatable, CaseIterable {
  /// One key frame, then frames that each refer to the one before.
  case normalP = "normalp"
  /// A long-lived background picture, and virtual key frames that refer to it alone.
  case smartP = "smartp"
}

/// What an encoder channel is set to.
public struct EncoderAttributes: Sendable, Equatable {
  /// Width of the coded picture in pixels.
  public var width: Int
  /// Height of the coded picture in pixels.
  public var height: Int
  /// Largest width it may be set to without making it anew, pixels.
  public var maximumWidth: Int
  /// Largest height it may be set to without making it anew, pixels.
  public var maximumHeight: Int
  /// Coded format.
  public var codec: CodedFormat
  /// Readers get whole frames, not single slices.
  public var isByFrame: Bool
  /// Number of the next coded picture; starts at 0 with the channel.
  public var sequence: UInt64
  /// How references follow each other.
  public var gopMode: GOPMode
  /// Priority among the sessions of its service; higher goes first.
  public var priority: Int
  /// Frames come line by line while they are being captured, without a whole frame in memory.
  public var isOnline: Bool
  /// Reference and reconstructed pictures share memory.
  public var sharesReferences: Bool
  /// It has been started: frames that arrive are coded.
  public var receivesFrames: Bool
  /// Frame rate it is told arrives, frames a second.
  public var sourceFrameRate: Int
  /// Frame rate it shall give, frames a second.
  public var targetFrameRate: Int
  /// When the channel was started, CLOCK_REALTIME microseconds; 0 when it was not.
  public var startedAtMicroseconds: Int64
  /// Format of the frames that arrive.
  public var pictureFormat: PictureFormat
  /// Coded frames a second over the last second.
  public var measuredFrameRate: Double
  /// Rotation in degrees clockwise: 0, 90, 180 or 270.
  public var rotation: Int
  /// Left and right are exchanged.
  public var isMirrored: Bool

  public init(
    width: Int, height: Int, maximumWidth: Int, maximumHeight: Int, codec: CodedFormat, isByFrame: Bool = true,
    sequence: UInt64 = 0, gopMode: GOPMode = .normalP, priority: Int = 0, isOnline: Bool = false,
    sharesReferences: Bool = false, receivesFrames: Bool = false, sourceFrameRate: Int = 0, targetFrameRate: Int = 0,
    startedAtMicroseconds: Int64 = 0, pictureFormat: PictureFormat, measuredFrameRate: Double = 0, rotation: Int = 0,
    isMirrored: Bool = false
  ) {
    self.width = width
    self.height = height
    self.maximumWidth = maximumWidth
    self.maximumHeight = maximumHeight
    self.codec = codec
    self.isByFrame = isByFrame
    self.sequence = sequence
    self.gopMode = gopMode
    self.priority = priority
    self.isOnline = isOnline
    self.sharesReferences = sharesReferences
    self.receivesFrames = receivesFrames
    self.sourceFrameRate = sourceFrameRate
    self.targetFrameRate = targetFrameRate
    self.startedAtMicroseconds = startedAtMicroseconds
    self.pictureFormat = pictureFormat
    self.measuredFrameRate = measuredFrameRate
    self.rotation = rotation
    self.isMirrored = isMirrored
  }
}
