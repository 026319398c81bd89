// SPDX-License-Identifier: Apache-2.0
import Devices
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Streams of libvpx, as FFmpeg makes them, read by ours.
@Suite(.ownThread) struct VP8BitstreamTests {
  /// An IVF file and the pictures in it.
  static func pictures(_ options: [String], size: String = "322x242", count: Int = 12) throws -> [[UInt8]] {
    try file(options, size: size, count: count).pictures
  }

  static func file(
    _ options: [String], size: String = "322x242", count: Int = 12
  ) throws -> (bytes: [UInt8], pictures: [[UInt8]]) {
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
    return ([UInt8](result.output), pictures)
  }

  @Test func anIVFFileIsCutIntoItsPicturesHoweverItComes() throws {
    let (bytes, pictures) = try Self.file(["-b:v", "300k"])
    #expect(bytes.withUnsafeBytes { StreamSniffer.codec($0) } == .vp8)
    for largest in [1, 7, 333, bytes.count] {
      let split = AccessUnitSplitterTests.units(.vp8, bytes, pieces: { Int.random(in: 1...largest, using: &$0) })
      #expect(split.units == pictures && split.skipped == 0)
    }
    // Whole files one after the other.
    let twice = AccessUnitSplitterTests.units(.vp8, bytes + bytes, pieces: { _ in 1000 })
    let isSame = twice.units == pictures + pictures
    #expect(isSame)
  }

  #if FFmpeg
    @Test func itIsDecodedByFFmpeg() throws {
      let pictures = try Self.pictures(["-b:v", "300k"])
      let factory = try #require(SoftwareCodecs.decoderFactories().first { $0.codecs.contains(.vp8) })
      let decoder = try factory.open(
        DecoderConfiguration(
          codec: .vp8, allocator: MemfdAllocator(), user: .anonymous, poolName: "vdec0", bufferCount: 4))
      var sink = TimeList()
      for (index, picture) in pictures.enumerated() {
        try picture.withUnsafeBytes { try decoder.submit($0, pts: Int64(index), into: &sink) }
      }
      try decoder.drain(into: &sink)
      #expect(sink.times == Array(0..<12))
      #expect(decoder.layout?.width == 322 && decoder.layout?.height == 242)
    }

    private struct TimeList: FrameSink, ~Copyable {
      var times: [Int64] = []
      mutating func picture(_ frame: consuming Frame) { times.append(frame.pts) }
    }
  #endif

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

  @Test func aFrameThatIsNotShownIsReadAndCountsNoSlices() throws {
    let pictures = try Self.pictures(["-qmin", "20", "-qmax", "20", "-b:v", "1M"], count: 2)
    var hidden = pictures[1]
    hidden[0] &= ~0x10
    var parser = PictureParser(.vp8)
    let infos = [pictures[0], hidden, pictures[1]].map { picture in picture.withUnsafeBytes { parser.parse($0) } }
    #expect(infos.map(\.slices) == [1, 0, 1])
    #expect(infos.map(\.qp) == [25, 25, 25])
    #expect(infos.map(\.type) == [.idr, .p, .p])
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
