// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore
internal import SystemPackage

/// How the CAPTURE queue of a decoder is set up for the stream the device has read the header of.
struct DecoderPictureSetup {
  let device: V4L2Device
  let type: BufferType
  let configuration: DecoderConfiguration
  /// `nil`: the driver's own, or the allocator's where the driver cannot export its own.
  let wantedMemory: BufferMemory?
  let status: DecoderStatus
  let waker: DeviceWaker
  /// Pictures a device keeps for itself where it does not say.
  private static let usualReferences = 4

  /// Format of the pictures and the visible part of them.
  func format() throws(Failure) -> (VideoFormat, SelectionRectangle) {
    try asFailure { () throws(KernelError) in
      var format = try device.format(of: type)
      if CaptureFormats.pixelFormat(of: format.fourcc) == nil {
        let offered = try device.formats(of: type).map(\.fourcc)
        let best = CaptureFormats.preference.lazy.compactMap { wanted in
          offered.first { CaptureFormats.pixelFormat(of: $0) == wanted }
        }.first
        guard let best else { throw KernelError(.notSupported, "VIDIOC_ENUM_FMT", on: device.path) }
        format.fourcc = best
        format.planes = []
        format = try device.setFormat(format)
      }
      let whole = SelectionRectangle(width: format.width, height: format.height)
      do throws(KernelError) {
        return (format, try device.selection(.compose, of: type))
      } catch {
        guard error.errno == .invalidArgument || error.errno == .inappropriateIOCTLForDevice else { throw error }
        status.remark("the device does not tell the visible part: all of \(whole.width)x\(whole.height) is shown")
        return (format, whole)
      }
    }
  }

  /// - Parameter fallback: size to set where the device has not said that it read one.
  func begin(fallback: (width: Int, height: Int)?) throws(Failure) -> DecodedPictures {
    if let fallback {
      try asFailure { () throws(KernelError) in
        var format = try device.format(of: type)
        guard format.width < fallback.width || format.height < fallback.height else { return }
        (format.width, format.height, format.planes) = (fallback.width, fallback.height, [])
        _ = try device.setFormat(format)
      }
    }
    let (format, visible) = try self.format()
    guard let whole = CaptureFormats.layout(of: format), let layout = whole.showing(visible) else {
      throw Failure(
        .notSupported, "VIDIOC_G_FMT", on: device.path,
        "the driver gives \(format.width)x\(format.height) \(format.fourcc), visible \(visible.width)x\(visible.height)"
      )
    }
    // Where the stream says nothing of its colour the driver repeats what it was told or assumes: the stream is read anyway.
    var meant = layout
    meant.color = .unspecified
    return try allocate(format, meant, visible, try wished())
  }

  /// Pictures to ask for: those the device keeps for itself, and those the graph has.
  func wished() throws(Failure) -> Int {
    // V4L2_CID_MIN_BUFFERS_FOR_CAPTURE
    let needed = try asFailure { () throws(KernelError) in try device.value(ofControl: 0x0098_0927).map { Int($0) } }
    if needed == nil {
      status.remark("the device does not tell how many pictures it needs: \(Self.usualReferences) are assumed")
    }
    return (needed ?? Self.usualReferences) + configuration.bufferCount
  }

  /// The driver's own memory first: it is what the device reads its references from.
  private func allocate(
    _ format: VideoFormat, _ layout: FrameLayout, _ visible: SelectionRectangle, _ count: Int
  ) throws(Failure) -> DecodedPictures {
    let order: [BufferMemory] = wantedMemory == .dmabuf ? [.dmabuf, .mmap] : [.mmap, .dmabuf]
    var refused: Failure?
    for memory in order {
      do throws(Failure) {
        let made = try DecodedPictures(
          device, format: format, layout: layout, visible: visible, memory: memory, count: count,
          configuration: configuration, waker: waker)
        if let refused { status.remark("pictures lie in \(made.kind): \(refused)") }
        return made
      } catch {
        if let refused { throw refused }
        refused = error
      }
    }
    throw refused ?? Failure(.noMemory, "VIDIOC_REQBUFS", on: device.path)
  }
}

extension FrameLayout {
  /// The part of it that is to be seen, its planes starting there; `nil` when it lies outside or cannot start there.
  func showing(_ part: SelectionRectangle) -> FrameLayout? {
    self.part(Rectangle(x: part.left, y: part.top, width: part.width, height: part.height))
  }
}
