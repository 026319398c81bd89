// SPDX-License-Identifier: Apache-2.0

/// A file format that holds coded pictures with their times.
public enum ContainerFormat: String, Sendable, CaseIterable {
  /// MPEG transport stream (ISO/IEC 13818-1).
  case transportStream
  /// MP4 in fragments (ISO/IEC 14496-12), one picture each.
  case fragmentedMP4
}

/// What a muxer is told before the first picture.
public struct MuxerSetup: Sendable {
  public var container: ContainerFormat
  public var codec: Codec
  /// With start codes.
  public var parameterSets: [UInt8]
  /// Size of the pictures, pixels.
  public var width: Int
  public var height: Int
  /// What players show as the programme's name, where the container has one.
  public var name: String

  public init(
    container: ContainerFormat, codec: Codec, parameterSets: [UInt8], width: Int, height: Int, name: String
  ) {
    self.container = container
    self.codec = codec
    self.parameterSets = parameterSets
    self.width = width
    self.height = height
    self.name = name
  }
}

/// Makes a container's bytes of the coded pictures of one stream, in memory and without waiting. One thread at a time.
public protocol Muxer: AnyObject, Sendable {
  /// Appends what the picture becomes; with the first also what the file begins with.
  /// - Parameters:
  ///   - picture: an access unit with start codes.
  ///   - time: when it is shown, in 90000ths of a second; later than the one before.
  ///   - duration: how long, in the same; at least 1.
  func write(
    _ picture: UnsafeRawBufferPointer, time: Int64, duration: Int64, isKey: Bool, into out: inout [UInt8]
  ) throws(Failure)
}

/// Makes muxers; registered by the program.
public protocol MuxerFactory: Sendable {
  /// Why this build can make none; `nil` where it can.
  var absence: Failure? { get }
  /// Whether `open` comes back at once. Any thread, without waiting.
  var isLoaded: Bool { get }
  /// Loads the libraries it needs, which takes as long as their disk does.
  /// - Throws: ENOTSUP when they are not there.
  func load() throws(Failure)
  /// - Throws: EINVAL for parameter sets that are none, ENOTSUP.
  func open(_ setup: MuxerSetup) throws(Failure) -> any Muxer
}
