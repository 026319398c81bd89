// SPDX-License-Identifier: Apache-2.0
public import Reports

/// A video coding format the runtime knows by name.
public typealias Codec = CodedFormat

/// What a coded picture is; taken from the bitstream, not from an engine's flags.
public enum PictureType: String, Sendable {
  /// Starts a decodable sequence.
  case idr
  case i, p, b
}

/// What a channel asks of an encoder. A value: engines compare old and new to see what changed.
public struct EncoderConfiguration: Sendable, Equatable {
  public enum RateMode: String, Sendable, CaseIterable { case cbr, vbr, avbr, fixqp }

  public var codec: Codec
  /// `baseline`, `main`, `high`; empty where the codec has none.
  public var profile: String
  public var width: Int
  public var height: Int
  /// Format of the frames that will come.
  public var format: PixelFormat
  /// Rate of the frames that will come, after frame-rate control.
  public var frameRate: FrameRate
  /// Frames from one IDR picture to the next; at least 1.
  public var gop: Int
  public var rateMode: RateMode
  /// Target in kilobits (1000 bits) per second.
  public var bitrate: Int
  /// JPEG quality factor 1...99.
  public var quality: Int
  /// Threads the engine may use; 1 unless asked, since channels already run side by side.
  public var threads: Int
  /// Quantisers of key and of predicted pictures where the rate mode is `fixqp`, in the coding's own units; `nil` leaves
  /// them to the engine.
  public var keyQuantiser: Int?
  public var predictedQuantiser: Int?
  /// Frames an engine may have inside at once, at least 1; those that do their work within the call have one.
  public var depth: Int

  public init(
    codec: Codec, profile: String, width: Int, height: Int, format: PixelFormat, frameRate: FrameRate, gop: Int,
    rateMode: RateMode, bitrate: Int, quality: Int, threads: Int = 1, keyQuantiser: Int? = nil,
    predictedQuantiser: Int? = nil, depth: Int = 1
  ) {
    self.codec = codec
    self.profile = profile
    self.width = width
    self.height = height
    self.format = format
    self.frameRate = frameRate
    self.gop = gop
    self.rateMode = rateMode
    self.bitrate = bitrate
    self.quality = quality
    self.threads = threads
    self.keyQuantiser = keyQuantiser
    self.predictedQuantiser = predictedQuantiser
    self.depth = depth
  }
}

/// What an engine can do while it runs, declared up front so that a setting is refused rather than swallowed.
public struct EncoderCapabilities: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Takes a QP with every frame and uses exactly it.
  public static let perFrameQP = EncoderCapabilities(rawValue: 1 << 0)
  /// Takes a picture type with every frame.
  public static let forceType = EncoderCapabilities(rawValue: 1 << 1)
  public static let liveBitrate = EncoderCapabilities(rawValue: 1 << 2)
  public static let liveGOP = EncoderCapabilities(rawValue: 1 << 3)
  public static let liveFrameRate = EncoderCapabilities(rawValue: 1 << 4)
  public static let liveQuality = EncoderCapabilities(rawValue: 1 << 5)
  public static let slices = EncoderCapabilities(rawValue: 1 << 6)
  public static let reencode = EncoderCapabilities(rawValue: 1 << 7)
  /// Holds no bitrate by itself: the size of its pictures follows the quantiser.
  public static let noBitrate = EncoderCapabilities(rawValue: 1 << 8)
  /// Takes quantisers for key and predicted pictures and holds them (`fixqp`).
  public static let fixedQuantiser = EncoderCapabilities(rawValue: 1 << 9)
  /// Takes other ones while it runs.
  public static let liveQuantiser = EncoderCapabilities(rawValue: 1 << 10)
}

/// What the rate controller decides for one frame; `nil` leaves it to the engine.
public struct EncodeDirective: Sendable, Equatable {
  public var type: PictureType?
  public var qp: Int?
  /// Size wished for this picture, in bits.
  public var targetBits: Int?
  public init(type: PictureType? = nil, qp: Int? = nil, targetBits: Int? = nil) {
    self.type = type
    self.qp = qp
    self.targetBits = targetBits
  }
}

/// Where an encoder puts its pictures. Implemented by a channel's ring: bytes are copied once, from the engine's
/// memory into the ring.
public protocol PacketSink: ~Copyable {
  /// Appends bytes to the picture being written.
  mutating func append(_ bytes: UnsafeRawBufferPointer)
  /// Ends the picture. `pts` is the pts of the frame it was made from.
  mutating func finishPicture(pts: Int64)
}

