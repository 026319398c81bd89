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
}
