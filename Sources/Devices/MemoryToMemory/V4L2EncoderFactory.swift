// SPDX-License-Identifier: Apache-2.0
public import LinuxMedia
public import MediaCore

/// The encoders of one V4L2 device, as found when the machine was looked over.
public struct V4L2EncoderFactory: EncoderFactory {
  public let name: String
  public let codecs: [Codec]
  public var isHardware: Bool { true }
  public var priority: Int { 0 }
  private let abilities: [Codec: EncoderCapabilities]
  private let kernel: any Kernel

  /// Asks the device what it can do: for start-up and the control executor.
  ///
  /// - Returns: `nil` when it encodes nothing the runtime knows.
  public init?(_ video: DeviceInventory.Video, kernel: any Kernel = LinuxKernel()) {
    guard case .encoder(let formats) = video.role else { return nil }
    let known = formats.compactMap { Codec($0) }
    guard !known.isEmpty, let device = try? V4L2Device(video.path, kernel: kernel) else { return nil }
    name = video.path
    codecs = known
    var found: [Codec: EncoderCapabilities] = [:]
    for codec in known { found[codec] = (try? EncoderControls(device, codec))?.capabilities ?? [] }
    abilities = found
    self.kernel = kernel
  }

  /// Every encoder of this machine.
  public static func all(in inventory: DeviceInventory, kernel: any Kernel = LinuxKernel()) -> [V4L2EncoderFactory] {
    inventory.videos.compactMap { V4L2EncoderFactory($0, kernel: kernel) }
  }

  public func capabilities(for codec: Codec) -> EncoderCapabilities { abilities[codec] ?? [] }

  public func profiles(for codec: Codec) -> [String] { codec == .h264 ? ["baseline", "main", "high"] : [] }

  public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
    guard codecs.contains(configuration.codec) else {
      throw Failure(
        .notSupported, "codec", on: name,
        "it makes \(codecs.map(\.rawValue).joined(separator: ", ")), not \(configuration.codec)")
    }
  }

  public func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    try validate(configuration)
    return try V4L2Encoder(name, configuration, kernel: kernel)
  }
}
