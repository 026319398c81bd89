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
  private let offeredProfiles: [Codec: [String]]
  private let obeyed: [Codec: EngineSettings]
  /// Formats of the frames it takes without a conversion, best first.
  public let inputFormats: [PixelFormat]
  private let kernel: any Kernel

  /// Asks the device what it can do: for start-up and the control lane.
  ///
  /// - Returns: `nil` when it encodes nothing the runtime knows.
  public init?(_ video: DeviceInventory.Video, kernel: any Kernel = LinuxKernel()) {
    guard case .encoder(let formats) = video.role else { return nil }
    let known = Codec.allCases.filter { codec in formats.contains { Codec($0) == codec } }
    guard !known.isEmpty, let device = try? V4L2Device(video.path, kernel: kernel) else { return nil }
    name = video.path
    codecs = known
    var found: [Codec: EncoderCapabilities] = [:]
    var profiles: [Codec: [String]] = [:]
    var settings: [Codec: EngineSettings] = [:]
    for codec in known {
      guard let controls = try? EncoderControls(device, codec) else { continue }
      found[codec] = controls.capabilities
      profiles[codec] = controls.profiles
      settings[codec] = controls.settings
    }
    abilities = found
    offeredProfiles = profiles
    obeyed = settings
    let offered = video.outputFormats.compactMap { CaptureFormats.pixelFormat(of: $0) }
    inputFormats = CaptureFormats.preference.filter { $0 != .mjpeg && offered.contains($0) }
    guard !inputFormats.isEmpty else { return nil }
    self.kernel = kernel
  }

  /// Every encoder of this machine.
  public static func all(in inventory: DeviceInventory, kernel: any Kernel = LinuxKernel()) -> [V4L2EncoderFactory] {
    inventory.videos.compactMap { V4L2EncoderFactory($0, kernel: kernel) }
  }

  public func capabilities(for codec: Codec) -> EncoderCapabilities { abilities[codec] ?? [] }

  public func profiles(for codec: Codec) -> [String] { offeredProfiles[codec] ?? [] }

  public func settings(for codec: Codec) -> EngineSettings { obeyed[codec] ?? [] }

  public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
    guard codecs.contains(configuration.codec) else {
      throw Failure(
        .notSupported, "codec", on: name,
        "it makes \(codecs.map(\.rawValue).joined(separator: ", ")), not \(configuration.codec)")
    }
    // Any format may come: what the device does not take is converted.
    if settings(for: configuration.codec)[.bitrate] == nil, configuration.codec != .mjpeg,
      configuration.rateMode != .fixqp
    {
      throw Failure(
        .notSupported, "rc_mode", on: name,
        "it holds no bitrate: its only rate control is fixqp, not \(configuration.rateMode.rawValue)")
    }
    try settings(for: configuration.codec).check(configuration.settings, engine: name)
  }

  public func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    try validate(configuration)
    return try V4L2Encoder(name, configuration, kernel: kernel)
  }
}
