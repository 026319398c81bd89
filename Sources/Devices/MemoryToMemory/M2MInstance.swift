// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// One open of a memory-to-memory device: what encoders, decoders and scalers do alike with it.
struct M2MInstance {
  let device: V4L2Device
  /// The queue that takes in, and the one that gives out.
  let output: BufferType
  let capture: BufferType
  /// Card, driver and version, for reports.
  let engine: String

  /// - Parameter role: what it is opened as: `encoder`.
  /// - Throws: EBUSY while an instance that hung is still waited for; EINVAL when the device is of another kind; what the
  ///   kernel says.
  init(_ path: String, as role: String, _ kernel: any Kernel) throws(Failure) {
    try HangingDevices.check(path)
    let device = try asFailure { () throws(KernelError) in try V4L2Device(path, kernel: kernel) }
    let about = device.capability
    guard let capture = device.captureType, let output = device.outputType, device.isMemoryToMemory else {
      throw Failure(.invalidArgument, "open", on: path, "\(about.card) is no \(role)")
    }
    (self.device, self.output, self.capture) = (device, output, capture)
    engine = "\(about.card) (\(about.driver) \(about.version))"
  }

  var path: String { device.path }

  private func offered(_ type: BufferType) throws(Failure) -> [FourCC] {
    try asFailure { () throws(KernelError) in try device.formats(of: type).map(\.fourcc) }
  }

  /// Formats of pictures a queue has and the runtime knows, those first that cost the graph least.
  func pixelFormats(of type: BufferType) throws(Failure) -> [PixelFormat] {
    let known = try offered(type).compactMap { CaptureFormats.pixelFormat(of: $0) }
    return CaptureFormats.preference.filter { $0 != .mjpeg && known.contains($0) }
  }

  /// Sets a queue to pictures of this format and size.
  /// - Parameter isExact: else they may be larger.
  /// - Throws: ENOTSUP, or ERANGE for a size that is too large; what the kernel says.
  func set(
    _ type: BufferType, to pixels: PixelFormat, _ width: Int, _ height: Int, isExact: Bool
  ) throws(Failure) -> VideoFormat {
    let verb = type.isOutput ? "take" : "make"
    guard let fourcc = try offered(type).first(where: { CaptureFormats.pixelFormat(of: $0) == pixels }) else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: path, "the device does not \(verb) \(pixels)")
    }
    let format = try asFailure { () throws(KernelError) in
      try device.setFormat(VideoFormat(type: type, fourcc: fourcc, width: width, height: height))
    }
    let fits =
      isExact ? format.width == width && format.height == height : format.width >= width && format.height >= height
    guard format.fourcc == fourcc, fits else {
      throw Failure(
        isExact ? .notSupported : .outOfRange, "VIDIOC_S_FMT", on: path,
        "\(width)x\(height) asked, the device \(verb)s \(format.width)x\(format.height)")
    }
    return format
  }

  /// The format a queue has for this coding.
  /// - Parameter verb: what is done to it, for the refusal: `decode`.
  func fourcc(_ type: BufferType, of codec: Codec, toBe verb: String) throws(Failure) -> FourCC {
    let offered = try offered(type)
    guard let fourcc = codec.fourccs.first(where: offered.contains) else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: path, "the device does not \(verb) \(codec)")
    }
    return fourcc
  }

  /// Sets a queue to what is coded.
  func set(_ format: VideoFormat, of codec: Codec, toBe verb: String) throws(Failure) -> VideoFormat {
    let given = try asFailure { () throws(KernelError) in try device.setFormat(format) }
    guard Codec(given.fourcc) == codec else {
      throw Failure(.notSupported, "VIDIOC_S_FMT", on: path, "the device does not \(verb) \(codec)")
    }
    return given
  }
}

extension QueueBuffer {
  /// A number that goes in with an OUTPUT buffer in place of its time and comes out with what was made of it. Seconds and
  /// microseconds below a million: drivers that count in nanoseconds or in microseconds give it back whole.
  var cookie: Int64 {
    get { timestamp.seconds * 1_000_000 + timestamp.microseconds }
    set { timestamp = (newValue / 1_000_000, newValue % 1_000_000) }
  }
}
