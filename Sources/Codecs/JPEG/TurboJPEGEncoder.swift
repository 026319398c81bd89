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

  public func profiles(for codec: Codec) -> [String] { [] }

  public func validate(_ configuration: EncoderConfiguration) throws(Failure) {
    guard configuration.codec == .mjpeg else {
      throw Failure(.notSupported, "codec", on: name, "turbojpeg encodes mjpeg, not \(configuration.codec.rawValue)")
    }
    guard (1...99).contains(configuration.quality) else { throw Failure(.outOfRange, "quality", on: name, "1 to 99") }
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
/// The samples are coded as they come, like hardware encoders do: limited-range video stays limited range. Bitrate,
/// GOP and frame rate mean nothing here: size follows `quality`, and every picture is a key picture.
final class TurboJPEGEncoder: Encoder, @unchecked Sendable {
  static let abilities: EncoderCapabilities = [.liveQuality, .liveFrameRate]

  let engine = JPEGCompressor.engine
  let inputFormats: [PixelFormat] = [.i420, .nv12]
  var capabilities: EncoderCapabilities { TurboJPEGEncoder.abilities }

  private var compressor: JPEGCompressor
  private var configuration: EncoderConfiguration

  init(_ configuration: EncoderConfiguration) throws(Failure) {
    self.configuration = configuration
    compressor = try JPEGCompressor()
  }

  func encode<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure) {
    let pixels = try frame.beginPixels(write: false)
    let picture: UnsafeRawBufferPointer
    do throws(Failure) {
      picture = try compressor.compressSamples(pixels, quality: configuration.quality)
    } catch {
      try frame.endPixels(write: false)
      throw error
    }
    try frame.endPixels(write: false)
    sink.append(picture)
    sink.finishPicture(pts: frame.pts)
  }

  func reconfigure(_ new: EncoderConfiguration) throws(Failure) -> Bool {
    guard new.codec == configuration.codec, new.width == configuration.width, new.height == configuration.height else {
      return false
    }
    guard (1...99).contains(new.quality) else { throw Failure(.outOfRange, "quality", on: "turbojpeg", "1 to 99") }
    configuration = new
    return true
  }

  /// Nothing is ever delayed inside.
  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}
