// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// Cisco's openh264 (BSD): the default software engine for H.264.
public struct OpenH264Factory: EncoderFactory {
  public init() {}

  /// Kilobits per second of level 5.2 (ITU-T H.264, table A-1), the highest the library writes.
  static let maximumBitrate = 240_000

  public var name: String { "openh264" }
  public var codecs: [Codec] { [.h264] }
  public var isHardware: Bool { false }
  public var priority: Int { 20 }

  public func capabilities(for codec: Codec) -> EncoderCapabilities {
    codec == .h264 ? OpenH264Encoder.abilities : []
  }

  /// The engine writes Constrained Baseline without CABAC; Main and High with CABAC (High also with 8x8 syntax flags,
  /// though the engine never uses the 8x8 transform). High first: same speed to a few per cent, fewer bits.
  public func profiles(for codec: Codec) -> [String] { codec == .h264 ? ["high", "main", "baseline"] : [] }

  public func settings(for codec: Codec) -> EngineSettings { codec == .h264 ? OpenH264Encoder.settings : [] }

  public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
    try H264Limits.check(configuration, engine: name, profiles: profiles(for: .h264))
    try H264Limits.checkRate(configuration, engine: name)
    try settings(for: .h264).check(configuration.settings, engine: name)
    try OpenH264Syntax.check(configuration, engine: name)
    // The library's macroblock tables are sized by its level 5.2.
    guard configuration.width * configuration.height <= 4096 * 2304 else {
      throw Failure(.outOfRange, "size", on: name, "at most 4096x2304 pixels in all")
    }
  }

  public func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    try validate(configuration)
    return try OpenH264Encoder(configuration)
  }
}

/// Checks that every H.264 engine here shares.
enum H264Limits {
  /// ITU-T H.264, 7.4.3, and H.265, 7.4.7.1: luma of eight bits.
  static let quantisers = 0...51
  /// Below 10 nobody sees a difference, and a still scene that got there makes the first motion expensive.
  static func bounds(live isLive: Bool) -> [EngineSetting] {
    [
      EngineSetting(.minQP, live: isLive, quantisers, usual: 10),
      EngineSetting(.maxQP, live: isLive, quantisers, usual: 51),
      EngineSetting(.minKeyQP, live: isLive, quantisers), EngineSetting(.maxKeyQP, live: isLive, quantisers),
    ]
  }

  /// What another coding alone has.
  static let onlyHEVC = Dictionary(
    uniqueKeysWithValues: [SettingKey<Int>.deblockingTc, .sampleAdaptiveOffset, .intraSmoothing].map {
      ($0.name, "it is H.265's")
    })

  static func checkRate(_ configuration: EncoderConfiguration, engine: String) throws(Failure) {
    guard configuration.rateMode != .smart else {
      throw Failure(
        .notSupported, "rc_mode", on: engine, "cbr, vbr, avbr and fixqp, not \(configuration.rateMode.rawValue)")
    }
  }

  static func check(
    _ configuration: EncoderConfiguration, engine: String, profiles: [String]
  ) throws(Failure) {
    guard configuration.codec == .h264 else {
      throw Failure(.notSupported, "codec", on: engine, "\(engine) encodes h264, not \(configuration.codec.rawValue)")
    }
    guard configuration.profile.isEmpty || profiles.contains(configuration.profile) else {
      throw Failure(.invalidArgument, "profile", on: engine, "one of \(profiles.joined(separator: ", "))")
    }
    guard (16...16384).contains(configuration.width), (16...16384).contains(configuration.height) else {
      throw Failure(.outOfRange, "size", on: engine, "16x16 to 16384x16384")
    }
    guard configuration.width % 2 == 0, configuration.height % 2 == 0 else {
      throw Failure(.invalidArgument, "size", on: engine, "4:2:0 H.264 has even width and height")
    }
    guard configuration.threads >= 1 else { throw Failure(.outOfRange, "threads", on: engine, "1 or more") }
  }
}
