// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Cutting streams into access units: however the bytes come, the units are the same.
@Suite(.ownThread) struct AccessUnitSplitterTests {
  /// A small generator, so that a failure can be repeated.
  struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }

  static func units(_ codec: Codec, _ stream: [UInt8], pieces: (inout Numbers) -> Int, seed: UInt64 = 1)
    -> (units: [[UInt8]], skipped: UInt64)
  {
    var numbers = Numbers(state: seed)
    var splitter = AccessUnitSplitter(codec)
    var units: [[UInt8]] = []
    var at = 0
    while at < stream.count {
      let end = min(stream.count, at + max(1, pieces(&numbers)))
      stream.withUnsafeBytes { splitter.append(UnsafeRawBufferPointer(rebasing: $0[at..<end])) }
      while let unit = splitter.next() { units.append(Array(unit)) }
      at = end
    }
    if let last = splitter.finish() { units.append(Array(last)) }
    return (units, splitter.skipped)
  }

  static func expectSameForAnySplit(_ codec: Codec, _ stream: [UInt8], count: Int, skipped: UInt64 = 0) {
    let whole = units(codec, stream, pieces: { _ in stream.count })
    #expect(whole.units.count == count)
    #expect(whole.skipped == skipped)
    #expect(whole.units.reduce(0) { $0 + $1.count } + Int(whole.skipped) == stream.count, "no byte is lost")
    let single = units(codec, stream, pieces: { _ in 1 })
    #expect(single.units == whole.units && single.skipped == whole.skipped)
    for seed in 1...40 as ClosedRange<UInt64> {
      let largest = [3, 17, 188, 4096, 65536][Int(seed % 5)]
      let split = units(codec, stream, pieces: { Int.random(in: 1...largest, using: &$0) }, seed: seed)
      #expect(split.units == whole.units && split.skipped == whole.skipped, "seed \(seed), up to \(largest)")
    }
  }

  @Test(arguments: H264EncoderTests.names)
  func whatAnEncoderMadeComesBackPictureByPicture(_ name: String) throws {
    let list = try H264EncoderTests.encode(name, try h264(320, 240, gop: 6), frames: 20)
    let stream = Array(list.stream)
    Self.expectSameForAnySplit(.h264, stream, count: 20)
    #expect(Self.units(.h264, stream, pieces: { _ in 999 }).units == list.pictures)
  }

  @Test func picturesOfJPEGComeBackAndGarbageBetweenThemIsSkipped() throws {
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(160, 120, quality: 80))
    var list = PictureList()
    for _ in 0..<5 { try encoder.submit(try JPEGTests.picture(.i420, 160, 120), EncodeDirective(), into: &list) }
    Self.expectSameForAnySplit(.mjpeg, Array(list.stream), count: 5)
    // Of a picture that was cut off in its headers there is nothing to decode; what was cut off later the decoder finds out.
    for (left, count, skipped) in [(20, 3, 23), (700, 4, 3)] as [(Int, Int, UInt64)] {
      let cut = list.pictures[0] + list.pictures[1].prefix(left) + list.pictures[2] + [1, 2, 3] + list.pictures[3]
      Self.expectSameForAnySplit(.mjpeg, cut, count: count, skipped: skipped)
    }
  }

  @Test func picturesOfJPEGWithoutEndMarkersEndWhereTheNextBegins() throws {
    let encoder = try TurboJPEGFactory().open(try JPEGTests.configuration(160, 120, quality: 80))
    var list = PictureList()
    for _ in 0..<4 { try encoder.submit(try JPEGTests.picture(.i420, 160, 120), EncodeDirective(), into: &list) }
    // A preview as cameras put it into a segment of their own: a whole picture inside the picture.
    let preview = list.pictures[3]
    let size = preview.count + 2
    let segment = [0xff, 0xe1, UInt8(size >> 8), UInt8(size & 255)] + preview
    let open = list.pictures[..<3].map { Array($0.prefix(2)) + segment + Array($0[2...].dropLast(2)) }
    try #require(open.allSatisfy { $0.suffix(2) != [0xff, 0xd9] })
    let stream = open.flatMap { $0 }
    Self.expectSameForAnySplit(.mjpeg, stream, count: 3)
    #expect(Self.units(.mjpeg, stream, pieces: { _ in 99 }).units == open)
  }

  @Test func aPictureWhoseFirstSliceIsLostIsNotTakenForTheRestOfTheOneBefore() throws {
    let made = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-frames:v", "6", "-pix_fmt", "yuv420p",
        "-c:v", "libx264", "-bf", "0", "-x264-params", "slices=3:repeat-headers=1", "-f", "h264", "pipe:1",
      ])
    try #require(made.status == 0, "\(made.errors)")
    let whole = Self.units(.h264, Array(made.output), pieces: { _ in 4096 }).units
    try #require(whole.count == 6)
    // The first of the third picture's three slices.
    let third = whole[2].withUnsafeBytes { bytes in AnnexBUnits(bytes).map { [0, 0, 0, 1] + Array($0) } }
    try #require(third.count == 3)
    let pictures = whole[..<2] + [third[1] + third[2]] + whole[3...]
    Self.expectSameForAnySplit(.h264, pictures.flatMap { $0 }, count: 6)
  }

  @Test func anIVFStreamTellsItsTimesAndWhetherItWasCutOff() throws {
    let made = try Tool.run(
      "ffmpeg",
      [
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10", "-frames:v", "5", "-c:v", "libvpx", "-f",
        "ivf", "pipe:1",
      ])
    try #require(made.status == 0, "\(made.errors)")
    for missing in [0, 1, 9] {
      var splitter = AccessUnitSplitter(.vp8)
      made.output.dropLast(missing).withUnsafeBytes { splitter.append($0) }
      var times: [Int64?] = []
      while splitter.next() != nil { times.append(splitter.time) }
      #expect(splitter.frameRate == FrameRate(10))
      #expect(times == (0..<(missing == 0 ? 5 : 4)).map { $0 * 100_000 })
      let hasLast = splitter.finish() != nil
      #expect(hasLast == (missing > 0) && splitter.isCutOff == (missing > 0), "\(missing) bytes are missing")
      if missing > 0 { #expect(splitter.time == 400_000) }
    }
  }

  @Test func framesOfFWHTAreCutByTheirHeaders() {
    func frame(_ size: Int, fill: UInt8) -> [UInt8] {
      var words = [UInt32](repeating: 0, count: 11)
      (words[0], words[1], words[2], words[3], words[4]) = (0x4f4f_4f4f, 0xffff_ffff, 3, 64, 48)
      words[10] = UInt32(size)
      return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * UInt32($0))) } }
        + [UInt8](repeating: fill, count: size)
    }
    Self.expectSameForAnySplit(.fwht, frame(100, fill: 7) + frame(0, fill: 0) + frame(3000, fill: 0x4f), count: 3)
    Self.expectSameForAnySplit(
      .fwht, [9, 0x4f, 0x4f] + frame(10, fill: 1) + [0x4f, 0xff] + frame(20, fill: 2), count: 2, skipped: 5)
    // A size that cannot be is no frame.
    var damaged = frame(10, fill: 1)
    damaged[40] = 0x7f
    Self.expectSameForAnySplit(.fwht, damaged + frame(20, fill: 2), count: 1, skipped: UInt64(damaged.count))
  }

  @Test func foreignStreamsOfH264AndH265AreCutAsFFmpegCountsThem() throws {
    guard try Tool.run("ffmpeg", ["-version"]).status == 0 else {
      print("foreignStreamsOfH264AndH265AreCutAsFFmpegCountsThem: no ffmpeg here")
      return
    }
    for (codec, format, options) in [
      (Codec.h264, "h264", ["-c:v", "libx264", "-bf", "2", "-x264-params", "slices=3:aud=1"]),
      (.h264, "h264", ["-c:v", "libx264", "-bf", "3", "-g", "10"]),
      (.h265, "hevc", ["-c:v", "libx265", "-x265-params", "log-level=none:slices=2"]),
    ] {
      let made = try Tool.run(
        "ffmpeg",
        ["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-t", "1", "-pix_fmt", "yuv420p"]
          + options
          + ["-f", format, "pipe:1"])
      try #require(made.status == 0, "\(made.errors)")
      Self.expectSameForAnySplit(codec, Array(made.output), count: 25)
      #expect(made.output.withUnsafeBytes { StreamSniffer.codec($0) } == codec)
    }
  }

  @Test func noBytesMakeTheSplitterTrapOrLoseCount() {
    var numbers = Numbers(state: 5)
    for codec in Codec.allCases {
      for _ in 0..<30 {
        var bytes = (0..<3000).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        // Marks of every coding at any place.
        for mark: [UInt8] in [[0, 0, 1], [0, 0, 0, 1, 0x65, 0x88], [0xff, 0xd8], [0xff, 0xd9], [0xff, 0xda, 0, 2]] {
          for _ in 0..<20 {
            let at = Int.random(in: 0..<2900, using: &numbers)
            bytes.replaceSubrange(at..<at + mark.count, with: mark)
          }
        }
        let whole = Self.units(codec, bytes, pieces: { _ in bytes.count })
        let split = Self.units(codec, bytes, pieces: { Int.random(in: 1...40, using: &$0) })
        #expect(split.units == whole.units && split.skipped == whole.skipped)
        // A picture of VP8 has twelve bytes before it that are not its own.
        let framing = codec == .vp8 ? 12 * whole.units.count : 0
        #expect(whole.units.reduce(framing) { $0 + $1.count } + Int(whole.skipped) == bytes.count)
      }
    }
  }
}