/// One encoding channel of one engine. Called serially by the session that owns it, on whatever worker runs the task;
/// implementations need no lock.
public protocol Encoder: AnyObject, Sendable {
  /// Engine and version: `openh264 2.3.1`.
  var engine: String { get }
  var capabilities: EncoderCapabilities { get }
  /// Formats `encode` takes without converting, best first.
  var inputFormats: [PixelFormat] { get }
  /// Bytes of pixels the CPU wrote on the way into the engine, since it was opened; 0 where frames are imported.
  var bytesCopied: UInt64 { get }
  /// Where it does something else than was asked and why, one sentence each, for `active`.
  var remarks: [String] { get }
  /// Nothing more comes of it (its device hangs or has failed for good): open another one.
  var isBroken: Bool { get }
  /// Frames that were given to it and are not answered for; 0 for engines that do their work within `encode`.
  var inside: Int { get }
  /// Ends a wait in `collect`; `nil` for engines that have nothing inside between two calls.
  var waker: (any Waker)? { get }

  /// Encodes one frame. May append zero pictures (the engine skipped the frame or delays) or several, also of frames
  /// that were given before. Picture type and QP are parsed from the bytes by the caller.
  ///
  /// A device that may hold several frames (`depth` of the configuration) comes back as soon as it has room for another
  /// one. It holds the buffers of those inside.
  /// - Throws: what the engine says; the channel goes on with the next frame. Nothing is inside then: what was is lost.
  func encode<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure)

  /// Waits until a picture came of what is inside, or the waker was called; at most as long as a picture may take.
  /// - Throws: as `encode`.
  func collect<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure)

  /// Changes what can be changed while running.
  /// - Returns: false when the change needs a new encoder (the caller reopens and starts at a key frame).
  /// - Throws: when the engine refused; nothing has changed then.
  func reconfigure(_ configuration: EncoderConfiguration) throws(Failure) -> Bool

  /// Pushes out what is delayed inside, before the encoder is dropped.
  func drain<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure)
}

extension Encoder {
  public var bytesCopied: UInt64 { 0 }
  public var remarks: [String] { [] }
  public var isBroken: Bool { false }
  public var inside: Int { 0 }
  public var waker: (any Waker)? { nil }
  public func collect<Sink: PacketSink & ~Copyable>(into sink: inout Sink) throws(Failure) {}
}

/// Ends another thread's wait. Any thread; one that nobody waits for makes the next wait short.
public protocol Waker: AnyObject, Sendable {
  func wake()
}

extension EncoderFactory {
  /// The device its frames wait for, `nil` where the CPU encodes.
  public var device: String? { isHardware ? name : nil }
  public func quantisers(for codec: Codec) -> ClosedRange<Int>? { nil }
  public func usualQuantisers(for codec: Codec) -> (key: Int, predicted: Int)? { nil }

  /// Checks `qp_i` and `qp_p` against what the engine takes.
  public func validateQuantisers(_ configuration: EncoderConfiguration) throws(Failure) {
    for (key, value) in [("qp_i", configuration.keyQuantiser), ("qp_p", configuration.predictedQuantiser)] {
      guard let value else { continue }
      guard let range = quantisers(for: configuration.codec) else {
        throw Failure(.notSupported, key, on: name, "it takes no quantiser for \(configuration.codec)")
      }
      guard range.contains(value) else {
        throw Failure(.outOfRange, key, on: name, "it takes \(range.lowerBound)..\(range.upperBound)")
      }
    }
  }
}

/// Makes encoders of one engine; registered by the program.
public protocol EncoderFactory: Sendable {
  /// The name `backend` takes: `openh264`, `x264`, `turbojpeg`, `/dev/video11`.
  var name: String { get }
  var codecs: [Codec] { get }
  /// True for hardware: what `backend = auto` prefers.
  var isHardware: Bool { get }
  /// Preference among the software engines for `auto` (higher first).
  var priority: Int { get }
  /// What an encoder of this codec could do, without opening one.
  func capabilities(for codec: Codec) -> EncoderCapabilities
  /// Profiles offered for the codec, default first; empty where it has none.
  func profiles(for codec: Codec) -> [String]
  /// Quantisers it takes for the codec, `nil` where it takes none.
  func quantisers(for codec: Codec) -> ClosedRange<Int>?
  /// The ones it uses itself for key and predicted pictures in `fixqp`, where it takes any.
  func usualQuantisers(for codec: Codec) -> (key: Int, predicted: Int)?
  /// Checks without opening anything whether the configuration is possible.
  /// - Throws: EINVAL/ERANGE/ENOTSUP with what would be right.
  func validate(_ configuration: EncoderConfiguration) throws(Failure)
  /// Opens an encoder. May touch a device: called on the control executor or a session's worker.
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder
}
