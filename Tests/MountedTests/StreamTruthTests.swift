// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `venc_info` against the very bytes that went through `stream`, as FFmpeg reads them: counts, types, sizes, group lengths,
/// quantisers, and the rates that follow from sizes and times.
@Suite(.ownThread, .enabled(if: Machine.hasFFmpeg, "times of pictures are read from stream.ts")) struct StreamTruthTests
{
  struct Engine: CustomTestStringConvertible, Sendable {
    var name: String
    var codec: String
    var format: String
    var testDescription: String { name }
  }

  static let engines =
    [Engine(name: "openh264", codec: "h264", format: "h264")]
    + (Machine.hasX264 ? [Engine(name: "x264", codec: "h264", format: "h264")] : [])
    + (Machine.hasX265 ? [Engine(name: "x265", codec: "h265", format: "hevc")] : [])

  /// What the page said at one moment.
  private struct Moment {
    var coded: Int
    var tenths: Int
    var rate: Int
    var before: Int?
    var ratio: Int?
    var quantiser: Int
  }

  private func moment(_ served: Served) throws -> Moment? {
    // One read: a channel's figures on the page are those of one moment.
    let page = EncoderPage(try served.cat("venc_info"))
    let run = "RC run info1"
    guard let coded = page.number(0, "venc chn attr 1", "Sequence"),
      let tenths = page.number(0, "venc chn attr 2", "RealFps*10"),
      let rate = page.number(0, run, "InsBr(kbps)"), let quantiser = page.number(0, run, "StartQp"), tenths > 0
    else { return nil }
    return Moment(
      coded: coded, tenths: tenths, rate: rate, before: page.number(0, run, "RealBt(kb)"),
      ratio: page.number(0, run, "IPRatio"), quantiser: quantiser)
  }

  /// The quantiser in the first slice header of each picture.
  private func quantisers(_ file: String, _ engine: Engine) throws -> [Int] {
    let log = try run(
      "ffmpeg", "-v", "trace", "-f", engine.format, "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null",
      "-"
    ).errors
    var (initial, found): (Int, [Int]) = (26, [])
    for line in log.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard let value = words.last.flatMap({ Int($0) }) else { continue }
      if words.contains("pic_init_qp_minus26") || words.contains("init_qp_minus26") { initial = 26 + value }
      if words.contains("slice_qp_delta") { found.append(initial + value) }
    }
    return found
  }

  @Test(arguments: engines) func whatThePageSaysIsInTheStream(_ engine: Engine) throws {
    // At this rate the packets of eight seconds wait for a reader: one that is kept from reading for a while has every byte.
    let served = try Served(
      configuration: Pipelines.small(
        """
        venc/0/backend = \(engine.name)
        venc/0/min_qp = 20
        venc/0/max_qp = 40
        """, gop: 24, bitrate: 600, codec: engine.codec
      ).replacing("venc/0/enable = 1\n", with: "").replacing("vi/0/fps = 30\n", with: "vi/0/fps = 15\n"), ahead: true)
    let recordings = try ["stream", "stream.ts"].map { try Recording(served, "venc/0/\($0)") }
    #expect(try eventually { try served.stats("venc/0")["readers"] == 2 })
    try served.echo("1", to: "venc/0/enable")
    var moments: [Moment] = []
    #expect(
      try eventually {
        if let moment = try moment(served), moment.coded >= 70, moment.coded - (moments.last?.coded ?? 0) >= 17 {
          moments.append(moment)
        }
        return moments.count == 6
      })
    let page = EncoderPage(try served.cat("venc_info"))
    // Nothing more comes in, and all that came is coded and read.
    try served.echo("", to: "venc/0/source")
    // A picture leaves before its bytes are counted, and both before a reader has written them.
    var stats: [String: Int] = [:]
    #expect(
      try eventually {
        stats = try served.stats("venc/0")
        return stats["in_flight"] == 0 && recordings[0].size == stats["bytes_out"]
      }, "\(recordings[0].size), \(stats)")
    try served.echo("0", to: "venc/0/enable")
    stats = try served.stats("venc/0")
    for recording in recordings { #expect(recording.cat.ended() == 0) }

    let frames = try Video.frames(recordings[0].file, engine.format)
    let times = try ContainerFile.packets(recordings[1].file).map(\.pts)
    try #require(frames.count == times.count && frames.count == stats["frames_out"])
    #expect(frames.map(\.size).reduce(0, +) == stats["bytes_out"])
    #expect(frames.filter(\.isKey).count == stats["key_frames"])
    #expect(frames.allSatisfy { $0.type == ($0.isKey ? "I" : "P") })
    let keys = frames.indices.filter { frames[$0].isKey }
    let gop = page.number(0, "RC base param 1", "Gop")
    #expect(zip(keys.dropFirst(), keys).allSatisfy { $0 - $1 == gop } && keys.count > 4, "\(keys)")
    let found = try quantisers(recordings[0].file, engine)
    try #require(found.count == frames.count, "one slice a picture")
    let (low, high) = (page.number(0, "RC run info1", "MinQp"), page.number(0, "RC run info1", "MaxQp"))
    #expect(low == 20 && high == 40 && found.allSatisfy { (20...40).contains($0) }, "\(found)")

    // Means over about eight pictures of a kind, and windows that end with the first picture later than a second after they began.
    let sizes = frames.map(\.size)
    for moment in moments {
      var (key, predicted): (Int?, Int?) = (nil, nil)
      var (begin, bits, pictures): (Int, Int, Int) = (0, 0, 0)
      var windows: [(rate: Double, pictures: Double)] = []
      for index in 0..<moment.coded {
        if frames[index].isKey {
          key = key.map { ($0 * 7 + sizes[index]) / 8 } ?? sizes[index]
        } else {
          predicted = predicted.map { ($0 * 7 + sizes[index]) / 8 } ?? sizes[index]
        }
        let seconds = Double(times[index] - times[begin]) / 90_000
        // Times have a resolution of 11 us.
        if index > 0, seconds > 1.000_03 {
          windows.append((Double(bits) / seconds, Double(pictures) / seconds))
          (begin, bits, pictures) = (index, 0, 0)
        }
        (bits, pictures) = (bits + sizes[index] * 8, pictures + 1)
      }
      let ratio = try #require(key.flatMap { key in predicted.map { key * 100 / $0 } })
      // FFmpeg cuts the stream into pictures by itself; a byte more or less is one of these per mille.
      #expect(abs((moment.ratio ?? 0) - ratio) <= 2, "IPRatio after \(moment.coded): \(moment.ratio ?? 0), \(ratio)")
      #expect(moment.quantiser == found[moment.coded - 1], "StartQp after \(moment.coded)")
      let now = try #require(windows.last)
      #expect(abs(Double(moment.rate) - now.rate / 1000) <= 1.5, "InsBr after \(moment.coded): \(now.rate)")
      #expect(abs(Double(moment.tenths) - now.pictures * 10) <= 1, "RealFps after \(moment.coded): \(now.pictures)")
      let before = try #require(windows.dropLast().last)
      #expect(
        abs(Double(moment.before ?? -1) - before.rate / 1000) <= 1.5, "RealBt after \(moment.coded): \(before.rate)")
    }
  }
}
