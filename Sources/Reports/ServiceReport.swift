// SPDX-License-Identifier: Apache-2.0

/// What was done in a service's window: how long its workers were at work, and how much of that the work itself took.
public struct ServiceLoad: Sendable, Equatable {
  /// Time looked back over. Unit: nanoseconds.
  public var window: Int64
  /// Time all workers together spent in turns, waiting within them included. Unit: nanoseconds.
  public var busy: Int64
  /// Processor time of the CPU's workers; of a device, the time in which it had a task. Unit: nanoseconds.
  public var utilised: Int64

  public init(window: Int64, busy: Int64, utilised: Int64) {
    self.window = window
    self.busy = busy
    self.utilised = utilised
  }
}

/// What executes tasks: the CPU's workers, or a device with its own.
public struct ServiceReport: Sendable, Equatable {
  /// `cpu`, or the path of a device, for example `/dev/video11`.
  public var name: String
  /// Threads that do its work now.
  public var workers: Int
  /// Sessions that have work and wait for a worker.
  public var waiting: Int
  /// Tasks begun so far; never goes back.
  public var tasks: UInt64
  /// As it was written: 0 when it takes work.
  public var disabled: UInt32
  /// From how long on a task is slow, microseconds; 0: none is.
  public var slowTask: UInt32
  /// As it was written: how many buffers new pools of pictures made by it have at least; 0: as many as they need.
  public var poolBuffers: UInt32
  /// The window of now; nil while nothing is measured.
  public var load: ServiceLoad?

  public init(
    name: String, workers: Int = 0, waiting: Int = 0, tasks: UInt64 = 0, disabled: UInt32 = 0, slowTask: UInt32 = 0,
    poolBuffers: UInt32 = 0, load: ServiceLoad? = nil
  ) {
    self.name = name
    self.workers = workers
    self.waiting = waiting
    self.tasks = tasks
    self.disabled = disabled
    self.slowTask = slowTask
    self.poolBuffers = poolBuffers
    self.load = load
  }

  /// Its name without a directory: `cpu`, `video11`.
  public var shortName: String { Self.shortName(of: name) }

  /// The last part of a device's path.
  public static func shortName(of name: String) -> String {
    guard let slash = name.utf8.lastIndex(of: UInt8(ascii: "/")) else { return name }
    let last = name[name.utf8.index(after: slash)...]
    return last.isEmpty ? name : String(last)
  }
}

/// All services and what is set for them together.
public struct ServicesReport: Sendable, Equatable {
  /// Window of their load, milliseconds; 0: nothing is measured.
  public var loadWindow: UInt32
  /// As it was written: 0 when slow tasks are not logged.
  public var timing: UInt32
  /// The CPU's first, then the devices by name.
  public var services: [ServiceReport]

  public init(loadWindow: UInt32 = 0, timing: UInt32 = 0, services: [ServiceReport] = []) {
    self.loadWindow = loadWindow
    self.timing = timing
    self.services = services
  }
}

/// A number that can be set for all services, or for one.
public enum ServiceSetting: Sendable, Equatable, CaseIterable {
  /// Of all: window of the load, milliseconds; 0 measures nothing.
  case loadWindow
  /// Of all: other than 0 logs slow tasks.
  case timing
  /// Of one: other than 0 gives it no further work.
  case disabled
  /// Of one: from how long on a task is slow, microseconds; 0: none is.
  case slowTask
  /// Of one: how many buffers new pools of pictures made by it have at least.
  case poolBuffers
}

/// Which coded formats can be made and read here, by software or by a device.
public struct CodingReport: Sendable, Equatable {
  public var encodes: [CodedFormat]
  public var decodes: [CodedFormat]

  public init(encodes: [CodedFormat] = [], decodes: [CodedFormat] = []) {
    self.encodes = encodes
    self.decodes = decodes
  }
}
