// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore

/// Reads a coded stream in each of its forms, without a channel and without a filesystem, for measuring what a form costs.
public final class StreamProbe {
  private let ring: PacketRing
  private let reader: any CodedStream
  private let pictures: [[UInt8]]
  private let codec: Codec
  private var parser: PictureParser
  private var count = 0
  private var target = [UInt8](repeating: 0, count: 128 << 10)

  /// - Parameter pictures: a stream to be repeated, which begins with a key picture.
  /// - Throws: as the muxers.
  public init(_ codec: Codec, _ pictures: [[UInt8]], form: StreamForm, muxers: any MuxerFactory) throws(Failure) {
    ring = PacketRing(capacity: 4 << 20, limit: 16 << 20)
    ring.open(codec)
    self.pictures = pictures
    self.codec = codec
    parser = PictureParser(codec)
    let reader = try ring.attach()
    if let container = form.container {
      try muxers.load()
      self.reader = FormedReader(reader, MuxedPictures(container, muxers, name: "probe"))
    } else {
      self.reader = form == .multipart ? FormedReader(reader, MultipartPictures()) : reader
    }
  }

  /// Writes pictures into the ring and reads them.
  /// - Returns: nanoseconds that reading took, a picture, and the bytes that were read.
  public func run(pictures number: Int) throws(Failure) -> (nanoseconds: Double, bytes: Int) {
    var (spent, bytes): (Int64, Int) = (0, 0)
    for _ in 0..<number {
      put()
      let start = Clock.now()
      var outcome = StreamReader.Outcome.bytes(0)
      while case .bytes(let count) = outcome {
        bytes += count
        outcome = target.withUnsafeMutableBytes { reader.read(into: $0) }
      }
      spent += Clock.now() - start
      if case .failed(let failure) = outcome { throw failure }
    }
    return (Double(spent) / Double(number), bytes)
  }

  private func put() {
    let picture = pictures[count % pictures.count]
    picture.withUnsafeBytes { bytes in
      let info = parser.parse(bytes)
      ring.append(bytes)
      let coded = CodedPicture(
        type: info.type ?? .p, isKey: info.isKey, hasParameterSets: info.hasParameterSets || codec == .mjpeg)
      _ = ring.finish(pts: Int64(count) * 33_333, picture: coded, parameterSets: nil)
    }
    count += 1
  }
}
