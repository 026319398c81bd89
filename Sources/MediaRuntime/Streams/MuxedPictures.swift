// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// H.264 and H.265 pictures in a container: what its header says comes from the stream's parameter sets, its times are those
/// of the pictures.
final class MuxedPictures: PictureForm, @unchecked Sendable {
  // `@unchecked`: one thread at a time uses it, as the protocol says.

  /// A picture is said to be shown for at most so long: after a pause of the source nobody knows for how long.
  static let longest: Int64 = 90_000
  /// Assumed of a picture that has no neighbour: a 30th of a second.
  static let usual: Int64 = 3000
  /// Bytes of a key picture that are looked into: its parameter sets and its first slice header.
  private static let headSize = 16 << 10

  /// What the header of a file says of all its pictures.
  private struct Format: Equatable {
    var width: Int
    var height: Int
    var profile: Int
    var chromaFormat: Int
    var bitDepth: Int

    init(_ syntax: StreamSyntax) {
      (width, height) = (syntax.width, syntax.height)
      (profile, chromaFormat, bitDepth) = (syntax.profile, syntax.chromaFormat, syntax.bitDepth)
    }
  }

  private let form: StreamForm
  private let container: ContainerFormat
  private let factory: any MuxerFactory
  private let name: String

  private var muxer: (any Muxer)?
  private var parser: PictureParser?
  private var parameterSets: [UInt8] = []
  private var format: Format?
  /// Added to the pictures' times.
  private var shift: Int64 = 0
  private var last: Int64?

  init(_ container: ContainerFormat, _ factory: any MuxerFactory, name: String) {
    self.container = container
    form = container == .fragmentedMP4 ? .fragmentedMP4 : .transportStream
    self.factory = factory
    self.name = name
  }

  func put(
    _ picture: StreamReader.Picture, _ bytes: UnsafeRawBufferPointer, into out: inout [UInt8]
  ) throws(Failure) -> Bool {
    let codec = try form.require(picture.codec)
    if picture.isKey, !takeHeader(bytes, codec) { return false }
    if muxer == nil { muxer = try open(codec) }
    guard let muxer else { return false }
    let duration = min(max(1, picture.interval > 0 ? Self.ticks(picture.interval) : Self.usual), Self.longest)
    try muxer.write(bytes, time: time(picture.pts, duration), duration: duration, isKey: picture.isKey, into: &out)
    return true
  }

  private func open(_ codec: Codec) throws(Failure) -> any Muxer {
    guard let format, !parameterSets.isEmpty else {
      throw Failure(.invalidArgument, "open", on: name, "the stream has no parameter sets that can be read")
    }
    return try factory.open(
      MuxerSetup(
        container: container, codec: codec, parameterSets: parameterSets, width: format.width, height: format.height,
        name: name))
  }

  /// Looks at what a key picture brings.
  /// - Returns: false where the file's header does not hold for it.
  private func takeHeader(_ bytes: UnsafeRawBufferPointer, _ codec: Codec) -> Bool {
    let head = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.headSize))
    let sets = ParameterSets.leading(head, codec)
    guard !sets.elementsEqual(parameterSets) else { return true }
    var parser = self.parser ?? PictureParser(codec)
    _ = parser.parse(head)
    self.parser = parser
    guard let syntax = parser.syntax else { return true }
    // A transport stream has no header: everything about the pictures stands in the pictures.
    if let format, format != Format(syntax), container == .fragmentedMP4 { return false }
    format = Format(syntax)
    parameterSets = Array(sets)
    return true
  }

  /// The picture's time on the container's clock. It always goes on: where a source's clock was set back, the time after it
  /// follows on that before it.
  private func time(_ pts: Int64, _ duration: Int64) -> Int64 {
    let ticks = Self.ticks(pts)
    if let last {
      if ticks + shift <= last { shift = last + duration - ticks }
    } else if container == .fragmentedMP4 || ticks < 0 {
      // A file's time begins at 0: not every player finds its way to another beginning.
      shift = -ticks
    }
    last = ticks + shift
    return ticks + shift
  }

  /// Microseconds in 90000ths of a second, rounded.
  private static func ticks(_ microseconds: Int64) -> Int64 {
    let (whole, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return whole * 90_000 + (rest * 9 + (rest < 0 ? -50 : 50)) / 100
  }
}
