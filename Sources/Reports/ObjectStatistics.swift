// SPDX-License-Identifier: Apache-2.0

/// What every object counts, since it was made. Counters never go back while the object lives.
public struct ObjectStatistics: Sendable, Equatable {
  /// Frames that arrived, the dropped ones included.
  public var framesIn: UInt64 = 0
  /// Frames or coded pictures that left.
  public var framesOut: UInt64 = 0
  /// Frames that left a second, over the last second.
  public var framesPerSecond = 0.0
  /// Frames dropped, by cause.
  public var dropped = DropCounts()
  /// Frames waiting or being worked on: frames in = frames out + dropped + in flight.
  public var inFlight = 0
  /// Frames in its queue now.
  public var queueDepth = 0
  /// Frames its queue can hold.
  public var queueCapacity = 0
  /// Time the last frame's work took, microseconds.
  public var lastMicroseconds = 0
  /// Mean time of a frame's work, microseconds.
  public var meanMicroseconds = 0
  /// Longest time of a frame's work, microseconds.
  public var maximumMicroseconds = 0
  /// Time of all frames' work together, microseconds.
  public var workMicroseconds: UInt64 = 0
  /// Coded bytes that left; nil for an object that gives frames.
  public var bytesOut: UInt64?
  /// Picture bytes the CPU copied because they could not be handed over.
  public var bytesCopied: UInt64 = 0
  /// When the object was made, CLOCK_MONOTONIC, microseconds.
  public var createdMicroseconds: Int64
  /// Counts all objects the process has made; tells a new object from its predecessor of the same number.
  public var generation: UInt64
  /// False for what no frames come to: it has none of these counts.
  public var takesFrames: Bool

  public init(createdMicroseconds: Int64, generation: UInt64, takesFrames: Bool = true) {
    self.createdMicroseconds = createdMicroseconds
    self.generation = generation
    self.takesFrames = takesFrames
  }

  /// The same, declared for `stats` and `metrics`.
  public var statistics: [Statistic] {
    var all = [
      Statistic(
        "created_us", .gauge, unit: .microseconds, "When the object was made, CLOCK_MONOTONIC.", createdMicroseconds),
      Statistic("generation", .gauge, "Counts all objects made; tells a new one from its predecessor.", generation),
    ]
    guard takesFrames else { return all }
    all += [
      Statistic("frames_in", .counter, metric: "input_frames", "Frames that arrived, dropped ones included.", framesIn),
      Statistic("frames_out", .counter, metric: "output_frames", "Frames that left.", framesOut),
      Statistic("frames_per_second", .gauge, "Frames that left, over the last second.", framesPerSecond),
      Statistic("dropped", .counter, in: .onlyStats, "Frames dropped.", dropped.total),
    ]
    for cause in DropCause.allCases {
      all.append(
        Statistic(
          cause.statisticName, .counter, metric: "dropped_frames", cause: cause.rawValue, "Frames dropped, by cause.",
          dropped[cause]))
    }
    all += [
      Statistic(
        "in_flight", .gauge, unit: .frames, metric: "in_flight_frames", "Frames waiting or being worked on.", inFlight),
      Statistic("queue_depth", .gauge, unit: .frames, metric: "queue_frames", "Frames in the input queue.", queueDepth),
      Statistic(
        "queue_capacity", .gauge, unit: .frames, metric: "queue_capacity_frames", "Frames the input queue can hold.",
        queueCapacity),
      Statistic(
        "time_last_us", .gauge, unit: .microseconds, metric: "last_work_seconds", "Time of the last frame's work.",
        lastMicroseconds),
      Statistic(
        "time_mean_us", .gauge, unit: .microseconds, metric: "mean_work_seconds", "Mean time of a frame's work.",
        meanMicroseconds),
      Statistic(
        "time_max_us", .gauge, unit: .microseconds, metric: "max_work_seconds", "Longest time of a frame's work.",
        maximumMicroseconds),
      Statistic(
        "time_total_us", .counter, unit: .microseconds, metric: "work_seconds", in: .onlyMetrics,
        "Time of all frames' work.",
        workMicroseconds),
    ]
    if let bytesOut {
      all.append(Statistic("bytes_out", .counter, metric: "output_bytes", "Coded bytes that left.", bytesOut))
    }
    all.append(
      Statistic("bytes_copied", .counter, metric: "copied_bytes", "Picture bytes copied by the CPU.", bytesCopied))
    return all
  }
}

extension DropCause {
  /// Its name in `stats`.
  var statisticName: StaticString {
    switch self {
    case .frameControl: "dropped_frame_control"
    case .queueFull: "dropped_queue_full"
    case .noBuffer: "dropped_no_buffer"
    case .deviceError: "dropped_device_error"
    case .late: "dropped_late"
    case .rateControl: "dropped_rate_control"
    case .formatMismatch: "dropped_format_mismatch"
    case .disabled: "dropped_disabled"
    case .flushed: "dropped_flushed"
    }
  }
}
