// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The engines a build has, chosen by `backend`, each watched through its stream.
@Suite(.ownThread) struct EngineTests {
  static let engines = ["openh264"] + (Machine.hasX264 ? ["x264"] : [])

  private func pipeline(_ engine: String, _ more: String = "", gop: Int = 20) -> String {
    Pipelines.small("venc/0/backend = \(engine)\n" + more, gop: gop, bitrate: 300)
  }

  @Test(arguments: engines) func codesAndIsNamed(engine: String) throws {
    let served = try Served(configuration: pipeline(engine))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    recording.stop()
    let active = try served.facts("venc/0/active")
    #expect(active["backend"] == engine)
    #expect(active["engine"]?.contains(engine) == true)
    #expect(try Video.complaints(recording.file) == "")
    let frames = try Video.frames(recording.file)
    let keys = frames.indices.filter { frames[$0].isKey }
    #expect(zip(keys.dropFirst(), keys).allSatisfy { $0 - $1 == 20 }, "\(keys)")
    // No picture waits for a later one: no B frames.
    #expect(frames.allSatisfy { $0.type == "I" || $0.type == "P" })
    let numbers = try Video.patternNumbers(recording.file, width: 640, height: 360).compactMap { $0 }
    #expect(!numbers.isEmpty)
    try served.expectRising(numbers)
  }

  /// What an engine does not take is made for it.
  @Test(arguments: engines + (Machine.hasX265 ? ["x265"] : [])) func takesFramesOfAnotherFormat(engine: String) throws {
    let coding = engine == "x265" ? "h265" : "h264"
    let served = try Served(
      configuration: """
        vi/0/input = pattern
        vi/0/width = 320
        vi/0/height = 240
        vi/0/format = nv12
        vi/0/enable = 1
        venc/0/codec = \(coding)
        venc/0/backend = \(engine)
        venc/0/source = vi/0
        venc/0/enable = 1

        """)
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    let conversion = try served.facts("venc/0/active")["conversion"]
    #expect(conversion?.hasPrefix(engine == "x264" ? "none" : "nv12 to i420 by ") == true, "\(conversion ?? "")")
  }

  @Test(arguments: engines) func takesChangesWhileItRuns(engine: String) throws {
    let served = try Served(configuration: pipeline(engine, gop: 30), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 31))
    for (key, value) in [("bitrate", "1500"), ("gop", "10"), ("idr", "1")] {
      try served.echo(value, to: "venc/0/\(key)")
      let told = try eventually {
        try served.cat("venc/0/effect").split(separator: "\n").contains { $0.hasPrefix("\(key): effective") }
      }
      let effect = try served.cat("venc/0/effect")
      #expect(told, "\(effect)")
    }
    #expect(try served.advances("venc/0", "frames_out", by: 25))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
    let frames = try Video.frames(recording.file)
    try #require(frames.count > 90)
    let before = frames.prefix(30).map(\.size).reduce(0, +)
    let after = frames.suffix(30).map(\.size).reduce(0, +)
    #expect(after > 2 * before, "\(before) and \(after) bytes in a second")
  }

  @Test(arguments: engines) func profilesAreThoseOfTheStream(engine: String) throws {
    for (profile, names) in [
      ("baseline", ["Baseline", "Constrained Baseline"]), ("main", ["Main"]), ("high", ["High"]),
    ] {
      let served = try Served(configuration: pipeline(engine, "venc/0/profile = \(profile)"))
      #expect(try served.advances("venc/0", "frames_out", by: 5))
      let outcome = try run(
        "ffprobe", "-v", "error", "-f", "h264", "-show_entries", "stream=profile", "-of", "csv=p=0",
        served.path("venc/0/stream"))
      let found = outcome.text.trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(names.contains(found), "\(engine) \(profile): \(found)")
      #expect(EncoderPage(try served.cat("venc_info")).value(0, "h264e chn attr", "profile") == profile)
      #expect(try served.facts("venc/0/active")["profile"] == profile)
    }
  }

  @Test func theEngineNamedInAWriteIsTakenOrRefused() throws {
    let served = try Served(configuration: Pipelines.small("venc/1/codec = h264"))
    for engine in Self.engines + ["auto", "software"] { try served.echo(engine, to: "venc/1/backend") }
    if !Machine.hasX264 {
      #expect(try served.refusal(of: "x264", to: "venc/1/backend").contains("Operation not supported"))
    }
  }

  /// A sensor of 12 megapixels is more than openh264 codes.
  private static let large = """
    vi/0/input = pattern
    vi/0/width = 4056
    vi/0/height = 3040
    vi/0/fps = 1
    vi/0/enable = 1
    venc/0/source = vi/0

    """

  @Test func anEncoderWhoseSourceIsTooLargeCanBeLeft() throws {
    let served = try Served(configuration: Self.large + "venc/0/backend = openh264\n")
    #expect(try served.refusal(of: "1", to: "venc/0/enable").contains("out of range"))
    try served.echo("1000", to: "venc/0/bitrate")
    try served.echo("", to: "venc/0/source")
    try served.echo("vi/0", to: "venc/0/source")
    #expect(try run("rmdir", served.path("venc/0")).status == 0)
  }

  @Test(.enabled(if: Machine.hasX264, "this build has no second encoder of h264"))
  func autoTakesTheEngineThatCanCodeTheSize() throws {
    let served = try Served(configuration: Self.large)
    try served.echo("1", to: "venc/0/enable")
    #expect(try eventually { try served.facts("venc/0/active")["backend"] == "x264" })
    #expect(try served.advances("venc/0", "frames_out", by: 2))
  }
}
