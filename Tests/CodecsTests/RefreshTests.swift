// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Codecs

/// Streams one can begin in the middle of, or go on in after a loss, without a key picture.
@Suite(.ownThread) struct RefreshTests {
  static let refreshing = h264Factories.filter { $0.settings(for: .h264)["intra_refresh"] != nil }.map(\.name)
  static let keeping = h264Factories.filter { $0.settings(for: .h264)["gop_mode"] != nil }.map(\.name)

  private func encode(
    _ engine: String, _ configuration: EncoderConfiguration, frames count: Int,
    change: (Int, any Encoder, inout EncodeDirective) throws -> Void = { _, _, _ in }
  ) throws -> (list: PictureList, infos: [PictureInfo]) {
    let list = try H264EncoderTests.encode(engine, configuration, frames: count, change: change)
    #expect(list.pictures.count == count)
    var parser = PictureParser(.h264)
    return (list, list.pictures.map { picture in picture.withUnsafeBytes { parser.parse($0) } })
  }

  /// Whole pictures as FFmpeg decodes them, those that are damaged too.
  private func decode(_ pictures: [[UInt8]]) throws -> [Data] {
    let outcome = try Tool.run(
      "ffmpeg",
      [
        "-v", "fatal", "-flags", "+output_corrupt", "-f", "h264", "-i", "pipe:0", "-fps_mode", "passthrough", "-f",
        "rawvideo", "-pix_fmt", "yuv420p", "pipe:1",
      ], input: Data(pictures.joined()))
    let size = 640 * 360 * 3 / 2
    return (0..<outcome.output.count / size).map { outcome.output.subdata(in: $0 * size..<($0 + 1) * size) }
  }

  @Test(arguments: refreshing) func whoBeginsAtARefreshHasWholePicturesWhenTheStreamSaysSo(_ engine: String) throws {
    var configuration = try h264(gop: 50)
    configuration.settings[.intraRefresh] = "column"
    let (list, infos) = try encode(engine, configuration, frames: 140)
    #expect(infos.indices.filter { infos[$0].isKey } == [0], "nothing but the first")
    let points = infos.indices.filter { infos[$0].recoversAfter != nil && !infos[$0].isKey }
    #expect(points == [50, 100])
    #expect(points.allSatisfy { infos[$0].hasParameterSets })
    #expect(try Tool.decode(list.stream, "h264").errors == "")
    let whole = try decode(list.pictures)
    try #require(whole.count == 140)
    for point in points {
      let after = try #require(infos[point].recoversAfter)
      #expect((1..<50).contains(after), "\(after)")
      let tail = try decode(Array(list.pictures[point...]))
      try #require(tail.count == 140 - point)
      #expect(tail[0] != whole[point], "a refresh is no key picture")
      #expect(tail[after...].elementsEqual(whole[(point + after)...]))
    }
  }

  @Test(arguments: refreshing) func aKeyPictureCanBeAskedForAndAnotherDistanceNeedsAnotherEncoder(_ engine: String)
    throws
  {
    var configuration = try h264(gop: 30)
    configuration.settings[.intraRefresh] = "column"
    var other = configuration
    other.settings[.gop] = 20
    let (_, infos) = try encode(engine, configuration, frames: 60) { index, encoder, directive in
      if index == 10 { directive.type = .idr }
      if index == 20 { try expectTaken(encoder, other, false) }
    }
    #expect(infos.indices.filter { infos[$0].isKey } == [0, 10])
    #expect(infos.indices.filter { infos[$0].recoversAfter != nil && !infos[$0].isKey } == [40])
  }

  @Test(arguments: keeping) func aGroupNeedsTheBackgroundAndNothingSince(_ engine: String) throws {
    var configuration = try h264(gop: 15)
    configuration.settings[.gopMode] = "smartp"
    configuration.settings[.backgroundInterval] = 60
    let (list, infos) = try encode(engine, configuration, frames: 100)
    #expect(infos.indices.filter { infos[$0].isKey } == [0, 60])
    #expect(infos.indices.filter { infos[$0].isVirtualKey } == [15, 30, 45, 75, 90])
    try expectPattern(list, "h264", pictures: 100)
    let whole = try decode(list.pictures)
    // Two groups are lost.
    let rest = try decode([list.pictures[60]] + Array(list.pictures[90...]))
    try #require(whole.count == 100 && rest.count >= 11)
    #expect(rest.suffix(10).elementsEqual(whole[90...]))
  }

  @Test(arguments: keeping) func groupsAreAsLongAsIsAskedWhileItRuns(_ engine: String) throws {
    var configuration = try h264(gop: 10)
    configuration.settings[.gopMode] = "smartp"
    configuration.settings[.rateControl] = "fixqp"
    (configuration.settings[.keyQP], configuration.settings[.predictedQP]) = (22, 30)
    var other = configuration
    other.settings[.gop] = 6
    let (list, infos) = try encode(engine, configuration, frames: 120) { index, encoder, directive in
      if index == 25 { try expectTaken(encoder, other) }
      if index == 50 { directive.type = .idr }
    }
    #expect(infos.indices.filter { infos[$0].isKey } == [0, 50, 110], "asked for, and ten groups after that")
    #expect(infos.indices.filter { infos[$0].isVirtualKey }.prefix(8) == [10, 20, 26, 32, 38, 44, 56, 62])
    #expect(infos.allSatisfy { $0.qp == ($0.isKey ? 22 : 30) }, "the quantisers stay those asked for")
    #expect(try Tool.decode(list.stream, "h264").errors == "")
    configuration.settings[.gopMode] = "normalp"
    let plain = try encode(engine, configuration, frames: 30)
    #expect(plain.infos.indices.filter { plain.infos[$0].isKey } == [0, 10, 20])
    #expect(!plain.infos.contains { $0.isVirtualKey })
  }
}
