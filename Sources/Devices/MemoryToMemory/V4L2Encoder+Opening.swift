// SPDX-License-Identifier: Apache-2.0
internal import LinuxMedia
internal import MediaCore

/// How an encoder's two queues get their formats.
extension V4L2Encoder {
  static func setCoded(
    _ device: V4L2Device, _ type: BufferType, _ configuration: EncoderConfiguration
  ) throws(Failure) -> VideoFormat {
    // Coded format first: it decides which raw ones there are. The size of a coded buffer is a wish; s5p-mfc has none of
    // its own. A picture that does not fit comes out as damaged, so it is as large as a raw one, but at most 4 MiB.
    let size = min(max(256 * 1024, configuration.width * configuration.height * 3 / 2), 4 << 20)
    let offered = try asFailure { () throws(KernelError) in try device.formats(of: type).map(\.fourcc) }
    guard let fourcc = configuration.codec.fourccs.first(where: offered.contains) else {
      throw Failure(
        .notSupported, "VIDIOC_ENUM_FMT", on: device.path, "the device does not make \(configuration.codec)")
    }
    let format = try asFailure { () throws(KernelError) in
      try device.setFormat(
        VideoFormat(
          type: type, fourcc: fourcc, width: configuration.width, height: configuration.height,
          planes: [.init(size: size)]))
    }
    guard Codec(format.fourcc) == configuration.codec else {
      throw Failure(.notSupported, "VIDIOC_S_FMT", on: device.path, "the device does not make \(configuration.codec)")
    }
    return format
  }

  static func setRaw(
    _ device: V4L2Device, _ type: BufferType, _ configuration: EncoderConfiguration, _ pixels: PixelFormat
  ) throws(Failure) -> VideoFormat {
    let offered = try asFailure { () throws(KernelError) in try device.formats(of: type) }
    guard let fourcc = offered.map(\.fourcc).first(where: { CaptureFormats.pixelFormat(of: $0) == pixels }) else {
      throw Failure(.notSupported, "VIDIOC_ENUM_FMT", on: device.path, "the device does not take \(pixels)")
    }
    let format = try asFailure { () throws(KernelError) in
      try device.setFormat(
        VideoFormat(type: type, fourcc: fourcc, width: configuration.width, height: configuration.height))
    }
    guard format.fourcc == fourcc, format.width >= configuration.width, format.height >= configuration.height else {
      throw Failure(
        .outOfRange, "VIDIOC_S_FMT", on: device.path,
        "\(configuration.width)x\(configuration.height) asked, the device takes \(format.width)x\(format.height)")
    }
    return format
  }
}
