// SPDX-License-Identifier: Apache-2.0
#if X264
  public import MediaCore

  /// x264 (GPL): better pictures for the same bits than openh264, about as fast.
  public struct X264Factory: EncoderFactory {
    public init() {}

    public var name: String { "x264" }
    public var codecs: [Codec] { [.h264] }
    public var isHardware: Bool { false }
    /// Below openh264: the default stays the one that every build has.
    public var priority: Int { 10 }

    public func capabilities(for codec: Codec) -> EncoderCapabilities { codec == .h264 ? X264Encoder.abilities : [] }

    public func profiles(for codec: Codec) -> [String] { codec == .h264 ? ["high", "main", "baseline"] : [] }

    public func settings(for codec: Codec) -> EngineSettings { codec == .h264 ? X264Encoder.settings : [] }

    public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
      try H264Limits.check(configuration, engine: name, profiles: profiles(for: .h264))
      try H264Limits.checkRate(configuration, engine: name)
      try settings(for: .h264).check(configuration.settings, engine: name)
    }

    public func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
      try validate(configuration)
      return try X264Encoder(configuration)
    }
  }
#endif
