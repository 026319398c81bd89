// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Settings of the stream's syntax: the stream has them by FFmpeg's reading, `effect` says so, `venc_info` shows them.
@Suite(.ownThread) struct SyntaxTests {
  struct Case: CustomTestStringConvertible, Sendable {
    /// Attribute and value.
    var key: String
    var value: String
    /// The syntax element by its name in ITU-T H.264, and its value; none where it is not sent.
    var element: String
    var coded: Set<String>
    /// Table and column of `venc_info` that show it, and what stands there.
    var column: (table: String, title: String, shown: String)?
    var engines = EngineTests.engines
    var testDescription: String { "\(key) = \(value)" }
  }

  static let cases = [
    Case(
      key: "entropy", value: "cavlc", element: "entropy_coding_mode_flag", coded: ["0"],
      column: ("Syntax INFO2", "Cabac", "N")),
    Case(
      key: "entropy", value: "cabac", element: "entropy_coding_mode_flag", coded: ["1"],
      column: ("Syntax INFO2", "Cabac", "Y")),
    Case(
      key: "transform_8x8", value: "0", element: "transform_8x8_mode_flag", coded: [],
      column: ("Syntax INFO2", "trans8", "N"), engines: ["x264"]),
    Case(key: "deblocking", value: "0", element: "disable_deblocking_filter_idc", coded: ["1"], column: nil),
    Case(
      key: "deblocking_alpha", value: "-3", element: "slice_alpha_c0_offset_div2", coded: ["-3"],
      column: ("Syntax INFO2", "alpha", "-3")),
    Case(
      key: "deblocking_beta", value: "2", element: "slice_beta_offset_div2", coded: ["2"],
      column: ("Syntax INFO2", "beta", "2")),
    Case(
      key: "chroma_qp_offset", value: "-4", element: "chroma_qp_index_offset", coded: ["-4"], column: nil,
      engines: ["x264"]),
  ]

  /// Values of a syntax element in a stream, by FFmpeg's reader of headers.
  private func values(of element: String, in file: String) throws -> Set<String> {
    let outcome = try run(
      "ffmpeg", "-v", "trace", "-f", "h264", "-i", file, "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-")
    return Set(
      outcome.errors.split(separator: "\n").filter { $0.contains(" \(element) ") }.compactMap {
        $0.split(separator: "=").last.map { $0.trimmingCharacters(in: .whitespaces) }
      })
  }

  private func served(_ engine: String, _ more: String = "") throws -> Served {
    try Served(configuration: Pipelines.small("venc/0/backend = \(engine)\n\(more)", gop: 10), ahead: true)
  }

  /// The last line of `effect` for a setting, once it is no longer pending.
  private func verdict(_ served: Served, _ key: String) throws -> Substring? {
    var line: Substring?
    _ = try eventually {
      line = try served.cat("venc/0/effect").split(separator: "\n").last { $0.hasPrefix("\(key): ") }
      return line.map { !$0.hasPrefix("\(key): pending") } ?? false
    }
    return line
  }

