// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `intra_refresh` and `gop_mode`: streams with few key pictures, and where readers of them begin.
@Suite(.ownThread) struct GroupStructureTests {
  private func served(_ engine: String, _ more: String = "", gop: Int = 40) throws -> Served {
    try Served(configuration: Pipelines.small("venc/0/backend = \(engine)\n\(more)", gop: gop), ahead: true)
  }

  private func verdict(_ served: Served, _ key: String) throws -> Substring? {
    var line: Substring?
    _ = try eventually {
      line = try served.cat("venc/0/effect").split(separator: "\n").last { $0.hasPrefix("\(key): ") }
      return line.map { !$0.hasPrefix("\(key): pending") } ?? false
    }
    return line
  }

  /// Whole pictures, those that are damaged too.
  private func decode(_ file: String, _ format: String) throws -> [Data] {
    let outcome = try run(
      "ffmpeg", "-v", "fatal", "-flags", "+output_corrupt", "-f", format, "-i", file, "-fps_mode", "passthrough", "-f",
      "rawvideo", "-pix_fmt", "yuv420p", "-")
    let size = 640 * 360 * 3 / 2
    return (0..<outcome.output.count / size).map { outcome.output.subdata(in: $0 * size..<($0 + 1) * size) }
  }

  /// `recovery_frame_cnt` of the first message in a stream.
  private func recovery(_ file: String, _ format: String) throws -> Int? {
    let log = try run(
      "ffmpeg", "-v", "trace", "-f", format, "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"
    ).errors
    return log.split(separator: "\n").first { $0.contains(" recovery_frame_cnt ") }?.split(separator: " ").last
      .flatMap { Int($0) }
  }

  @Test func aReaderThatJoinsAtARefreshHasWholePicturesSoon() throws {
    guard Machine.hasX264 else { return }
    // Its reader is there before the first picture, the only key picture.
    let served = try Served(
      configuration: Pipelines.small("venc/0/backend = x264\nvenc/0/intra_refresh = column\n", gop: 40, of: "vi/0")
        .replacingOccurrences(of: "vi/0/enable = 1", with: "vi/0/enable = 0"), ahead: true)
    let whole = try Recording(served, "venc/0/stream")
    try served.echo("1", to: "vi/0/enable")
    #expect(try eventually { try served.stats("venc/0")["recovery_points"] ?? 0 >= 2 })
    // Each begins at the newest refresh: none of them sees a key picture.
    let forms = ["stream": "h264"].merging(Machine.hasFFmpeg ? ["stream.ts": "mpegts", "stream.mp4": "mp4"] : [:]) {
      one, _ in one
    }
    let joined = try forms.map { (try Recording(served, "venc/0/\($0.key)"), $0.value) }
    #expect(try served.advances("venc/0", "frames_out", by: 90))
    for (recording, _) in joined { recording.stop() }
    whole.stop()
    let stats = try served.stats("venc/0")
    #expect(stats["key_frames"] == 1 && stats["reencoded"] == 0 && stats["discarded"] == 0, "\(stats)")
    #expect(try Video.complaints(whole.file) == "")
    let pictures = try decode(whole.file, "h264")
    for (recording, format) in joined {
      let tail = try decode(recording.file, format)
      let count = try #require(try recovery(recording.file, format))
      try #require(tail.count > count + 20, "\(format): \(tail.count) pictures")
      // Where it joined: from the first whole picture on, both have the same.
      let place = try #require(pictures.indices.first { pictures[$0] == tail[count] }, "\(format): \(count)")
      #expect(place > count && pictures[place - count] != tail[0], "\(format): it began with a refresh")
      let common = min(tail.count - count, pictures.count - place)
      #expect(tail[count..<count + common].elementsEqual(pictures[place..<place + common]), "\(format)")
    }
  }

