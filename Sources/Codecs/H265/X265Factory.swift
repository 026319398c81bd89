// SPDX-License-Identifier: Apache-2.0
#if X265
  public import MediaCore

  /// x265 (GPL): H.265 in software.
  public struct X265Factory: EncoderFactory {
    public init() {}

    public var name: String { "x265" }
    public var codecs: [Codec] { [.h265] }
    public var isHardware: Bool { false }
    public var priority: Int { 10 }

    public func capabilities(for codec: Codec) -> EncoderCapabilities { codec == .h265 ? X265Encoder.abilities : [] }

    public func profiles(for codec: Codec) -> [String] { codec == .h265 ? ["main"] : [] }

    public func settings(for codec: Codec) -> EngineSettings { codec == .h265 ? X265Encoder.settings : [] }

    public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
      guard configuration.codec == .h265 else {
        throw Failure(.notSupported, "codec", on: name, "x265 encodes h265, not \(configuration.codec.rawValue)")
      }
      try H264Limits.checkRate(configuration, engine: name)
      let profiles = profiles(for: .h265)
      guard configuration.profile.isEmpty || profiles.contains(configuration.profile) else {
        throw Failure(.invalidArgument, "profile", on: name, "one of \(profiles.joined(separator: ", "))")
      }
      try settings(for: .h265).check(configuration.settings, engine: name)
      try X265Limits.check(configuration, engine: name)
    }

    public func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
      try validate(configuration)
      return try X265Encoder(configuration)
    }
  }

  /// What the library codes (`x265_check_params`, `determineLevel`).
  enum X265Limits {
    /// Side of the blocks a picture is cut into (`ctu`): 32 with the preset, 16 at least. A picture has one in either direction.
    static let usualBlock = 32
    static let smallestBlock = 16
    /// Blocks of 16 are for the levels below 5 (A.4.1): sides up to the root of eight times level 4.1's picture, which are
    /// coded in steps of eight.
    private static let longestOfSmallBlocks = 4216

    static func block(width: Int, height: Int) -> Int {
      min(width, height) < usualBlock ? smallestBlock : usualBlock
    }

    static func check(_ configuration: EncoderConfiguration, engine: String) throws(Failure) {
      let (width, height) = (configuration.width, configuration.height)
      guard (16...16384).contains(width), (16...16384).contains(height) else {
        throw Failure(.outOfRange, "size", on: engine, "16x16 to 16384x16384")
      }
      guard width % 2 == 0, height % 2 == 0 else {
        throw Failure(.invalidArgument, "size", on: engine, "4:2:0 H.265 has even width and height")
      }
      // Level 6.2, the highest.
      guard width * height <= 8192 * 4352 else {
        throw Failure(.outOfRange, "size", on: engine, "at most 8192x4352 pixels in all")
      }
      guard block(width: width, height: height) != smallestBlock || max(width, height) <= longestOfSmallBlocks else {
        throw Failure(
          .outOfRange, "size", on: engine,
          "a side of less than \(usualBlock) allows the other one \(longestOfSmallBlocks) at most")
      }
      guard configuration.threads >= 1 else { throw Failure(.outOfRange, "threads", on: engine, "1 or more") }
    }
  }
#endif
