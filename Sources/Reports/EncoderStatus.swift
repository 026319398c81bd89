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
  public var isRunning = false
  /// How long setting up the engine took for the last frame. Unit: microseconds.
  public var configureMicroseconds = 0
  /// Coded pictures that wait in the ring for a reader.
  public var packetsQueued = 0
  /// Coded pictures a reader holds now.
  public var packetsTaken = 0
  /// Time between the last two starts of the engine. Unit: microseconds.
  public var startGapMicroseconds = 0
  /// Start of the last combined pass, CLOCK_REALTIME microseconds; when the channel started if there was none.
  public var lastCombinedStartMicroseconds: Int64 = 0
  /// End of the last combined pass, CLOCK_REALTIME microseconds; when the channel started if there was none.
  public var lastCombinedEndMicroseconds: Int64 = 0

  public init() {}
}

/// What the engine of an encoder channel does now, and how often it could not.
public struct EncoderEngineStatus: Sendable, Equatable {
  /// It works on a frame of this channel now.
  public var isBusy = false
  /// How far it is or was.
  public var stage: EncodeStage = .configuring
  /// Times no packet descriptor was free.
  public var packetPoolExhausted: UInt64 = 0
  /// Times the ring had no room for a coded picture.
  public var ringRefused: UInt64 = 0
  /// Times setting up the engine failed.
  public var configureFailed: UInt64 = 0
  /// Times starting the engine failed.
  public var startFailed: UInt64 = 0

  public init() {}
}
