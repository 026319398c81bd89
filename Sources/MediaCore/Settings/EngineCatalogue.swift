// SPDX-License-Identifier: Apache-2.0

/// What this build and this machine offer: the program registers it once, before the first object is made. The
/// settings table takes its choices from here, the modules their engines.
public struct EngineCatalogue: Sendable {
  public var encoders: [any EncoderFactory]
  public var decoders: [any DecoderFactory]
  public var scalers: [any ScalerFactory]
  public var sources: [any SourceFactory]
  /// What makes raw pictures of those that inputs give otherwise; the first that takes a format is used.
  public var converters: [any PictureConverterFactory]
  /// Readers of coded files, for decoder channels.
  public var packetSources: [any PacketSourceFactory]
  /// Puts coded streams into containers for who reads them; `nil` where nothing does.
  public var muxer: (any MuxerFactory)?
  /// Draws regions into pictures; `nil` where the build has none, which then has no regions.
  public var painter: (any Painter)?
  /// What bitmaps of regions can be besides raw pixels.
  public var pictureReaders: [any PictureFileReader]
  /// Makes what draws lines of text; `nil` where the build has none.
  public var textRenderer: (@Sendable () throws(Failure) -> any TextRenderer)?
  /// Names of the kinds of memory there are, `memfd`, `udmabuf`, heaps; and what gives memory of one. None: only the graph's.
  public var heaps: [String]
  public var makeAllocator: (@Sendable (String) -> any Allocator)?
  /// Says who holds which buffer; `nil` where nobody can.
  public var inspector: (any MemoryInspector)?
  /// Opens displays; `nil` where the build has none.
  public var display: (any DisplayFactory)?
  /// Formats an input can be asked to deliver, default first. I420 leads: it is what the software encoders take as it
  /// is, so that nothing is converted unasked.
  public var inputFormats: [PixelFormat]
  /// Formats a scaler's output can be asked to deliver, default first.
  public var outputFormats: [PixelFormat]
  /// Makes the encoder of `snapshot.jpg`; `nil` where there is none.
  public var picture: (@Sendable () throws(Failure) -> any PictureEncoder)?
  /// The pixels of a frame for `snapshot.yuv`, as ``PackedPicture`` lays them out; `nil` where there is nothing to read them.
  public var packed: (@Sendable (borrowing Frame) throws(Failure) -> [UInt8])?

  public init(
    encoders: [any EncoderFactory] = [], decoders: [any DecoderFactory] = [], scalers: [any ScalerFactory] = [],
    sources: [any SourceFactory] = [], packetSources: [any PacketSourceFactory] = [],
    converters: [any PictureConverterFactory] = [],
    inputFormats: [PixelFormat] = [.i420, .nv12], outputFormats: [PixelFormat] = [.i420, .nv12],
    display: (any DisplayFactory)? = nil, muxer: (any MuxerFactory)? = nil,
    picture: (@Sendable () throws(Failure) -> any PictureEncoder)? = nil,
    packed: (@Sendable (borrowing Frame) throws(Failure) -> [UInt8])? = nil,
    painter: (any Painter)? = nil, pictureReaders: [any PictureFileReader] = [],
    textRenderer: (@Sendable () throws(Failure) -> any TextRenderer)? = nil, heaps: [String] = [],
    makeAllocator: (@Sendable (String) -> any Allocator)? = nil, inspector: (any MemoryInspector)? = nil
  ) {
    self.encoders = encoders
    self.decoders = decoders
    self.scalers = scalers
    self.sources = sources
    self.converters = converters
    self.packetSources = packetSources
    self.display = display
    self.muxer = muxer
    self.inputFormats = inputFormats
    self.outputFormats = outputFormats
    self.picture = picture
    self.packed = packed
    self.painter = painter
    self.pictureReaders = pictureReaders
    self.textRenderer = textRenderer
    self.heaps = heaps
    self.makeAllocator = makeAllocator
    self.inspector = inspector
  }

  /// Codings some engine here can make, in the order of ``Codec``.
  public var codecs: [Codec] { Codec.allCases.filter { codec in encoders.contains { $0.codecs.contains(codec) } } }

  /// Every engine that makes the coding, the one `auto` takes first: hardware before software, then by priority.
  public func encoders(for codec: Codec) -> [any EncoderFactory] {
    encoders.filter { $0.codecs.contains(codec) }.sorted {
      ($0.isHardware ? 1 : 0, $0.priority) > ($1.isHardware ? 1 : 0, $1.priority)
    }
  }

  /// The engines a `backend` means for a coding, the preferred first: `auto`, `software`, or a name. `auto` takes the next
  /// where one refuses.
  public func encoders(backend: String, for codec: Codec) -> [any EncoderFactory] {
    encoders(for: codec).filter { Self.matches(backend, $0.name, isHardware: $0.isHardware) }
  }

  /// The first of them; `nil` when none can make it.
  public func encoder(backend: String, for codec: Codec) -> (any EncoderFactory)? {
    encoders(backend: backend, for: codec).first
  }

  /// Codings some engine here can decode, in the order of ``Codec``.
  public var decodableCodecs: [Codec] {
    Codec.allCases.filter { codec in decoders.contains { $0.codecs.contains(codec) } }
  }

  /// Every engine that decodes the coding, the one `auto` takes first: hardware before software, then by priority.
  public func decoders(for codec: Codec) -> [any DecoderFactory] {
    decoders.filter { $0.codecs.contains(codec) }.sorted {
      ($0.isHardware ? 1 : 0, $0.priority) > ($1.isHardware ? 1 : 0, $1.priority)
    }
  }

  /// The engine a `backend` means for decoding a coding: `auto`, `software`, or a name. `nil` when that one cannot.
  public func decoder(backend: String, for codec: Codec) -> (any DecoderFactory)? {
    decoders(for: codec).first { Self.matches(backend, $0.name, isHardware: $0.isHardware) }
  }

  /// The engines a `backend` means for decoding a coding, the preferred first: `auto` takes the next where one fails.
  public func decoders(backend: String, for codec: Codec) -> [any DecoderFactory] {
    decoders(for: codec).filter { Self.matches(backend, $0.name, isHardware: $0.isHardware) }
  }

  /// The scalers a `backend` means, the preferred first.
  public func scalers(backend: String) -> [any ScalerFactory] {
    scalers.filter { Self.matches(backend, $0.name, isHardware: $0.isHardware) }
      .sorted { $0.isHardware && !$1.isHardware }
  }

  private static func matches(_ backend: String, _ name: String, isHardware: Bool) -> Bool {
    backend == "auto" || backend == name || (backend == "software" && !isHardware)
  }
}
