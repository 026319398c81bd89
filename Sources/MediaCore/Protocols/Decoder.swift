// SPDX-License-Identifier: Apache-2.0

/// What a channel asks of a decoder. Size and format come from the stream, not from here.
public struct DecoderConfiguration: Sendable {
  public var codec: Codec
  /// Memory for pictures the decoder makes itself; a device may use its own.
  public var allocator: any Allocator
  /// Who the buffers are charged to.
  public var user: UserSlot
  /// Name the pool of pictures carries: `vdec0`.
  public var poolName: String
  /// Pictures the graph needs in flight at once, besides those the decoder keeps as references.
  public var bufferCount: Int
  /// Where the buffers are to be taken from; `nil` for a pool of the decoder's own.
  public var pool: Pool?

  public init(
    codec: Codec, allocator: any Allocator, user: UserSlot, poolName: String, bufferCount: Int, pool: Pool? = nil
  ) {
    self.codec = codec
    self.allocator = allocator
    self.user = user
    self.poolName = poolName
    self.bufferCount = bufferCount
    self.pool = pool
  }
}

/// Counters a decoder keeps; read by reports on any thread.
public struct DecoderCounters: Sendable, Equatable {
  /// Pictures that came out with an error mark; each is counted before it is given.
  public var damaged: UInt64 = 0
  /// Times the stream changed its size or format and the pictures' buffers were made anew.
  public var layoutChanges: UInt64 = 0
  /// Bytes of pixels the CPU wrote besides the decoding itself.
  public var bytesCopied: UInt64 = 0
  public init() {}
}

/// What a decoder needs to begin in the middle of a stream, and to go on after a loss.
public enum DecoderEntry: Sendable {
  /// A picture decoding can begin at, at the start and after every loss: what refers to something lost must not be given.
  case keyPictures
  /// One at the start; afterwards it makes pictures of what there is.
  case keyPictureOnce
  /// Parameter sets only: it makes pictures of what there is, and gives none before it has some worth showing.
  case anywhere
}

/// Where a decoder puts its pictures, in the order in which they are to be shown. Implemented by a channel.
public protocol FrameSink: ~Copyable {
  mutating func picture(_ frame: consuming Frame)
  /// The unit with this `pts` was taken, and cannot be decoded.
  mutating func lost(_ pts: Int64, _ why: Failure)
}

/// One decoding channel of one engine. Called serially by the channel that owns it; `interrupt` and the read-only
/// properties may be called from any thread.
public protocol Decoder: AnyObject, Sendable {
  /// Engine and version: `ffmpeg h264 (libavcodec 59.37.100)`, `vicodec (/dev/video3)`.
  var engine: String { get }
  /// What comes out; `nil` until the stream has said so. Changes with the stream, between two pictures.
  var layout: FrameLayout? { get }
  /// `memfd`, `udmabuf`, `v4l2:mmap`, ...: memory of the pictures; empty until there are any.
  var memoryKind: String { get }
  /// The pictures' buffers, for reports; another one after a change of layout.
  var pool: (any BufferPool)? { get }
  var counters: DecoderCounters { get }
  /// Where it does something else than was asked and why, one sentence each, for `active`.
  var remarks: [String] { get }
  /// Nothing more comes of it (its device hangs or has failed for good): open another one.
  var isBroken: Bool { get }

  var entry: DecoderEntry { get }

  /// Units it works on at the moment; 0 for engines that do their work within `submit`.
  var inside: Int { get }
  /// Ends a wait in `collect`; `nil` for engines of which nothing comes between two calls.
  var waker: (any Waker)? { get }

  /// Takes one access unit (all of one picture; parameter sets may stand before it). May give zero pictures (they come in
  /// another order than they are shown, the stream has not begun, or a device works on them) or several. Each carries the
  /// `pts` of the unit it was made from.
  ///
  /// Waits for room in the device, and for a free picture where the graph holds them all, at most 500 ms.
  /// - Throws: EILSEQ when the unit cannot be decoded (the next one may be), ETIMEDOUT, ENODEV, what the device says.
  func submit<Sink: FrameSink & ~Copyable>(
    _ unit: UnsafeRawBufferPointer, pts: Int64, into sink: inout Sink
  ) throws(Failure)

  /// Waits until a picture came of what was taken, a unit turned out to be lost, the waker was called, or the time has
  /// come, less up to a millisecond.
  /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
  /// - Throws: what the device says.
  func collect<Sink: FrameSink & ~Copyable>(until deadline: Int64, into sink: inout Sink) throws(Failure)

  /// Gives the pictures that are still inside, at the end of a stream. Afterwards the decoder takes a new one.
  func drain<Sink: FrameSink & ~Copyable>(into sink: inout Sink) throws(Failure)

  /// Forgets everything inside, as after a seek: the next unit begins anew at a key picture.
  func flush() throws(Failure)

  /// Makes a waiting `submit` or `drain` return early, and every later one at once, for good.
  func interrupt()
}

extension Decoder {
  public var remarks: [String] { [] }
  public var isBroken: Bool { false }
  public var entry: DecoderEntry { .keyPictures }
  public var inside: Int { 0 }
  public var waker: (any Waker)? { nil }
  public func collect<Sink: FrameSink & ~Copyable>(until deadline: Int64, into sink: inout Sink) throws(Failure) {}
}

/// Makes decoders of one engine; registered by the program.
public protocol DecoderFactory: Sendable {
  /// The name `backend` takes: `openh264`, `ffmpeg`, `/dev/video3`.
  var name: String { get }
  var codecs: [Codec] { get }
  /// True for hardware: what `backend = auto` prefers.
  var isHardware: Bool { get }
  /// Preference among the software engines for `auto` (higher first).
  var priority: Int { get }
  /// Opens a decoder. May touch a device: called on the control lane or a channel's worker.
  /// - Throws: ENOTSUP, ENODEV, EBUSY, ENOMEM and what the device says.
  func open(_ configuration: DecoderConfiguration) throws(Failure) -> any Decoder
}
