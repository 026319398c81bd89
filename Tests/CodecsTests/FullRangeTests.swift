// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

#if FFmpeg
  /// Pictures whose samples use 0...255, through FFmpeg: each of them has the samples that were coded, as I420 or made into it.
  @Suite(.ownThread) struct FullRangeTests {
    /// The test pattern's white and black cells, away from their edges.
    private static func cells(_ luma: [UInt8]) throws -> [UInt8] {
      try #require(luma.count == 640 * 360)
      let row = luma[(360 - 8) * 640..<(360 - 7) * 640]
      return [row[row.startIndex + 8], row[row.startIndex + 24]]
    }

    private static func expectUnchanged(_ lumas: [[UInt8]]) throws {
      let cells = try lumas.map(cells)
      let wrong = cells.indices.filter { cells[$0][0] < 252 || cells[$0][1] > 3 }
      #expect(wrong == [], "of \(cells)")
    }

    @Test(arguments: [
      ("a.avi", "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p"), ("b.avi", "-c:v mjpeg -q:v 2 -pix_fmt yuvj422p"),
      ("c.avi", "-c:v mjpeg -q:v 2 -pix_fmt yuvj444p"), ("d.mkv", "-c:v libx264 -qp 4 -pix_fmt yuvj444p"),
      ("e.mkv", "-c:v ffv1 -vf scale=out_range=full,format=yuv422p -color_range pc"),
    ])
    func everyPictureOfAFileComesAsItIsAndSaysSo(_ kind: (name: String, options: String)) throws {
      let folder = try TemporaryFolder()
      let source = try open(try MediaFileSourceTests.make(folder, kind.name, kind.options), try request())
      var lumas: [[UInt8]] = []
      for _ in 0..<MediaFileSourceTests.frames + 2 {
        let frame = try source.next().unwrapped()
        #expect(frame.layout.color.isFullRange && source.layout == frame.layout)
        #expect(!kind.options.contains("mjpeg") || frame.layout.color == .jfif)
        lumas.append(try PatternSourceTests.luma(frame))
      }
      try Self.expectUnchanged(lumas)
    }

    /// Access units of the test pattern; pictures are held back for those between others.
    private static func units(_ pixels: String) throws -> [[UInt8]] {
      let folder = try TemporaryFolder()
      let path = try MediaFileSourceTests.make(
        folder, "a.h264", "-c:v libx264 -qp 4 -bf 3 -pix_fmt \(pixels) -f h264")
      let stream = [UInt8](try Data(contentsOf: URL(filePath: path)))
      let units = AccessUnitSplitterTests.units(.h264, stream, pieces: { _ in 4096 }).units
      try #require(units.count == MediaFileSourceTests.frames)
      return units
    }

    @Test func everyPictureADecoderMakes420OfComesAsItIs() throws {
      let decoder = try DecoderTests.open("ffmpeg", .h264)
      var list = DecoderTests.LumaList()
      for (index, unit) in try Self.units("yuvj444p").enumerated() {
        try unit.withUnsafeBytes { try decoder.submit($0, pts: Int64(index), into: &list) }
      }
      try decoder.drain(into: &list)
      #expect(list.pictures.count == MediaFileSourceTests.frames)
      #expect(decoder.layout?.color.isFullRange == true && decoder.counters.bytesCopied > 0)
      try Self.expectUnchanged(list.pictures.map(\.luma))
    }

    /// Where the graph held the whole pool when a picture was begun, the library decodes it into memory of its own, and it is copied.
    @Test func picturesThatAreCopiedAreThoseThatAreLent() throws {
      struct Hoarder: FrameSink, ~Copyable {
        var kept: [FrameBox] = []
        var lumas: [[UInt8]] = []
        mutating func picture(_ frame: consuming Frame) {
          lumas.append((try? PatternSourceTests.luma(frame)) ?? [])
          kept.append(FrameBox(frame))
        }
      }
      final class FrameBox {
        let frame: Frame
        init(_ frame: consuming Frame) { self.frame = frame }
      }
      let decoder = try DecoderTests.open("ffmpeg", .h264, buffers: 4)
      var hoarder = Hoarder()
      for unit in try Self.units("yuvj420p") {
        do {
          try unit.withUnsafeBytes { try decoder.submit($0, pts: 0, into: &hoarder) }
        } catch let failure as Failure {
          // The graph lets go: what was decoded meanwhile comes with the next unit.
          try #require(failure.errno == .noBufferSpace)
          hoarder.kept = []
        }
      }
      hoarder.kept = []
      try decoder.drain(into: &hoarder)
      let copied = decoder.counters.bytesCopied / (640 * 360 * 3 / 2)
      #expect(hoarder.lumas.count > 4 && copied > 1, "\(hoarder.lumas.count) pictures, \(copied) copied")
      try Self.expectUnchanged(hoarder.lumas)
    }
  }
#endif
