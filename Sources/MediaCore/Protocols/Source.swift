// SPDX-License-Identifier: Apache-2.0

/// What `vi/N/input` names.
public enum InputSpecification: Sendable, Hashable {
  /// The built-in moving test picture.
  case pattern
  /// A media file by path.
  case file(String)
  /// A capture device by path.
  case device(String)

  /// `pattern`, `file:/path`, `/dev/videoN`, or a path to a media file.
  public init?(_ text: String) {
    if text == "pattern" {
      self = .pattern
    } else if text.hasPrefix("file:") {
      let path = text.dropFirst(5)
      guard !path.isEmpty else { return nil }
      self = .file(String(path))
    } else if text.hasPrefix("/dev/") {
      self = .device(text)
    } else if text.hasPrefix("/") {
      self = .file(text)
    } else {
      return nil
    }
  }
}

extension InputSpecification: CustomStringConvertible {
  /// Canonical text, as `vi/N/input` reads back.
  public var description: String {
    switch self {
    case .pattern: "pattern"
    case .file(let path): "file:\(path)"
    case .device(let path): path
    }
  }
}

/// What a channel asks of its source; a source may deliver something else and says so in ``Source/layout``.
public struct SourceRequest: Sendable, Equatable {
  /// Pixels; 0 leaves it to the source.
  public var width: Int
  /// Pixels; 0 leaves it to the source.
  public var height: Int
  public var format: PixelFormat
  /// `format` is only the best one; the source may give what it has without saying that it differs.
  public var isFormatOpen: Bool
  public var frameRate: FrameRate
  /// Memory for pictures the source makes itself; device sources use their own.
  public var allocator: any Allocator
  /// Who the buffers are charged to.
  public var user: UserSlot
  /// Name the pool of buffers carries: `vi0`.
  public var poolName: String
  /// Buffers the graph needs in flight at once.
  public var bufferCount: Int
  /// Where the buffers are to be taken from; `nil` for a pool of the source's own.
  public var pool: Pool?
  /// `auto`, `mmap` or `dmabuf` (devices only).
  public var memory: String
  /// Controls of the device to set before the first picture and whenever it comes back, as text by name.
  public var controls: [String: String]
  /// The format the device itself is to give; `nil` leaves it to the source.
  public var deviceFormat: PixelFormat?

  public init(
    width: Int, height: Int, format: PixelFormat, isFormatOpen: Bool = false, frameRate: FrameRate,
    allocator: any Allocator, user: UserSlot, poolName: String, bufferCount: Int, memory: String = "auto",
    controls: [String: String] = [:], deviceFormat: PixelFormat? = nil, pool: Pool? = nil
  ) {
    self.width = width
    self.height = height
    self.format = format
    self.isFormatOpen = isFormatOpen
    self.frameRate = frameRate
    self.allocator = allocator
    self.user = user
    self.poolName = poolName
    self.bufferCount = bufferCount
    self.memory = memory
    self.controls = controls
    self.deviceFormat = deviceFormat
    self.pool = pool
  }

  /// The size asked for, where the source's own would be `width` x `height`: what is left open is taken from it, with its
  /// shape kept and even.
  public func size(ofOwn width: Int, _ height: Int) -> (width: Int, height: Int) {
    switch (self.width > 0, self.height > 0) {
    case (true, true): (self.width, self.height)
    case (false, false): (width & ~1, height & ~1)
    case (true, false): (self.width, max(2, (self.width * height / max(1, width)) & ~1))
    case (false, true): (max(2, (self.height * width / max(1, height)) & ~1), self.height)
    }
  }

  public static func == (a: SourceRequest, b: SourceRequest) -> Bool {
    a.width == b.width && a.height == b.height && a.format == b.format && a.isFormatOpen == b.isFormatOpen
      && a.frameRate == b.frameRate
      && a.bufferCount == b.bufferCount && a.memory == b.memory && a.allocator.name == b.allocator.name
      && a.controls == b.controls && a.deviceFormat == b.deviceFormat
      && a.pool === b.pool
  }
}

/// Counters a source keeps; read by reports on any thread.
public struct SourceCounters: Sendable {
  /// Pictures the device lost (gaps in its sequence).
  public var droppedByDevice: UInt64 = 0
  /// Pictures that came with an error mark.
  public var damaged: UInt64 = 0
  /// Pictures the device lost because the graph held every buffer.
  public var droppedNoBuffer: UInt64 = 0
  /// Times the device went away and came back.
  public var outages: UInt64 = 0
  /// Times the stream was stopped and started anew after an error or a change of the incoming picture.
  public var restarts: UInt64 = 0
  /// Bytes of pixels the CPU wrote.
  public var bytesCopied: UInt64 = 0
  public init() {}
}

/// Gives frames. One worker thread of the runtime calls `next`; `interrupt` and the read-only properties may be
/// called from any thread.
public protocol Source: AnyObject, Sendable {
  /// What it is, for `active`: `pattern`, `vivid (platform:vivid-000)`, `file big_buck_bunny.mp4 (h264 in mov)`.
  var summary: String { get }
  /// What it really delivers; may change (a source change event, the next file of a loop) between two frames.
  var layout: FrameLayout { get }
  var frameRate: FrameRate { get }
  /// True when the source itself delivers in real time (a camera). False: the runtime paces by `pts`.
  var isLive: Bool { get }
  /// `mmap`, `dmabuf`, `memfd`, ...: memory in use.
  var memoryKind: String { get }
  var counters: SourceCounters { get }
  /// Pools and buffers the source owns, for reports.
  var pool: (any BufferPool)? { get }
  /// Where it delivers something else than was asked and why, one sentence each, for `active`.
  var remarks: [String] { get }
  /// The node of the device it is, links resolved; `nil` for what is no device. May change with an outage.
  var device: String? { get }
  /// More for `active`, in order: `memory_why` and the like.
  var facts: [(key: String, value: String)] { get }
  /// The device's own controls; `nil` for what is no device.
  var controls: (any ControlSurface)? { get }

  /// The next frame; blocks until there is one.
  ///
  /// `pts` counts in microseconds from the first frame for sources that are not live, and is CLOCK_MONOTONIC for live
  /// ones. A source with no free buffer waits for one only if it is not live; live sources lose the picture.
  /// - Returns: `nil` after `interrupt`, or at the end of an input that ends.
  /// - Throws: the input failed; ENODEV when the device is gone (the runtime calls again to wait for its return),
  ///   ENOBUFS when no buffer is free (not live, `wait` false).
  func next() throws(Failure) -> Frame?

  /// Makes a blocked `next` return `nil`, and every later one, for good.
  func interrupt()
}

extension Source {
  public var remarks: [String] { [] }
  public var controls: (any ControlSurface)? { nil }
  public var facts: [(key: String, value: String)] { [] }
  public var device: String? { nil }
}

/// Makes sources.
public protocol SourceFactory: Sendable {
  func handles(_ input: InputSpecification) -> Bool
  /// Opens the input. Does file or device I/O: called on the control lane only.
  /// - Throws: ENOENT, EACCES, EINVAL (not a media file), ENOTSUP (no such codec here), ENODEV, EBUSY.
  func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source
}
