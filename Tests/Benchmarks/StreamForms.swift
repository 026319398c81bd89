// SPDX-License-Identifier: Apache-2.0
import Base
import Codecs
import Glibc
import MediaCore
import MediaRuntime

/// What reading a picture costs in each form of the stream, and whether a reader grows: `--input FILE` is an elementary stream
/// of H.264 that begins with a key picture.
enum StreamForms {
  static func run(_ options: Options) throws(BenchError) {
    let path = try options.required("--input")
    let frames = try options.count("--frames", 100_000)
    let pictures = try pictures(path)
    report("streams.picture", Double(pictures.map(\.count).reduce(0, +)) / Double(pictures.count), "bytes")
    for form in [StreamForm.coded, .transportStream, .fragmentedMP4] {
      do throws(Failure) {
        let probe = try StreamProbe(.h264, pictures, form: form, muxers: SoftwareCodecs.muxerFactory())
        _ = try probe.run(pictures: 1000)
        let before = Heap.used ?? 0
        let (nanoseconds, _) = try probe.run(pictures: frames)
        let grown = Double(Heap.used ?? 0) - Double(before)
        report("streams.\(form).packet", nanoseconds / 1000, "us")
        report("streams.\(form).growth", grown / Double(frames), "bytes_a_picture")
      } catch {
        throw BenchError("\(error)")
      }
    }
  }

  private static func pictures(_ path: String) throws(BenchError) -> [[UInt8]] {
    let source: any PacketSource
    var found: [[UInt8]] = []
    do throws(Failure) {
      guard let factory = SoftwareCodecs.packetSourceFactories().first else { return [] }
      source = try factory.open(path, codec: .h264)
      while let unit = try source.next() { found.append(Array(unit.bytes)) }
    } catch {
      throw BenchError("\(error)")
    }
    guard !found.isEmpty else { throw BenchError("\(path): no pictures") }
    return found
  }
}