  @Test(arguments: cases) func aSettingIsInTheStreamInEffectAndInThePage(_ test: Case) throws {
    for engine in test.engines where EngineTests.engines.contains(engine) {
      let served = try served(engine)
      #expect(try served.advances("venc/0", "frames_out", by: 12))
      try served.echo(test.value, to: "venc/0/\(test.key)")
      let line = try #require(try verdict(served, test.key))
      #expect(
        line.hasPrefix("\(test.key): effective ") && line.hasSuffix("measured=\(test.value)"), "\(engine): \(line)")
      // A recording begins at the newest key frame, which is to be one that came after the change.
      #expect(try served.advances("venc/0", "key_frames", by: 2))
      let recording = try Recording(served, "venc/0/stream")
      #expect(recording.has(25))
      try recording.stopAtPicture()
      #expect(try Video.complaints(recording.file) == "")
      #expect(try values(of: test.element, in: recording.file) == test.coded, "\(engine) \(test.element)")
      if let column = test.column {
        let page = EncoderPage(try served.cat("venc_info"))
        #expect(page.value(0, column.table, column.title) == column.shown, "\(engine)")
      }
    }
  }

  @Test(arguments: EngineTests.engines) func picturesAreCutIntoSlices(engine: String) throws {
    // 640x360: 23 rows of 40 macroblocks.
    let served = try served(engine)
    #expect(try served.advances("venc/0", "frames_out", by: 12))
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "Syntax INFO1", "SlcspltEn") == "N")
    #expect(try served.configure("create\nvenc/0/slice_mode = rows\nvenc/0/slice_size = 6\n").status == 0)
    let sliced = try #require(try verdict(served, "slice_mode"))
    #expect(sliced.contains(": effective ") && sliced.contains("measured=4 slices"), "\(sliced)")
    var page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "Syntax INFO1", "SlcspltEn") == "Y" && page.value(0, "Syntax INFO1", "SplitMode") == "2")
    #expect(page.value(0, "Syntax INFO1", "Slcsize") == "240")
    // A recording begins at the newest key frame, which is to be one that came after the change.
    #expect(try served.advances("venc/0", "key_frames", by: 2))
    var recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(25))
    try recording.stopAtPicture()
    #expect(try Video.complaints(recording.file) == "")
    #expect(
      try values(of: "first_mb_in_slice", in: recording.file) == ["0", "240", "480", "720"], "four slices of six rows")
    #expect(try served.configure("create\nvenc/0/slice_mode = bytes\nvenc/0/slice_size = 600\n").status == 0)
    #expect(
      try eventually {
        EncoderPage(try served.cat("venc_info")).value(0, "Syntax INFO1", "Slcsize") == "600"
      })
    page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "Syntax INFO1", "SplitMode") == "1")
    #expect(try served.advances("venc/0", "key_frames", by: 2))
    recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(26))
    try recording.stopAtPicture()
    let bytes = try Data(contentsOf: .init(filePath: recording.file))
    let sizes = Self.units(bytes).filter { [1, 5].contains($0.first.map { $0 & 31 }) }.map(\.count)
    #expect(sizes.count > 25 && sizes.allSatisfy { $0 <= 600 }, "\(sizes.max() ?? 0) bytes")
    #expect(try Video.complaints(recording.file) == "")
  }

  /// NAL units without their start codes.
  static func units(_ bytes: Data) -> [Data] {
    var units: [Data] = []
    var start: Int?
    var index = bytes.startIndex
    while let found = bytes.range(of: Data([0, 0, 1]), in: index..<bytes.endIndex) {
      if let start { units.append(bytes[start..<found.lowerBound]) }
      start = found.upperBound
      index = found.upperBound
    }
    if let start { units.append(bytes[start...]) }
    return units
  }

  @Test func whatAnEngineHasNotIsRefusedWithTheOneThatHas() throws {
    let served = try Served(configuration: Pipelines.small("venc/0/backend = openh264\n", gop: 10))
    if Machine.hasX264 {
      let refused = try served.refusal(of: "0", to: "venc/0/transform_8x8")
      #expect(refused.contains("not supported"), "\(refused)")
      let line = try #require(try served.errorLog().last)
      #expect(line.contains("ENOTSUP(") && line.contains("backend x264 has"), "\(line)")
    }
    try served.echo("0", to: "venc/0/enable")
    try served.echo("baseline", to: "venc/0/profile")
    _ = try served.refusal(of: "cabac", to: "venc/0/entropy")
    #expect(try served.errorLog().last?.contains("baseline has no cabac") == true)
    #expect(try served.value("venc/0/entropy") == "auto")
    try served.echo("bytes", to: "venc/0/slice_mode")
    _ = try served.refusal(of: "100", to: "venc/0/slice_size")
    #expect(try served.errorLog().last?.contains("at least 450 bytes") == true)
    _ = try served.refusal(of: "7", to: "venc/0/deblocking_alpha")
    #expect(try served.errorLog().last?.contains("-6..6") == true)
  }

  @Test(arguments: EngineTests.engines) func picturesAreTurnedBeforeTheyAreCoded(engine: String) throws {
    let served = try served(engine)
    #expect(try served.advances("venc/0", "frames_out", by: 12))
    #expect(try served.configure("create\nvenc/0/rotation = 90\nvenc/0/mirror = 1\n").status == 0)
    #expect(try verdict(served, "rotation")?.contains(": effective ") == true)
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "venc chn attr 2", "rotation") == "90")
    #expect(page.value(0, "venc chn attr 2", "mirror") == "Y")
    #expect(page.value(0, "venc chn attr 1", "Width") == "360")
    #expect(try served.advances("venc/0", "key_frames", by: 2))
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(25))
    try recording.stopAtPicture()
    #expect(try Video.complaints(recording.file) == "")
    let frames = try Video.frames(recording.file)
    #expect(frames.allSatisfy { $0.width == 360 && $0.height == 640 })
    // Turned back by FFmpeg, the pattern's numbers can be read again.
    let back = served.scratch + "/back.h264"
    let turned = try run(
      "ffmpeg", "-v", "error", "-f", "h264", "-i", recording.file, "-vf", "transpose=cclock,hflip", "-c:v",
      "libx264", "-qp", "10", "-bf", "0", "-f", "h264", back)
    #expect(turned.status == 0, "\(turned.errors)")
    let numbers = try Video.patternNumbers(back, width: 640, height: 360).compactMap { $0 }
    #expect(numbers.count == frames.count)
    try served.expectRising(numbers)
  }
}
