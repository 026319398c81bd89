// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore

/// What an object is doing.
struct RunState: Sendable {
  enum Kind: Sendable, Equatable {
    case stopped
    /// Its files and devices are being opened; for all who look it is stopped.
    case starting
    case running
    /// The source has come to its end, as asked.
    case ended
    case failed(String)
  }
  let kind: Kind
  /// CLOCK_MONOTONIC nanoseconds.
  let since: Int64
  init(_ kind: Kind) {
    self.kind = kind
    self.since = Clock.now()
  }

  /// Started, and perhaps failed since.
  var isRunning: Bool { kind != .stopped && kind != .starting }
}

extension Published where Value == RunState {
  /// For workers: takes the state over unless the object is stopped, which only an administrator ends.
  /// - Returns: false when it is stopped.
  @discardableResult
  func change(to kind: RunState.Kind) -> Bool {
    update { $0.kind != .stopped ? RunState(kind) : nil }
  }
}

/// What an object that cannot be started, or hangs there, waits for.
struct Awaited: Sendable {
  let what: String
  /// CLOCK_MONOTONIC nanoseconds.
  let since: Int64
}

/// Settings of an object and how often they were changed, to see what was made for older ones.
struct NumberedSettings: Sendable {
  let settings: ObjectSettings
  let version: UInt64
  init(_ settings: ObjectSettings, version: UInt64) {
    self.settings = settings
    self.version = version
  }
}
