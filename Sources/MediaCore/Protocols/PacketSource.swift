// SPDX-License-Identifier: Apache-2.0

/// What `vdec/N/input` names.
public enum CodedInput: Sendable, Hashable {
  /// What is written to the channel's `feed`.
  case feed
  /// A media file or an elementary stream, by absolute path.
  case file(String)

  /// `feed`, `file:/path`, or an absolute path outside `/dev`.
  public init?(_ text: String) {
    if text == "feed" {
      self = .feed
    } else if case .file(let path)? = InputSpecification(text), path.hasPrefix("/") {
      self = .file(path)
    } else {
      return nil
    }
  }
}

extension CodedInput: CustomStringConvertible {
  /// Canonical text, as `vdec/N/input` reads back.
  public var description: String {
    switch self {
    case .feed: "feed"
    case .file(let path): "file:\(path)"
    }
  }
}

/// One access unit on its way from a file to a decoder.
public struct CodedUnit {
  /// Valid until the next call of the source it came from.
  public var bytes: UnsafeRawBufferPointer
  /// When its picture is shown, microseconds from the first picture; `nil` where the stream has no times.
  public var pts: Int64?
  /// How long, microseconds; 0 where unknown.
  public var duration: Int64
  /// The stream ends within it. It has no bytes where nothing of it can be used.
  public var isCutOff: Bool

  public init(_ bytes: UnsafeRawBufferPointer, pts: Int64? = nil, duration: Int64 = 0, isCutOff: Bool = false) {
    self.bytes = bytes
    self.pts = pts
    self.duration = duration
    self.isCutOff = isCutOff
  }
}

/// Gives the access units of one file once, in the order of decoding, as elementary streams have them (start codes, parameter
/// sets in the stream). One thread calls `next`; `interrupt` and the constants may be used from any.
public protocol PacketSource: AnyObject, Sendable {
  /// For `active`: `file clip.mp4 (h264 in mov)`.
  var summary: String { get }
  var codec: Codec { get }
  /// What the container says; `nil` where it says nothing.
  var frameRate: FrameRate? { get }
  /// What the container says its pictures mean, for streams that do not say it themselves.
  var color: ColorDescription { get }
  /// What the container says of the shape of samples; it goes before the stream's word.
  var aspect: SampleAspect { get }
  /// More for `active`, in order.
  var facts: [(key: String, value: String)] { get }
  /// Bytes that belonged to no unit so far.
  var skipped: UInt64 { get }

  /// The next unit; blocks on the file. `nil` at the end, and after `interrupt`.
  func next() throws(Failure) -> CodedUnit?
  /// Makes a blocked `next` return `nil`, and every later one, for good.
  func interrupt()
}

extension PacketSource {
  public var color: ColorDescription { .unspecified }
  public var aspect: SampleAspect { .unknown }
  public var facts: [(key: String, value: String)] { [] }
}

/// Opens coded files.
public protocol PacketSourceFactory: Sendable {
  /// Does file I/O: called on the control lane only.
  /// - Parameter codec: what the channel was told it is; `nil` to find out.
  /// - Throws: ENOENT, EACCES, EISDIR, EINVAL (no video in it, or another coding than was said), ENOTSUP (a coding or a
  ///   container this build does not know).
  func open(_ path: String, codec: Codec?) throws(Failure) -> any PacketSource
}
