// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import SystemPackage

/// The timings of a digital input (HDMI, SDI): size and rate of what comes in.
public struct VideoTimings: Sendable {
  let raw: v4l2_dv_timings
  public let width: Int
  public let height: Int
  public let isInterlaced: Bool
  /// Frames a second; 0 when the driver does not tell the pixel clock.
  public let framesPerSecond: Double

  init(_ raw: v4l2_dv_timings) {
    self.raw = raw
    let flat = withUnsafePointer(to: raw) { mpifs_timings_from_kernel($0) }
    width = Int(flat.width)
    height = Int(flat.height)
    isInterlaced = flat.interlaced != 0
    framesPerSecond = flat.pixels_per_frame == 0 ? 0 : Double(flat.pixel_clock) / Double(flat.pixels_per_frame)
  }
}

/// What is at a device's input.
public enum VideoSignal: Sendable {
  /// The input has no timings: a camera sensor, an analogue input.
  case notTimed
  case present(VideoTimings)
  /// Nothing usable: ENOLINK no cable or source, ENOLCK not stable, ERANGE beyond what the device takes.
  case absent(KernelError)
}

extension V4L2Device {
  /// Number of the input in use; 0 for devices with one only.
  public func currentInput() throws(KernelError) -> UInt32 {
    var argument: UInt32 = 0
    let result = attempt(mpifs_VIDIOC_G_INPUT, &argument)
    if result == -ENOTTY { return 0 }
    if result < 0 { throw error(result, "VIDIOC_G_INPUT") }
    return argument
  }

  /// Looks at the input (VIDIOC_QUERY_DV_TIMINGS). Changes nothing.
  public func signal() throws(KernelError) -> VideoSignal {
    var argument = v4l2_dv_timings()
    let result = attempt(mpifs_VIDIOC_QUERY_DV_TIMINGS, &argument)
    if result >= 0 { return .present(VideoTimings(argument)) }
    switch -result {
    case ENOTTY, ENODATA, EINVAL: return .notTimed
    case ENOLINK, ENOLCK, ERANGE: return .absent(error(result, "VIDIOC_QUERY_DV_TIMINGS"))
    default: throw error(result, "VIDIOC_QUERY_DV_TIMINGS")
    }
  }

  /// Sets the input to what comes in. Changes the format.
  /// - Throws: EBUSY while buffers are allocated.
  public func adopt(_ timings: VideoTimings) throws(KernelError) {
    var argument = timings.raw
    try control("VIDIOC_S_DV_TIMINGS", mpifs_VIDIOC_S_DV_TIMINGS, &argument)
  }
}
