// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `venc_info` of the running default pipeline: all sections at the vendor's places, headers byte for byte, and figures
/// that agree with settings, `stats` and the stream.
@Suite(.ownThread) struct EncoderPageTests {
  let served: Served

  init() throws {
    served = try Shared.pipeline
    #expect(try eventually { try (served.stats("venc/2")["frames_out"] ?? 0) > 2 })
  }

  static let common = ["venc chn runing status", "venc chn attr 1", "venc chn attr 2", "ring buf status", "hw status"]
  static let rateControl = [
    "RC base param 1", "RC base param 2", "RC run comm param 1", "RC run comm param 2", "RC gop mode attr",
    "RC run cbr param", "RC HierarchicalQp INFO", "RC debreath_effect info", "RC run info1",
  ]

  /// Titles and headers of the vendor's page that the sample of an H.265 channel does not show.
  static let otherHeaders: [String: String] = [
    "--------h264e chn attr----------------------------------------------------------------------------":
      "     ID     Width    Height   profile",
    "-----Syntax INFO2---------------------------------------------------------------------------------":
      "     ID   profile     Cabac    trans8 QMatrix   POC   alpha    beta",
    "--------jpege chn attr----------------------------------------------------------------------------":
      "     ID     Width    Height     quant   qfactor     qfmax     qfmin",
  ]

