// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

@Suite(.ownThread) struct JPEGTests {
  static func configuration(_ width: Int, _ height: Int, quality: Int) throws -> EncoderConfiguration {
    EncoderConfiguration(
      codec: .mjpeg, width: width, height: height, format: .i420, frameRate: .thirty,
      settings: ["quality": .integer(quality)])
  }

  /// The pattern at this size, converted to the format.
  static func picture(_ format: PixelFormat, _ width: Int, _ height: Int) throws -> Frame {
    let source = try PatternSource(try request(.i420, (width + 1) & ~1, (height + 1) & ~1))
    let frame = try source.next().unwrapped()
    var result = try makeFrame(format, width, height)
    _ = try LibYUVScaler().scale(frame, crop: nil, transform: PictureTransform(), to: &result)
    return result
  }

  @Test(arguments: [PixelFormat.i420, .nv12, .yuyv, .rgb24], [(640, 360), (321, 241), (33, 34)])
  func everyPictureDecodesToWhatWentIn(_ format: PixelFormat, _ size: (Int, Int)) throws {
    let frame = try Self.picture(format, size.0, size.1)
    let encoder = try TurboJPEGFactory().open(try Self.configuration(size.0, size.1, quality: 95))
    var list = PictureList()
    try encoder.submit(frame, EncodeDirective(), into: &list)
    let decoded = try Tool.decode(list.stream, "mjpeg")
    #expect(decoded.errors == "")
    var planar = try makeFrame(.i420, size.0, size.1)
    _ = try LibYUVScaler().scale(frame, crop: nil, transform: PictureTransform(), to: &planar)
    let luma = try PatternSourceTests.luma(planar)
    try #require(decoded.output.count >= luma.count)
    // The tool expands or keeps the range as the file says full range; compare through the same mapping.
    var difference = 0
    for (a, b) in zip(luma, decoded.output) { difference += abs(Int(a) - Int(b)) }
    #expect(difference / luma.count < 16, "mean difference \(difference / luma.count)")
  }

  @Test func qualityIsLive() throws {
    let frame = try Self.picture(.i420, 640, 360)
    let encoder = try TurboJPEGFactory().open(try Self.configuration(640, 360, quality: 90))
    var list = PictureList()
    try encoder.submit(frame, EncodeDirective(), into: &list)
    #expect(try encoder.reconfigure(Self.configuration(640, 360, quality: 30)))
    try encoder.submit(frame, EncodeDirective(), into: &list)
    #expect(list.pictures[0].count > 2 * list.pictures[1].count)
  }

  @Test(arguments: PixelConverter.formats)
  func aSnapshotOfEveryFormatIsAJPEGWithFullRangeColours(_ format: PixelFormat) throws {
    let frame = try Self.picture(format, 640, 360)
    let file = Data(try TurboJPEGPictureEncoder().jpeg(frame, quality: 90))
    if let folder = ProcessInfo.processInfo.environment["KEEP_PICTURES"] {
      try file.write(to: URL(filePath: folder).appending(path: "\(format).jpg"))
    }
    let decoded = try Tool.run(
      "ffmpeg", ["-v", "error", "-f", "mjpeg", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"],
      input: file)
    #expect(decoded.errors == "")
    try #require(decoded.output.count == 640 * 360)
    // The code's cells are limited-range black and white: 0 and 255 once they are full range.
    let cells = decoded.output.suffix(8 * 640).prefix(16 * 20)
    #expect(cells.max() ?? 0 > 245)
    #expect(cells.min() ?? 255 < 10)
  }
}
