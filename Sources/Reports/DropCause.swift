// SPDX-License-Identifier: Apache-2.0

/// Why a frame was dropped. The raw value is the name users see.
public enum DropCause: String, Sendable, Equatable, CaseIterable {
  /// Dropped by the frame-rate table, as asked.
  case frameControl = "frame_control"
  /// The receiver's queue had no room.
  case queueFull = "queue_full"
  /// No buffer was free to put the result in.
  case noBuffer = "no_buffer"
  /// The device or codec failed on it.
  case deviceError = "device_error"
  /// It waited longer than it may.
  case late
  /// The rate controller left it out, as asked.
  case rateControl = "rate_control"
  /// Its format or size is not what the receiver takes.
  case formatMismatch = "format_mismatch"
  /// The receiver was not enabled.
  case disabled
  /// It was still waiting when its queue was emptied.
  case flushed

  /// Its place among all causes.
  @inlinable public var index: Int {
    switch self {
    case .frameControl: 0
    case .queueFull: 1
    case .noBuffer: 2
    case .deviceError: 3
    case .late: 4
    case .rateControl: 5
    case .formatMismatch: 6
    case .disabled: 7
    case .flushed: 8
    }
  }

  /// Whether processing failed or did not keep up. The others were asked for (frame-rate table, rate control) or
  /// follow from administration (disabled, flushed).
  public var isLoss: Bool {
    switch self {
    case .queueFull, .noBuffer, .deviceError, .late, .formatMismatch: true
    case .frameControl, .rateControl, .disabled, .flushed: false
    }
  }
}
