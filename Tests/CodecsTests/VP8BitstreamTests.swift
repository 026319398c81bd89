// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Testing

/// Streams of libvpx, as FFmpeg makes them, read by ours.
@Suite struct VP8BitstreamTests {
  /// Pictures of an IVF file.
  static func pictures(_ options: [String], size: String = "322x242", count: Int = 12) throws -> [[UInt8]] {
    let result = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=\(size):rate=30", "-frames:v", "\(count)", "-c:v", "libvpx",
        "-g", "5", "-keyint_min", "5", "-auto-alt-ref", "0", "-lag-in-frames", "0", "-deadline", "realtime",
      ] + options + ["-f", "ivf", "pipe:1"])
    try #require(result.status == 0, "\(result.errors)")
    var pictures: [[UInt8]] = []
    var rest = [UInt8](result.output)[32...]
    while rest.count >= 12 {
      let size = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(12)
      pictures.append(Array(rest.prefix(size)))
      rest = rest.dropFirst(size)
    }
    return pictures
  }

  /// What libvpx makes of its user's scale of 64 steps.
  @Test(arguments: [(0, 0), (20, 25), (40, 59), (63, 127)])
  func keyFramesSizeAndQuantiserAreRead(asked: Int, coded: Int) throws {
    let pictures = try Self.pictures(["-qmin", "\(asked)", "-qmax", "\(asked)", "-b:v", "1M"])
    try #require(pictures.count == 12)
    var parser = PictureParser(.vp8)
    let infos = pictures.map { picture in picture.withUnsafeBytes { parser.parse($0) } }
    #expect(infos.indices.filter { infos[$0].isKey } == [0, 5, 10])
    #expect(infos.map(\.type) == infos.map { $0.isKey ? .idr : .p })
    #expect(infos.map(\.qp) == Array(repeating: coded, count: 12))
    #expect(parser.syntax?.width == 322 && parser.syntax?.height == 242)
  }

  @Test func aStreamWithSegmentsAndSeveralPartitionsIsReadToo() throws {
    let pictures = try Self.pictures(
      ["-qmin", "30", "-qmax", "30", "-b:v", "200k", "-slices", "4", "-static-thresh", "100", "-error-resilient", "1"])
    var parser = PictureParser(.vp8)
    let found = pictures.map { picture in picture.withUnsafeBytes { parser.parse($0) }.qp }
    #expect(found == Array(repeating: 39, count: 12))
  }

  @Test func whatIsNoPictureIsNotTakenForOne() throws {
    var parser = PictureParser(.vp8)
    for bytes in [[], [0x10], [0x10, 2, 0, 0x9d, 1, 0x2b, 64, 0, 64, 0, 0, 0], [0x11, 0, 0, 0, 0, 0]] as [[UInt8]] {
      let info = bytes.withUnsafeBytes { parser.parse($0) }
      #expect(info.type == nil && !info.isKey && info.qp == nil)
    }
    // Cut off anywhere, it neither traps nor says what it did not see.
    let picture = try Self.pictures(["-qmin", "20", "-qmax", "20", "-b:v", "1M"], count: 1)[0]
    for length in 0..<40 {
      var fresh = PictureParser(.vp8)
      let info = picture[..<length].withUnsafeBytes { fresh.parse($0) }
      #expect(info.qp == nil || info.qp == 25)
    }
  }
}
