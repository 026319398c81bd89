// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import MediaRuntime

/// Codings without start codes are read as an IVF stream, by FFmpeg too.
@Suite(.ownThread) struct StreamFramingTests {
  private let folder = FileManager.default.temporaryDirectory.appending(path: "mpifs-\(UUID().uuidString)")

  private func run(_ name: String, _ arguments: [String]) throws -> String {
    let outcome = try Child.run([name] + arguments)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return outcome.text
  }

  private func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }

  /// A ring with a VP8 stream of 20 pictures in groups of 5, 40 ms apart.
  private func ring() throws -> (ring: PacketRing, pictures: [[UInt8]]) {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let file = folder.appending(path: "in.ivf")
    _ = try run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-frames:v", "20", "-c:v", "libvpx", "-g",
        "5", "-keyint_min", "5", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-b:v", "300k", file.path(),
      ])
    let bytes = [UInt8](try Data(contentsOf: file))
    var pictures: [[UInt8]] = []
    var at = 32
    while at + 12 <= bytes.count {
      let size = number(bytes[at..<at + 4])
      pictures.append(Array(bytes[at + 12..<at + 12 + size]))
      at += 12 + size
    }
    let ring = PacketRing(capacity: 1 << 20, limit: 1 << 20)
    ring.open()
    return (ring, pictures)
  }

  private func put(_ pictures: ArraySlice<[UInt8]>, into ring: PacketRing) {
    var parser = PictureParser(.vp8)
    let framing = IVF(fourcc: 0x3038_5056, width: 320, height: 240)
    for (index, picture) in zip(pictures.indices, pictures) {
      let info = picture.withUnsafeBytes { bytes in
        ring.append(bytes)
        return parser.parse(bytes)
      }
      let coded = CodedPicture(type: info.type ?? .p, isKey: info.isKey, framing: framing)
      _ = ring.finish(pts: 5_000_000 + Int64(index) * 40_000, picture: coded, parameterSets: nil)
    }
  }

  @Test(arguments: [1 << 20, 700]) func ffprobeReadsAStreamOfVP8(step: Int) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (ring, pictures) = try ring()
    try #require(pictures.count == 20)
    let reader = try ring.attach()
    put(pictures[...], into: ring)
    var stream: [UInt8] = []
    while case (.bytes, let part) = reader.read(max: step) { stream += part }
    #expect(stream.count == 32 + pictures.reduce(0) { $0 + 12 + $1.count })
    let file = folder.appending(path: "out.ivf")
    try Data(stream).write(to: file)
    let text = try run(
      "ffprobe",
      [
        "-v", "error", "-show_entries", "stream=codec_name,width,height:frame=key_frame,pts", "-of", "csv=p=0",
        file.path(),
      ])
    let lines = text.split(separator: "\n").map(String.init)
    #expect(lines.last == "vp8,320,240")
    #expect(lines.dropLast().count == 20)
    let keys = lines.dropLast().enumerated().filter { $0.element.hasPrefix("1,") }.map(\.offset)
    #expect(keys == [0, 5, 10, 15])
    #expect(Array(lines.prefix(3)) == ["1,0", "0,40000", "0,80000"])
  }

  @Test func aReaderThatJoinsLateHasItsOwnHeaderAndBeginsAtZero() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (ring, pictures) = try ring()
    put(pictures[...], into: ring)
    let reader = try ring.attach()
    let (_, first) = reader.read(max: 1 << 20)
    #expect(String(decoding: first[..<4], as: UTF8.self) == "DKIF")
    #expect(number(first[32..<36]) == pictures[15].count && number(first[36..<44]) == 0)
    let second = 32 + 12 + pictures[15].count
    #expect(number(first[second..<second + 4]) == pictures[16].count)
    #expect(number(first[second + 4..<second + 12]) == 40_000)
  }
}
