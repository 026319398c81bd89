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

/// What an engine can do with a single frame.
public struct EncoderCapabilities: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }
  /// Takes a QP with every frame and uses exactly it.
  public static let perFrameQP = EncoderCapabilities(rawValue: 1 << 0)
  /// Its rate is held by the QP of each picture, which the runtime's own rate control decides: it has none of its own, or a worse one.
  /// With codings whose every picture stands alone it is their quality factor.
  public static let heldByQP = EncoderCapabilities(rawValue: 1 << 2)
  /// The quantiser in a picture's header is that of its first block, not the picture's.
  public static let headerHasFirstBlock = EncoderCapabilities(rawValue: 1 << 3)
  /// Takes a picture type with every frame.
  public static let forceType = EncoderCapabilities(rawValue: 1 << 1)
  /// A picture it has just given can be thrown away and its frame given once more: it keeps nothing of it.
  public static let codesAgain = EncoderCapabilities(rawValue: 1 << 3)
}

/// What the rate controller decides for one frame; `nil` leaves it to the engine.
public struct EncodeDirective: Sendable, Equatable {
  public var type: PictureType?
  public var qp: Int?
  /// Quality factor, of codings that have one.
  public var quality: Int?
  /// Size wished for this picture, in bits.
  public var targetBits: Int?
  /// It begins a group by being predicted from the background alone, of engines that keep one.
  public var isHead = false
  public init(type: PictureType? = nil, qp: Int? = nil, quality: Int? = nil, targetBits: Int? = nil) {
    self.type = type
    self.qp = qp
    self.quality = quality
    self.targetBits = targetBits
  }
}

extension Codec {
  /// Every picture stands alone: none is predicted, and a reader may start at any.
  public var isEachPictureKey: Bool { self == .mjpeg }
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
  /// Formats `submit` takes without converting, best first.
  var inputFormats: [PixelFormat] { get }
  /// Bytes of pixels the CPU wrote on the way into the engine, since it was opened; 0 where frames are imported.
  var bytesCopied: UInt64 { get }
  /// Where it does something else than was asked and why, one sentence each, for `active`.
  var remarks: [String] { get }
  /// Nothing more comes of it (its device hangs or has failed for good): open another one.
  var isBroken: Bool { get }
  /// Frames that were given to it and are not answered for; 0 for engines that do their work within `submit`.
  var inside: Int { get }
  /// It keeps the distance of key frames itself, as the configuration asks; else it is told which frames become key frames.
  var placesKeyFrames: Bool { get }
  /// Processor time that threads of its own have used, nanoseconds; 0 for engines that work on the caller's thread.
  var processorTime: Int64 { get }
  /// Ends a wait in `collect`; `nil` for engines that have nothing inside between two calls.
  var waker: (any Waker)? { get }

  /// Encodes one frame. May append zero pictures (the engine skipped the frame or delays) or several, also of frames
  /// that were given before. Picture type and QP are parsed from the bytes by the caller.
  ///
  /// A device that may hold several frames (`depth` of the configuration) comes back as soon as it has room for another
  /// one. It holds the buffers of those inside.
  /// - Throws: what the engine says; the channel goes on with the next frame. Nothing is inside then: what was is lost.
  func submit<Sink: PacketSink & ~Copyable>(
    _ frame: borrowing Frame, _ directive: EncodeDirective, into sink: inout Sink
  ) throws(Failure)

  /// Waits until a picture came of what is inside, or the waker was called; at most as long as a picture may take.
  /// - Throws: as `submit`.
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
  public var placesKeyFrames: Bool { false }
  public var processorTime: Int64 { 0 }
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
  /// The settings an encoder of this codec obeys.
  func settings(for codec: Codec) -> EngineSettings
  /// Checks without opening anything whether the configuration is possible.
  /// - Throws: EINVAL/ERANGE/ENOTSUP with what would be right.
  func validate(_ configuration: EncoderConfiguration) throws(Failure)
  /// Opens an encoder. May touch a device: called on the control lane or a session's worker.
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder
}
