// SPDX-License-Identifier: Apache-2.0

/// The work queue of one channel, of one moment. Times in microseconds.
public struct SessionReport: Sendable, Equatable {
  /// The object it belongs to.
  public var path: String
  /// Number of that object's node, unique and never used again while the process lives.
  public var id: Int
  /// The nodes whose buffers it works with: its object's, and those of a group's outputs.
  public var nodes: [Int]
  /// Its object is enabled.
  public var isRunning: Bool
  /// The service whose workers it uses.
  public var service: String
  /// Path of the device it works with; nil where the CPU does all.
  public var device: String?
  /// Tasks that wait.
  public var pending: Int
  /// When the running task was begun, CLOCK_MONOTONIC; nil when none runs.
  public var runningSince: Int64?
  /// The running task is over its time.
  public var isOverdue = false
  /// Tasks begun so far.
  public var begun: UInt64 = 0
  /// Tasks that ended, by how.
  public var done: UInt64 = 0
  public var failed: UInt64 = 0
  public var timedOut: UInt64 = 0
  public var lastWait: Int64 = 0
  public var meanWait: Int64 = 0
  public var longestWait: Int64 = 0
  public var lastRun: Int64 = 0
  public var meanRun: Int64 = 0
  public var longestRun: Int64 = 0

  public init(
    path: String, id: Int, nodes: [Int] = [], isRunning: Bool = true, service: String, device: String? = nil,
    pending: Int = 0, runningSince: Int64? = nil
  ) {
    self.path = path
    self.id = id
    self.nodes = nodes.isEmpty ? [id] : nodes
    self.isRunning = isRunning
    self.service = service
    self.device = device
    self.pending = pending
    self.runningSince = runningSince
  }
}