  @Test func everySectionOfEachChannelStandsInTheVendorsOrder() throws {
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.sections.first?.title == "venc thread status")
    #expect(page.sections.last?.title == "packet_pool")
    for channel in [0, 1] {
      #expect(
        page.titles(channel: channel)
          == Self.common + ["h264e chn attr", "Syntax INFO1", "Syntax INFO2"] + Self.rateControl)
    }
    // A channel of pictures has fixed quality, and no table of a bit rate's bounds.
    #expect(
      page.titles(channel: 2)
        == Self.common + ["jpege chn attr"] + Self.rateControl.filter { $0 != "RC run cbr param" })
  }

  @Test func titlesAndHeadersAreTheVendorsBytes() throws {
    let sample = EncoderPage(
      try String(
        contentsOfFile: Machine.repository + "/Tests/NodeTextTests/Golden/venc_2022-05.txt", encoding: .utf8))
    var known = Self.otherHeaders
    for section in sample.sections { known[section.titleLine] = section.header }
    for section in EncoderPage(try served.cat("venc_info")).sections {
      if section.title == "Syntax INFO1" {
        // Its length differs by a dash between H.265, which the sample shows, and H.264.
        #expect(section.titleLine.count == 98)
        #expect(
          section.header == "     ID SlcspltEn SplitMode   Slcsize   IntraRefresh    RefreshMode     RefreshNum")
        continue
      }
      #expect(known[section.titleLine] == section.header, "\(section.titleLine)\n\(section.header)")
    }
    #expect(try served.cat("venc_info").hasPrefix("\n--------venc thread status---"))
  }

  @Test func theVendorsOtherPathGivesTheSamePage() throws {
    // Only figures may differ between two reads.
    let one = EncoderPage(try served.cat("venc_info")).sections.flatMap { [$0.titleLine, $0.header] }
    let other = EncoderPage(try served.cat("vcodec/enc/venc_info")).sections.flatMap { [$0.titleLine, $0.header] }
    #expect(one == other && !one.isEmpty)
  }

  @Test func aScriptFindsTheValuesUnderTheirHeader() throws {
    // What the vendor's own tests do.
    let outcome = try shell(#"grep -A 2 RealFps "$1" | sed -n 2p"#, served.path("vcodec/enc/venc_info"))
    #expect(outcome.lines.first?.split(separator: " ").first == "0")
  }

  @Test(arguments: [0, 1, 2]) func settingsAreShownAsTheyAre(channel: Int) throws {
    let object = "venc/\(channel)"
    let poolWasFull = try #require(try served.stats(object)["packet_pool_full"])
    let page = EncoderPage(try served.cat("venc_info"))
    let poolIsFull = try #require(try served.stats(object)["packet_pool_full"])
    let isJPEG = channel == 2
    let active = try served.facts("\(object)/active")
    #expect(page.value(channel, "venc chn attr 1", "Width") == (channel == 1 ? "640" : "1280"))
    #expect(page.value(channel, "venc chn attr 1", "Height") == (channel == 1 ? "360" : "720"))
    #expect(active["width"] == page.value(channel, "venc chn attr 1", "Width"))
    #expect(active["height"] == page.value(channel, "venc chn attr 1", "Height"))
    #expect(page.value(channel, "venc chn attr 1", "Type") == (try served.value("\(object)/codec")))
    #expect(page.value(channel, "RC base param 1", "RcMode") == (try served.value("\(object)/rc_mode")))
    #expect(page.value(channel, "RC base param 1", "ViFr") == "30")
    #expect(page.value(channel, "RC base param 1", "TrgFr") == (isJPEG ? "1" : "30"))
    #expect(page.value(channel, "venc chn attr 2", "SrcFr") == "30")
    #expect(page.value(channel, "venc chn attr 2", "TarFr") == (isJPEG ? "1" : "30"))
    if isJPEG {
      #expect(page.value(channel, "RC base param 1", "Br(kbps)") == "N/A")
      #expect(page.value(channel, "jpege chn attr", "qfactor") == (try served.value("\(object)/quality")))
    } else {
      #expect(page.value(channel, "RC base param 1", "Gop") == (try served.value("\(object)/gop")))
      #expect(page.value(channel, "RC base param 1", "Br(kbps)") == (try served.value("\(object)/bitrate")))
      #expect(page.value(channel, "RC run info1", "CfgBt(kb)") == (try served.value("\(object)/bitrate")))
    }
    #expect(page.value(channel, "venc chn runing status", "runing") == "1")
    // Other tests' readers may have come late.
    let poolFailures = try #require(page.number(channel, "hw status", "pkt_fail_cnt"))
    #expect((poolWasFull...poolIsFull).contains(poolFailures))
    for column in ["ring_fail_cnt", "cfg_fail_cnt", "start_fail_cnt"] {
      #expect(page.value(channel, "hw status", column) == "0")
    }
  }

  @Test(arguments: [0, 1, 2]) func sequenceCountsCodedFrames(channel: Int) throws {
    let before = try served.stats("venc/\(channel)")["frames_out"] ?? 0
    let sequence = try #require(
      EncoderPage(try served.cat("venc_info")).number(channel, "venc chn attr 1", "Sequence"))
    let after = try served.stats("venc/\(channel)")["frames_out"] ?? 0
    #expect((before - 1...after + 1).contains(sequence))
    let grows = try eventually {
      EncoderPage(try served.cat("venc_info")).number(channel, "venc chn attr 1", "Sequence") ?? 0 > sequence
    }
    #expect(grows)
  }

  /// The rate is that of the pictures that come, which are fewer than were asked for on a machine that cannot do more.
  @Test(arguments: [(0, 60), (1, 60), (2, 3)]) func realRatesAreMeasured(channel: Int, frames: Int) throws {
    let object = "venc/\(channel)"
    let name = #"mpifs_venc_output_frames_total{object="\#(object)"}"#
    var seen: [String] = []
    let near = try eventually {
      // From just after a picture to just after another.
      #expect(try served.advances(object, "frames_out", by: 1))
      let first = Metrics(try served.cat("metrics"))
      #expect(try served.advances(object, "frames_out", by: frames))
      let last = Metrics(try served.cat("metrics"))
      let value = EncoderPage(try served.cat("venc_info")).number(channel, "venc chn attr 2", "RealFps*10") ?? -1
      let count = try #require(last[name]) - (try #require(first[name]))
      let seconds = try #require(last["mpifs_uptime_seconds"]) - (try #require(first["mpifs_uptime_seconds"]))
      let tenths = 10 * count / seconds
      seen.append("\(value) where \(tenths) came")
      return abs(Double(value) - tenths) <= max(1, tenths / 20)
    }
    #expect(near, "\(seen.suffix(20))")
  }

  @Test(arguments: [0, 1]) func measuredBitrateIsThatOfTheStream(channel: Int) throws {
    let object = "venc/\(channel)"
    let recording = try Recording(served, "\(object)/stream")
    let first = Metrics(try served.cat("metrics"))
    var readings: [Int] = []
    let start = try served.stats(object)["frames_out"] ?? 0
    _ = try eventually {
      let page = EncoderPage(try served.cat("venc_info"))
      if let value = page.number(channel, "RC run info1", "InsBr(kbps)") { readings.append(value) }
      return (try served.stats(object)["frames_out"] ?? 0) >= start + 150
    }
    let last = Metrics(try served.cat("metrics"))
    recording.stop()
    let frames = try Video.frames(recording.file)
    try #require(frames.count >= 140)
    let bits = frames.map(\.size).reduce(0, +) * 8
    // Where the machine gives fewer than 30 pictures a second, each is given more of the rate.
    func grown(_ name: String) throws -> Double {
      let (from, to) = (try #require(first[name]), try #require(last[name]))
      return to - from
    }
    let coded = try grown(#"mpifs_venc_output_frames_total{object="\#(object)"}"#)
    let rate = coded / (try grown("mpifs_uptime_seconds"))
    let kilobits = Double(bits) / 1000 / (Double(frames.count) / rate)
    let measured = Double(readings.reduce(0, +)) / Double(max(1, readings.count))
    #expect((0.6...1.5).contains(measured / kilobits), "InsBr \(measured), stream \(kilobits) kbps")
    let asked = try #require(Double(try served.value("\(object)/bitrate")))
    #expect((0.5...1.3).contains(kilobits / asked), "\(kilobits) kbps of \(asked)")
  }

  @Test func profileAndSizeAreThoseOfTheStream() throws {
    let outcome = try run(
      "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,profile,width,height,pix_fmt", "-of", "csv=p=0",
      served.path("venc/0/stream"))
    #expect(outcome.status == 0, "\(outcome.errors)")
    let cells = outcome.text.trimmingCharacters(in: .whitespacesAndNewlines).split(separator: ",")
    try #require(cells.count >= 4, "\(outcome.text)")
    #expect(cells[0] == "h264" && cells[2] == "1280" && cells[3] == "720")
    let page = EncoderPage(try served.cat("venc_info"))
    let profile = try #require(page.value(0, "h264e chn attr", "profile"))
    #expect(cells[1].lowercased().contains(profile), "\(cells[1]) and \(profile)")
  }

  @Test func ringFiguresMove() throws {
    func ring(_ column: String) throws -> Int? {
      EncoderPage(try served.cat("venc_info")).number(0, "ring buf status", column)
    }
    let first = try #require(try ring("w_pos"))
    #expect(try eventually { try ring("w_pos") != first })
    #expect(try #require(try ring("usd_len")) <= (try #require(try ring("total_len"))))
  }
}
