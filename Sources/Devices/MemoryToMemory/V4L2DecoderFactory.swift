// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// The stateful decoders of one V4L2 device, as found when the machine was looked over.
public struct V4L2DecoderFactory: DecoderFactory {
  public let name: String
  public let codecs: [Codec]
  public var isHardware: Bool { true }
  public var priority: Int { 0 }
  private let kernel: any Kernel

  /// - Returns: `nil` when it decodes nothing the runtime knows, or gives no format the runtime knows.
  public init?(_ video: DeviceInventory.Video, kernel: any Kernel = LinuxKernel()) {
    guard case .decoder(let formats) = video.role else { return nil }
    let known = Codec.allCases.filter { codec in formats.contains { Codec($0) == codec } }
    guard !known.isEmpty,
      video.captureFormats.contains(where: { CaptureFormats.pixelFormat(of: $0).map { $0 != .mjpeg } ?? false })
    else { return nil }
    name = video.path
    codecs = known
    self.kernel = kernel
  }

  /// Every decoder of this machine.
  public static func all(in inventory: DeviceInventory, kernel: any Kernel = LinuxKernel()) -> [V4L2DecoderFactory] {
    inventory.videos.compactMap { V4L2DecoderFactory($0, kernel: kernel) }
  }

  public func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder {
    guard codecs.contains(configuration.codec) else {
      throw Failure(
        .notSupported, "codec", on: name,
        "it decodes \(codecs.map(\.rawValue).joined(separator: ", ")), not \(configuration.codec)")
    }
    guard configuration.pool == nil else {
      throw Failure(.notSupported, "pool", on: name, "a device fills buffers of its own, which no other pool can give")
    }
    return try V4L2Decoder(name, configuration, kernel: kernel)
  }
}
