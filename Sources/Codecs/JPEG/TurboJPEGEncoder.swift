// SPDX-License-Identifier: Apache-2.0
public import MediaCore

/// Motion JPEG with libturbojpeg (BSD/IJG).
public struct TurboJPEGFactory: EncoderFactory {
  public init() {}

  public var name: String { "turbojpeg" }
  public var codecs: [Codec] { [.mjpeg] }
  public var isHardware: Bool { false }
  public var priority: Int { 20 }

  public func capabilities(for codec: Codec) -> EncoderCapabilities {
    codec == .mjpeg ? TurboJPEGEncoder.abilities : []
  }

  public func settings(for codec: Codec) -> EngineSettings { codec == .mjpeg ? TurboJPEGEncoder.settings : [] }

  public func profiles(for codec: Codec) -> [String] { [] }

  public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
    guard configuration.codec == .mjpeg else {
      throw Failure(.notSupported, "codec", on: name, "turbojpeg encodes mjpeg, not \(configuration.codec.rawValue)")
    }
    try settings(for: .mjpeg).check(configuration.settings, engine: name)
    guard (2...16384).contains(configuration.width), (2...16384).contains(configuration.height) else {
      throw Failure(.outOfRange, "size", on: name, "2x2 to 16384x16384")
    }
  }

  public func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    try validate(configuration)
    return try TurboJPEGEncoder(configuration)
  }
}

/// One motion JPEG channel of libturbojpeg.
///
/// The samples are coded as they come, like hardware encoders do: whoever gives the frames makes them what JPEG has. GOP means nothing here: every picture is a key
/// picture, and its size follows the quality factor that comes with it, or `quality`.
final class TurboJPEGEncoder: Encoder, @unchecked Sendable {
  static let settings = EngineSettings(
    [
      EngineSetting(.quality, live: true, 1...99, usual: 70), EngineSetting(.codedRate, live: true),
    ] + EngineSettings.heldByQuality(1...99) + EngineSettings.liveMode + [
      EngineSetting(.maxReencodes, live: true, usual: 1)
    ])

  static let abilities: EncoderCapabilities = [.heldByQP, .codesAgain]

  let engine = JPEGCompressor.engine
  let inputFormats: [PixelFormat] = [.i420, .nv12]
  var capabilities: EncoderCapabilities { Self.abilities }

  private var compressor: JPEGCompressor
  private var configuration: EncoderConfiguration
  private var quality: Int { configuration.settings[.quality] ?? 70 }

  init(_ configuration: EncoderConfiguration) throws(Failure) {
    self.configuration = configuration
    compressor = try JPEGCompressor()
  }

  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    let pixels = try frame.beginPixels(write: false)
    let picture: UnsafeRawBufferPointer
    do throws(Failure) {
      picture = try compressor.compressSamples(pixels, quality: directive.quality ?? quality)
    } catch {
      try frame.endPixels(write: false)
      throw error
    }
    try frame.endPixels(write: false)
    sink.append(picture)
    sink.finishPicture(pts: frame.pts)
  }

  func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
    guard new.isLive(from: configuration, obeyed: Self.settings) else { return false }
    try Self.settings.check(new.settings, engine: "turbojpeg")
    configuration = new
    return true
  }

  /// Nothing is ever delayed inside.
  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}
