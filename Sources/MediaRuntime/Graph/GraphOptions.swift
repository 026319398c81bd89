// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore
public import Reports

/// Hears what happens in the graph. Called from any thread, seldom; must return soon and must not call the graph.
public protocol GraphListener: AnyObject, Sendable {
  /// A line for the module log.
  func log(_ module: ModuleKind, _ level: LogLevel, _ text: String, function: StaticString, line: Int)
  /// Something failed that nobody was waiting for; for the error log.
  func failed(_ path: ObjectPath, _ failure: Failure)
  /// A value was not taken, or not as it was written, when nobody waited for the answer; for the error log.
  func refused(_ refusal: Refusal)
}

extension GraphListener {
  public func refused(_ refusal: Refusal) {}
}

/// How a graph works.
public struct GraphOptions: Sendable {
  /// CPU workers that encode, scale and convert.
  public var workers: Int
  /// Sources run as fast as the slowest receiver takes frames, and nothing is dropped. For measuring.
  public var isUnthrottled: Bool
  /// Frames that may wait in front of a channel.
  public var queueDepth: Int
  /// Frames a device may have inside at once, for one channel: enough for one that takes a tenth of a second for each at 30
  /// frames/s.
  public var deviceDepth: Int
  /// Bytes a channel's ring of coded pictures may grow to.
  public var ringLimit: Int
  /// Coded pictures of all channels that may wait for readers at a time.
  public var packetLimit: Int
  /// Bytes of picture memory that may be held.
  public var memoryLimit: Int
  /// Bytes of memory there are; no limit allows more.
  public var machineMemory: Int
  /// Name the reports give as the creator of buffers.
  public var programName: String
  /// How long an object may stand still before it is called so, nanoseconds.
  public var starvedAfter: Int64
  /// How long an input holds back its first picture for receivers that are started with it, nanoseconds.
  var startPatience: Int64 = .milliseconds(300)
  /// How long whoever stops an object waits for the task that runs, before it is left to itself, nanoseconds.
  var stopPatience: Int64 = Session.patience
  /// How long a region's start or stop waits until what is drawn is shown, nanoseconds.
  var drawingPatience: Int64 = .seconds(1)
  /// How long a snapshot waits for a frame, nanoseconds.
  var snapshotPatience: Int64 = .seconds(2)
  /// For how long `health` tells of lost frames and of a pace that was not kept, seconds; at most ten.
  var lossSeconds = 10

  /// The vendor's limit until the end of 2022, and its default after that.
  public static let packets = 128
  public static let laterPackets = 512

  public init(
    workers: Int = 0, isUnthrottled: Bool = false, queueDepth: Int = 4, deviceDepth: Int = 3, ringLimit: Int = 16 << 20,
    packetLimit: Int = GraphOptions.packets, memoryLimit: Int = .max, machineMemory: Int = .max,
    programName: String = "mpifs", starvedAfter: Int64 = .milliseconds(1500)
  ) {
    self.workers = workers
    self.isUnthrottled = isUnthrottled
    self.queueDepth = queueDepth
    self.deviceDepth = deviceDepth
    self.ringLimit = ringLimit
    self.packetLimit = packetLimit
    self.memoryLimit = memoryLimit
    self.machineMemory = machineMemory
    self.programName = programName
    self.starvedAfter = starvedAfter
  }
}
