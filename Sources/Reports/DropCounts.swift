// SPDX-License-Identifier: Apache-2.0

/// Dropped frames by cause, counted since the object was made; never reset. Unit: frames.
public struct DropCounts: Sendable, Equatable {
  /// Dropped by the frame-rate table, as asked.
  public var frameControl: UInt64
  /// The receiver's queue had no room.
  public var queueFull: UInt64
  /// No buffer was free to put the result in.
  public var noBuffer: UInt64
  /// The device or codec failed on it.
  public var deviceError: UInt64
  /// It waited longer than it may.
  public var late: UInt64
  /// The rate controller left it out, as asked.
  public var rateControl: UInt64
  /// Its format or size is not what the receiver takes.
  public var formatMismatch: UInt64
  /// The receiver was not enabled.
  public var disabled: UInt64
  /// It was still waiting when its queue was emptied.
  public var flushed: UInt64

  public init(
    frameControl: UInt64 = 0, queueFull: UInt64 = 0, noBuffer: UInt64 = 0, deviceError: UInt64 = 0, late: UInt64 = 0,
    rateControl: UInt64 = 0, formatMismatch: UInt64 = 0, disabled: UInt64 = 0, flushed: UInt64 = 0
  ) {
    self.frameControl = frameControl
    self.queueFull = queueFull
    self.noBuffer = noBuffer
    self.deviceError = deviceError
    self.late = late
    self.rateControl = rateControl
    self.formatMismatch = formatMismatch
    self.disabled = disabled
    self.flushed = flushed
  }

  /// The count of one cause.
  public subscript(cause: DropCause) -> UInt64 {
    get {
      switch cause {
      case .frameControl: frameControl
      case .queueFull: queueFull
      case .noBuffer: noBuffer
      case .deviceError: deviceError
      case .late: late
      case .rateControl: rateControl
      case .formatMismatch: formatMismatch
      case .disabled: disabled
      case .flushed: flushed
      }
    }
    set {
      switch cause {
      case .frameControl: frameControl = newValue
      case .queueFull: queueFull = newValue
      case .noBuffer: noBuffer = newValue
      case .deviceError: deviceError = newValue
      case .late: late = newValue
      case .rateControl: rateControl = newValue
      case .formatMismatch: formatMismatch = newValue
      case .disabled: disabled = newValue
      case .flushed: flushed = newValue
      }
    }
  }

  /// Frames dropped for whatever cause.
  public var total: UInt64 {
    frameControl + queueFull + noBuffer + deviceError + late
      + rateControl + formatMismatch + disabled + flushed
  }

  /// Frames dropped because processing failed or did not keep up. What was asked for (frame-rate table, rate control) and
  /// what follows from administration (disabled, flushed) is not in it.
  public var lost: UInt64 { queueFull + noBuffer + deviceError + late + formatMismatch }
}
