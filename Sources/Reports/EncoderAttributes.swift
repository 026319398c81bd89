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

/// How pictures are cut into slices. The raw value is the vendor's number.
public enum EncoderSliceMode: Int, Sendable, Equatable {
  case none = 0
  /// At most so many bytes.
  case bytes = 1
  /// So many macroblocks (H.265: coding tree units).
  case blocks = 2
}

/// What an encoder channel is set to.
public struct EncoderAttributes: Sendable, Equatable {
  /// Width of the coded picture in pixels.
  public var width = 0
  /// Height of the coded picture in pixels.
  public var height = 0
  /// Largest width it may be set to without making it anew, pixels.
  public var maximumWidth = 0
  /// Largest height it may be set to without making it anew, pixels.
  public var maximumHeight = 0
  /// Coded format.
  public var codec: CodedFormat
  /// Number of the next coded picture; starts at 0 with the channel.
  public var sequence: UInt64 = 0
  /// How references follow each other.
  public var gopMode: GOPMode = .normalP
  /// Priority among the sessions of its service; higher goes first.
  public var priority = 0
  /// It has been started: frames that arrive are coded.
  public var receivesFrames = false
  /// Frame rate it is told arrives, frames a second.
  public var sourceFrameRate = 0
  /// Frame rate it shall give, frames a second.
  public var targetFrameRate = 0
  /// When the channel was started, CLOCK_REALTIME microseconds; 0 when it was not.
  public var startedAtMicroseconds: Int64 = 0
  /// Format of the frames that arrive.
  public var pictureFormat: PictureFormat = .other
  /// Coded frames a second over the last second.
  public var measuredFrameRate: Double = 0
  /// Rotation in degrees clockwise: 0, 90, 180 or 270.
  public var rotation = 0
  /// Left and right are exchanged.
  public var isMirrored = false
  /// How pictures are cut into slices.
  public var sliceMode: EncoderSliceMode = .none
  /// Bytes or macroblocks of a slice; 0 where they are not cut.
  public var sliceSize = 0
  /// Columns of blocks that a picture codes without reference to others while a refresh goes on; nil where there is none.
  public var refreshedColumns: Int?

  public init(codec: CodedFormat) {
    self.codec = codec
  }
}
