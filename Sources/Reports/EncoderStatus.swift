// SPDX-License-Identifier: Apache-2.0

/// How far the engine is with the frame it works on, or was with the last one.
public enum EncodeStage: UInt8, Sendable, Equatable {
  /// Being set up for the frame.
  case configuring = 0
  case configured = 1
  /// Being started.
  case starting = 2
  /// Working.
  case started = 3
  /// Handing back the result.
  case finishing = 4
  /// Done.
  case finished = 5
}

/// Whether and how an encoder channel runs.
public struct EncoderStatus: Sendable, Equatable {
  /// It is enabled and takes frames.
  public var isRunning: Bool
  /// A JPEG channel is coded together with it from the same pass.
  public var isCombinedRunning: Bool
  /// How long setting up the engine took for the last frame. Unit: microseconds.
  public var configureMicroseconds: Int
  /// Coded pictures that wait in the ring for a reader.
  public var packetsQueued: Int
  /// Coded pictures a reader holds now.
  public var packetsTaken: Int
  /// Time between the last two starts of the engine. Unit: microseconds.
  public var startGapMicroseconds: Int
  /// Time between the last two combined starts. Unit: microseconds.
  public var combinedGapMicroseconds: Int
  /// Start of the last combined pass, CLOCK_REALTIME microseconds; when the channel started if there was none.
  public var lastCombinedStartMicroseconds: Int64
  /// End of the last combined pass, CLOCK_REALTIME microseconds; when the channel started if there was none.
  public var lastCombinedEndMicroseconds: Int64

  public init(
    isRunning: Bool = false, isCombinedRunning: Bool = false, configureMicroseconds: Int = 0, packetsQueued: Int = 0,
    packetsTaken: Int = 0, startGapMicroseconds: Int = 0, combinedGapMicroseconds: Int = 0,
    lastCombinedStartMicroseconds: Int64 = 0, lastCombinedEndMicroseconds: Int64 = 0
  ) {
    self.isRunning = isRunning
    self.isCombinedRunning = isCombinedRunning
    self.configureMicroseconds = configureMicroseconds
    self.packetsQueued = packetsQueued
    self.packetsTaken = packetsTaken
    self.startGapMicroseconds = startGapMicroseconds
    self.combinedGapMicroseconds = combinedGapMicroseconds
    self.lastCombinedStartMicroseconds = lastCombinedStartMicroseconds
    self.lastCombinedEndMicroseconds = lastCombinedEndMicroseconds
  }
}

/// What the engine of an encoder channel does now, and how often it could not.
public struct EncoderEngineStatus: Sendable, Equatable {
  /// It works on a frame of this channel now.
  public var isBusy: Bool
  /// How far it is or was.
  public var stage: EncodeStage
  /// Times no packet descriptor was free.
  public var packetPoolExhausted: UInt64
  /// Times the ring had no room for a coded picture.
  public var ringRefused: UInt64
  /// Times setting up the engine failed.
  public var configureFailed: UInt64
  /// Times starting the engine failed.
  public var startFailed: UInt64

  public init(
    isBusy: Bool = false, stage: EncodeStage = .configuring, packetPoolExhausted: UInt64 = 0, ringRefused: UInt64 = 0,
    configureFailed: UInt64 = 0, startFailed: UInt64 = 0
  ) {
    self.isBusy = isBusy
    self.stage = stage
    self.packetPoolExhausted = packetPoolExhausted
    self.ringRefused = ringRefused
    self.configureFailed = configureFailed
    self.startFailed = startFailed
  }
}