  @Test func refreshesAreSwitchedOnAndOffAndShown() throws {
    guard Machine.hasX264 else { return }
    let served = try served("x264", gop: 13)
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "Syntax INFO1", "IntraRefresh") == "N")
    try served.echo("column", to: "venc/0/intra_refresh")
    #expect(try verdict(served, "intra_refresh")?.contains(": effective old=off new=column ") == true)
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "Syntax INFO1", "IntraRefresh") == "Y" && page.value(0, "Syntax INFO1", "RefreshMode") == "1")
    // 40 columns in 13 pictures.
    #expect(page.value(0, "Syntax INFO1", "RefreshNum") == "3")
    try served.echo("20", to: "venc/0/gop")
    #expect(try verdict(served, "gop")?.contains(": effective old=13 new=20 ") == true)
    let keys = try served.stats("venc/0")["key_frames"]
    #expect(try served.advances("venc/0", "frames_out", by: 50))
    #expect(try served.stats("venc/0")["key_frames"] == keys)
    try served.echo("1", to: "venc/0/idr")
    #expect(try verdict(served, "idr")?.contains(": effective ") == true)
    try served.refusal(of: "row", to: "venc/0/intra_refresh")
    #expect(try served.errorLog().last?.contains("ENOTSUP(") == true)
    try served.refusal(of: "1", to: "venc/0/gop")
    #expect(try served.errorLog().last?.contains("with a gop of 1 every picture is a key picture") == true)
    try served.echo("off", to: "venc/0/intra_refresh")
    #expect(try verdict(served, "intra_refresh")?.contains(": effective old=column new=off ") == true)
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "Syntax INFO1", "RefreshNum") == "0")
  }

  /// The headers say the new rate, for which a key frame comes.
  @Test func theRateInTheHeadersFollowsWhereThereAreNoKeyFrames() throws {
    guard Machine.hasX264 else { return }
    let served = try served("x264", "venc/0/intra_refresh = column\n", gop: 20)
    #expect(try eventually { try served.stats("venc/0")["recovery_points"] ?? 0 >= 1 })
    try served.echo("15", to: "venc/0/fps_dst")
    let points = try served.stats("venc/0")["recovery_points"] ?? 0
    #expect(try eventually { try served.stats("venc/0")["recovery_points"] ?? 0 >= points + 2 })
    #expect(try served.stats("venc/0")["key_frames"] == 2)
    let tail = try run(
      "ffprobe", "-v", "error", "-f", "h264", "-show_entries", "stream=r_frame_rate", "-of", "csv=p=0",
      served.path("venc/0/stream"))
    #expect(tail.text.trimmingCharacters(in: .whitespacesAndNewlines) == "15/1", "\(tail.text)")
  }

  @Test func aBackgroundIsKeptForManyGroupsAndShown() throws {
    let served = try served("openh264", gop: 10)
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    var page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "venc chn attr 1", "GopMode") == "normalp")
    #expect(page.value(0, "RC gop mode attr", "BgInterval") == "N/A")
    try served.echo("smartp", to: "venc/0/gop_mode")
    #expect(try verdict(served, "gop_mode")?.contains(": effective old=normalp new=smartp ") == true)
    page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "venc chn attr 1", "GopMode") == "smartp")
    #expect(page.value(0, "RC gop mode attr", "GopMode") == "smartp")
    #expect(page.value(0, "RC gop mode attr", "BgInterval") == "100")
    try served.echo("30", to: "venc/0/bg_interval")
    #expect(try verdict(served, "bg_interval")?.contains(": effective old=auto new=30 ") == true)
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "RC gop mode attr", "BgInterval") == "30")
    try served.echo("6", to: "venc/0/gop")
    #expect(try verdict(served, "gop")?.contains(": effective old=10 new=6 ") == true)
    try served.refusal(of: "31", to: "venc/0/bg_interval")
    #expect(try served.errorLog().last?.contains("no multiple of gop above it (31 and 6)") == true)
    try served.refusal(of: "7", to: "venc/0/gop")
    #expect(try served.errorLog().last?.contains("change bg_interval first") == true)
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 70))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
    let keys = try Video.frames(recording.file).enumerated().filter(\.element.isKey).map(\.offset)
    #expect(zip(keys.dropFirst(), keys).map(-).allSatisfy { $0 == 30 } && keys.count > 2, "\(keys)")
    try served.echo("normalp", to: "venc/0/gop_mode")
    #expect(try verdict(served, "gop_mode")?.contains(": effective old=smartp new=normalp ") == true)
  }

  @Test func whatAnEngineHasNotIsRefusedWithAReason() throws {
    let served = try served("openh264")
    try served.refusal(of: "column", to: "venc/0/intra_refresh")
    #expect(try served.errorLog().last?.contains("it codes blocks without reference where it likes") == true)
    guard Machine.hasX264 else { return }
    let other = try self.served("x264")
    try other.refusal(of: "smartp", to: "venc/0/gop_mode")
    let line = try #require(try other.errorLog().last)
    #expect(line.contains("ENOTSUP(") && line.contains("it keeps no long-term reference"), "\(line)")
    #expect(line.contains("backend openh264 has"), "\(line)")
  }
}
