// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// H.265 coded by x265, watched through its stream, `venc_info` and `effect`.
@Suite(.ownThread, .enabled(if: Machine.hasX265, "this build has no encoder of h265")) struct H265EngineTests {
  private func pipeline(
    _ more: String = "", gop: Int = 20, bitrate: Int = 300, of source: String = "vpss/0/0"
  ) -> String {
    Pipelines.small(more, gop: gop, bitrate: bitrate, of: source).replacingOccurrences(
      of: "venc/0/codec = h264", with: "venc/0/codec = h265")
  }

  /// Waits for the verdict on the newest change of a setting.
  private func effect(_ served: Served, _ object: String, _ key: String) throws -> String {
    var line = ""
    _ = try eventually {
      line =
        try served.cat("\(object)/effect").split(separator: "\n").last { $0.hasPrefix("\(key): ") }
        .map(String.init) ?? ""
      return !line.isEmpty && !line.contains(": pending")
    }
    return line
  }

  private func threadNames(_ served: Served) throws -> [String] {
    try shell("cat /proc/$1/task/*/comm", String(served.pid)).lines.map(String.init)
  }

  @Test func codesAndIsNamed() throws {
    let served = try Served(configuration: pipeline())
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    recording.stop()
    let active = try served.facts("venc/0/active")
    #expect(active["backend"] == "x265" && active["codec"] == "h265" && active["profile"] == "main", "\(active)")
    #expect(active["engine"]?.hasPrefix("x265 ") == true)
    #expect(try Video.complaints(recording.file, "hevc") == "")
    let frames = try Video.frames(recording.file, "hevc")
    let keys = frames.indices.filter { frames[$0].isKey }
    #expect(zip(keys.dropFirst(), keys).allSatisfy { $0 - $1 == 20 }, "\(keys)")
    #expect(frames.allSatisfy { $0.type == ($0.isKey ? "I" : "P") })
    let numbers = try Video.patternNumbers(recording.file, "hevc", width: 640, height: 360).compactMap { $0 }
    #expect(!numbers.isEmpty)
    try served.expectRising(numbers)
    // The library says nothing of its own.
    served.end()
    #expect(!served.program.errors.contains("x265"), "\(served.program.errors)")
  }

  /// Everything the channel coded went through `stream`, and FFmpeg counts the same in it.
  @Test func theCountersAreThoseOfTheStream() throws {
    let served = try Served(
      configuration: pipeline(gop: 7, of: "vi/0").replacingOccurrences(of: "vi/0/enable = 1", with: "vi/0/enable = 0"))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try eventually { try served.stats("venc/0")["readers"] == 1 })
    try served.echo("1", to: "vi/0/enable")
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    try served.echo("0", to: "vi/0/enable")
    // A picture is counted as gone out, then its bytes are, and last it is in the channel's attributes.
    #expect(
      try eventually {
        let stats = try served.stats("venc/0")
        let page = EncoderPage(try served.cat("venc_info"))
        return try stats["frames_in"] == served.stats("vi/0")["frames_out"] && stats["in_flight"] == 0
          && page.number(0, "venc chn attr 1", "Sequence") == stats["frames_out"]
      })
    let stats = try served.stats("venc/0")
    #expect(eventually { recording.size == stats["bytes_out"] }, "\(recording.size), \(stats)")
    recording.stop()
    let frames = try Video.frames(recording.file, "hevc")
    #expect(frames.count == stats["frames_out"])
    #expect(frames.filter(\.isKey).count == stats["key_frames"])
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.number(0, "venc chn attr 1", "Sequence") == frames.count)
  }

  @Test func takesChangesWhileItRuns() throws {
    let served = try Served(configuration: pipeline(gop: 30), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 31))
    for (key, value) in [("bitrate", "1500"), ("gop", "10"), ("idr", "1")] {
      try served.echo(value, to: "venc/0/\(key)")
      let line = try effect(served, "venc/0", key)
      #expect(line.hasPrefix("\(key): effective "), "\(line)")
    }
    #expect(try served.advances("venc/0", "frames_out", by: 25))
    recording.stop()
    #expect(try Video.complaints(recording.file, "hevc") == "")
    let frames = try Video.frames(recording.file, "hevc")
    try #require(frames.count > 90)
    let before = frames.prefix(30).map(\.size).reduce(0, +)
    let after = frames.suffix(30).map(\.size).reduce(0, +)
    #expect(after > 2 * before, "\(before) and \(after) bytes in a second")
    let keys = frames.indices.filter { frames[$0].isKey }
    #expect(zip(keys.dropFirst(), keys).map(-).suffix(2) == [10, 10], "\(keys)")
  }

  @Test func theRateInTheHeadersFollowsTheOneThatIsCoded() throws {
    let served = try Served(configuration: pipeline())
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    try served.echo("15", to: "venc/0/fps_dst")
    #expect(try eventually { try served.facts("venc/0/active")["fps"] == "15" })
    // A reader begins at the newest key frame.
    let keys = try served.stats("venc/0")["key_frames"] ?? 0
    #expect(try eventually { try served.stats("venc/0")["key_frames"] ?? 0 > keys })
    let tail = try run(
      "ffprobe", "-v", "error", "-f", "hevc", "-show_entries", "stream=r_frame_rate", "-of", "csv=p=0",
      served.path("venc/0/stream"))
    #expect(tail.text.trimmingCharacters(in: .whitespacesAndNewlines) == "15/1", "\(tail.text)")
  }

  @Test func fixedQuantisersAreThoseOfTheStream() throws {
    let served = try Served(
      configuration: pipeline("venc/0/rc_mode = fixqp\nvenc/0/qp_i = 22\nvenc/0/qp_p = 31\n", gop: 65536),
      ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 40))
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "RC run info1", "StartQp") == "31")
    try served.echo("44", to: "venc/0/qp_p")
    #expect(try effect(served, "venc/0", "qp_p").hasPrefix("qp_p: effective "))
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "RC run info1", "StartQp") == "44")
    // Without a new key frame: nothing was opened anew.
    #expect(try served.stats("venc/0")["key_frames"] == 1)
  }

  @Test func itsSectionsSayWhatTheStreamSays() throws {
    let served = try Served(configuration: pipeline())
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(
      page.titles(channel: 0)
        == EncoderPageTests.common + ["h265e chn attr", "Syntax INFO1", "Syntax INFO2", "Trans INFO"]
        + EncoderPageTests.rateControl)
    #expect(page.value(0, "h265e chn attr", "profile") == "main")
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    recording.stop()
    let log = try run(
      "ffmpeg", "-f", "hevc", "-i", recording.file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"
    ).errors
    func told(_ name: String) -> Int? {
      log.split(separator: "\n").last { $0.contains(" \(name) ") }?.split(separator: " ").last.flatMap { Int($0) }
    }
    let isOff = told("slice_deblocking_filter_disabled_flag") ?? told("pps_deblocking_filter_disabled_flag") ?? 0
    #expect(page.value(0, "Syntax INFO2", "DblkEn") == (isOff == 1 ? "N" : "Y"))
    #expect(page.number(0, "Syntax INFO2", "Tc") == told("pps_tc_offset_div2") ?? 0)
    #expect(page.number(0, "Syntax INFO2", "Beta") == told("pps_beta_offset_div2") ?? 0)
    // The vendor prints what is switched off.
    #expect(page.number(0, "Syntax INFO2", "Saoluma") == 1 - (told("slice_sao_luma_flag") ?? 0))
    #expect(page.number(0, "Syntax INFO2", "Saochroma") == 1 - (told("slice_sao_chroma_flag") ?? 0))
    let smoothing = try #require(told("strong_intra_smoothing_enabled_flag"))
    #expect(page.number(0, "Syntax INFO2", "IntraSmoothing") == 1 - smoothing)
    #expect(page.number(0, "Trans INFO", "CbQpOffset") == told("pps_cb_qp_offset"))
    #expect(page.number(0, "Trans INFO", "CrQpOffset") == told("pps_cr_qp_offset"))
  }

  /// Side by side, each with one thread of the library's beside the workers.
  @Test func fourChannelsCodeAndOneIsDecodedAgain() throws {
    let more = (1...3).map { number in
      """
      venc/\(number)/codec = h265
      venc/\(number)/gop = 15
      venc/\(number)/source = vpss/0/1
      venc/\(number)/enable = 1
      """
    }
    let served = try Served(
      configuration: pipeline(more.joined(separator: "\n") + (Machine.hasFFmpeg ? "\nvdec/0/enable = 1\n" : "\n")))
    for number in 0...3 { #expect(try served.advances("venc/\(number)", "frames_out", by: 20)) }
    let names = try threadNames(served)
    #expect(names.filter { $0.hasPrefix("x265 ") }.count == 4, "\(names)")
    guard Machine.hasFFmpeg else { return }
    let cat = try Child([
      "sh", "-c", #"exec cat "$1" > "$2""#, "sh", served.path("venc/1/stream"), served.path("vdec/0/feed"),
    ])
    #expect(try served.advances("vdec/0", "frames_out", by: 30))
    cat.signal(SIGTERM)
    cat.ended()
    let active = try served.facts("vdec/0/active")
    #expect(active["codec"] == "h265" && active["width"] == "320" && active["height"] == "180", "\(active)")
    #expect(try served.errorLog().isEmpty)
    // They end with their channels.
    for number in 0...3 { try served.echo("0", to: "venc/\(number)/enable") }
    #expect(try eventually { try !threadNames(served).contains { $0.hasPrefix("x265 ") } })
  }

  /// The work is done on the library's thread, and is the CPU's all the same: once that thread rests, what the kernel says
  /// of it and of the workers lies around what `metrics` says. The input goes on meanwhile.
  @Test func itsProcessorTimeIsTheCPUs() throws {
    let served = try Served(configuration: pipeline())
    #expect(try served.advances("venc/0", "frames_out", by: 120))
    try served.echo("", to: "venc/0/source")
    // A picture goes out before its task has ended, and the thread is asked for its time in between.
    #expect(
      try eventually {
        let stats = try served.stats("venc/0")
        let done = Metrics(try served.cat("metrics"))[#"mpifs_session_tasks_total{object="venc/0",cause="done"}"#]
        return stats["in_flight"] == 0 && done == stats["frames_out"].map { Double($0) }
      })
    let states = #"for t in /proc/$1/task/*; do case $(cat $t/comm) in x265*) grep ^State: $t/status;; esac; done"#
    #expect(
      try eventually {
        let found = try shell(states, String(served.pid)).lines
        return !found.isEmpty && found.allSatisfy { $0.contains("S (sleeping)") }
      })
    func kernels(_ names: String) throws -> Double {
      let text = try shell(
        "for t in /proc/$1/task/*; do case $(cat $t/comm) in \(names)) cut -d' ' -f1 $t/schedstat;; esac; done",
        String(served.pid))
      return text.lines.compactMap { Double($0) }.reduce(0, +) / 1e9
    }
    let workers = "cpu-*|vi[0-9]|vdec[0-9]"
    let library = try kernels("x265*")
    let name = #"mpifs_service_utilised_seconds_total{object="cpu"}"#
    var (before, ours, after) = (0.0, 0.0, 0.0)
    // Looked at again where the input's work of the meantime might stand for the library's.
    let isTelling = try eventually {
      before = try library + kernels(workers)
      ours = try #require(Metrics(try served.cat("metrics"))[name])
      after = try library + kernels(workers)
      return after - before < library * 0.9
    }
    #expect(isTelling, "\(library), \(before), \(after) s")
    #expect(try kernels("x265*") == library)
    // It goes to rest after its time was read.
    #expect((before - library / 20...after).contains(ours), "\(before), \(ours), \(after) s")
  }

  @Test func whatItCannotCodeIsRefusedAtTheWrite() throws {
    let served = try Served(configuration: pipeline("venc/1/codec = h264\n"))
    #expect(try served.refusal(of: "high", to: "venc/0/profile").contains("Operation not supported"))
    #expect(try served.refusal(of: "x265", to: "venc/1/backend").contains("Operation not supported"))
    #expect(try served.refusal(of: "openh264", to: "venc/0/backend").contains("Operation not supported"))
    #expect(try served.errorLog().last?.contains("openh264 does not make h265") == true)
  }
}
