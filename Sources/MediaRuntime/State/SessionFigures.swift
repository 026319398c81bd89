// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The work queue of one channel, of one moment. Times in microseconds.
public struct SessionFigures: Sendable, Equatable {
  /// The object it belongs to.
  public var path: String
  /// The service whose workers it uses.
  public var service: String
  /// Tasks that wait.
  public var pending: Int
  /// When the running task was begun, CLOCK_MONOTONIC; `nil` when none runs.
  public var runningSince: Int64?
  /// The running task is over its time.
  public var isOverdue: Bool
  /// Tasks that ended, by how.
  public var done: UInt64
  public var failed: UInt64
  public var timedOut: UInt64
  public var lastWait: Int64
  public var meanWait: Int64
  public var longestWait: Int64
  public var lastRun: Int64
  public var meanRun: Int64
  public var longestRun: Int64
}

extension MediaGraph {
  /// The sessions of all channels that have one, in the order of the configuration. Takes no lock of the frame path.
  public func sessionFigures() -> [SessionFigures] {
    all.compactMap { object in
      // An output's work is done by its group's session.
      guard object.core.ownsSession else { return nil }
      let session = object.session
      let work = object.node.work.figures()
      let since = session.runningSince
      return SessionFigures(
        path: "\(object.path)", service: session.service.name, pending: object.node.input.waiting,
        runningSince: since == 0 ? nil : since / 1000, isOverdue: session.isStuck, done: work.done,
        failed: work.failed, timedOut: work.timedOut, lastWait: work.lastWait / 1000,
        meanWait: work.tasks == 0 ? 0 : work.totalWait / Int64(clamping: work.tasks) / 1000,
        longestWait: work.longestWait / 1000, lastRun: work.lastRun / 1000, meanRun: work.meanRun / 1000,
        longestRun: work.longestRun / 1000)
    }
  }
}
