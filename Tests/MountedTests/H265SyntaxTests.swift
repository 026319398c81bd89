// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Settings of an H.265 stream's syntax: the stream has them by FFmpeg's reading, `effect` says so, `venc_info` shows them.
@Suite(.ownThread, .enabled(if: Machine.hasX265, "this build has no x265")) struct H265SyntaxTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var key: String
    var value: String
    /// The syntax element by its name in ITU-T H.265, and its value.
    var element: String
    var coded: Set<String>
    /// Table and column of `venc_info` that show it, and what stands there.
    var column: (table: String, title: String, shown: String)
    var testDescription: String { "\(key) = \(value)" }
  }

  static let cases = [
    Case(
      key: "deblocking", value: "0", element: "pps_deblocking_filter_disabled_flag", coded: ["1"],
      column: ("Syntax INFO2", "DblkEn", "N")),
    Case(
      key: "deblocking_tc", value: "-3", element: "pps_tc_offset_div2", coded: ["-3"],
      column: ("Syntax INFO2", "Tc", "-3")),
    Case(
      key: "deblocking_beta", value: "4", element: "pps_beta_offset_div2", coded: ["4"],
      column: ("Syntax INFO2", "Beta", "4")),
    Case(
      key: "intra_smoothing", value: "0", element: "strong_intra_smoothing_enabled_flag", coded: ["0"],
      column: ("Syntax INFO2", "IntraSmoothing", "1")),
    Case(
      key: "chroma_qp_offset", value: "-4", element: "pps_cb_qp_offset", coded: ["-4"],
      column: ("Trans INFO", "CbQpOffset", "-4")),
  ]

  private func served() throws -> Served {
    try Served(configuration: Pipelines.small(gop: 10, codec: "h265"), ahead: true)
  }

  private func values(of element: String, in file: String) throws -> Set<String> {
    let log = try run(
      "ffmpeg", "-v", "trace", "-f", "hevc", "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"
    ).errors
    return Set(
      log.split(separator: "\n").filter { $0.contains(" \(element) ") }.compactMap {
        $0.split(separator: "=").last.map { $0.trimmingCharacters(in: .whitespaces) }
      })
  }

  private func change(_ served: Served, _ key: String, to value: String) throws -> String {
    try served.echo(value, to: "venc/0/\(key)")
    var line: Substring?
    #expect(
      try eventually {
        line = try served.cat("venc/0/effect").split(separator: "\n").last { $0.hasPrefix("\(key): ") }
        return line.map { !$0.hasPrefix("\(key): pending") } ?? false
      })
    let text = try #require(line)
    #expect(text.hasPrefix("\(key): effective ") && text.hasSuffix("measured=\(value)"), "\(text)")
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 25))
    recording.stop()
    #expect(try Video.complaints(recording.file, "hevc") == "")
    return recording.file
  }

  @Test(arguments: cases) func aSettingIsInTheStreamInEffectAndInThePage(_ test: Case) throws {
    let served = try served()
    #expect(try served.advances("venc/0", "frames_out", by: 12))
    let file = try change(served, test.key, to: test.value)
    #expect(try values(of: test.element, in: file) == test.coded)
    #expect(
      EncoderPage(try served.cat("venc_info")).value(0, test.column.table, test.column.title) == test.column.shown)
  }

  /// Whether a slice uses it is the engine's choice; off is off in all of them.
  @Test func sampleAdaptiveOffsetIsSwitchedOnAndOff() throws {
    let served = try served()
    #expect(try served.advances("venc/0", "frames_out", by: 12))
    let element = "sample_adaptive_offset_enabled_flag"
    #expect(try values(of: element, in: change(served, "sao", to: "1")) == ["1"])
    #expect(try values(of: element, in: change(served, "sao", to: "0")) == ["0"])
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "Syntax INFO2", "Saoluma") == "1" && page.value(0, "Syntax INFO2", "Saochroma") == "1")
  }

  @Test(arguments: [
    ("entropy", "cavlc", "H.265 has CABAC alone"), ("transform_8x8", "1", "block by block"),
    ("deblocking_alpha", "2", "deblocking_tc in its place"), ("slice_mode", "rows", "a picture's delay"),
    ("intra_refresh", "column", "pictures never become whole"), ("gop_mode", "smartp", "no long-term reference"),
  ]) func whatItHasNotIsRefusedWithAReason(_ key: String, value: String, reason: String) throws {
    let served = try served()
    try served.refusal(of: value, to: "venc/0/\(key)")
    let line = try #require(try served.errorLog().last)
    #expect(line.contains("ENOTSUP(") && line.contains(reason), "\(line)")
  }

  @Test func whatIsOfH265AloneIsRefusedOfOthers() throws {
    let served = try Served(configuration: Pipelines.small("venc/0/backend = openh264\n"))
    for (key, value) in [("deblocking_tc", "2"), ("sao", "0"), ("intra_smoothing", "0")] {
      try served.refusal(of: value, to: "venc/0/\(key)")
      let line = try #require(try served.errorLog().last)
      #expect(line.contains("it is H.265's") && line.contains("backend x265 has"), "\(line)")
    }
  }
}
