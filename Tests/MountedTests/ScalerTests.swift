// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What the settings of inputs and scalers do to the picture.
@Suite(.ownThread) struct ScalerTests {
  private func picture(_ served: Served, _ object: String) throws -> String {
    let file = served.scratch + "/\(UUID().uuidString).jpg"
    let outcome = try run("cp", served.path("\(object)/snapshot.jpg"), file)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return file
  }

  /// The pattern's number in a picture after FFmpeg has turned it back.
  private func number(_ served: Served, _ file: String, undoing filter: String, width: Int = 640, height: Int = 360)
    throws -> Int?
  {
    let turned = served.scratch + "/\(UUID().uuidString).mjpeg"
    let outcome = try run(
      "ffmpeg", "-v", "error", "-i", file, "-vf", filter, "-q:v", "2", "-f", "mjpeg", turned)
    #expect(outcome.status == 0, "\(outcome.errors)")
    return try Video.patternNumbers(turned, "mjpeg", width: width, height: height, originalWidth: 640).first ?? nil
  }

  @Test func mirrorAndFlipTurnTheRunningPicture() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try picture(served, "vpss/0/0"), undoing: "null") != nil)
    for (key, filter) in [("mirror", "hflip"), ("flip", "vflip")] {
      try served.echo("1", to: "vpss/0/0/\(key)")
      #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
      let file = try picture(served, "vpss/0/0")
      let right = try number(served, file, undoing: filter)
      // What stands in the number's place may look like one, but not like this one.
      #expect(try right != nil && number(served, file, undoing: "null") != right, "\(key)")
      try served.echo("0", to: "vpss/0/0/\(key)")
      #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
      #expect(try number(served, try picture(served, "vpss/0/0"), undoing: "null") != nil)
    }
  }

  @Test(arguments: [(90, "transpose=cclock"), (180, "hflip,vflip"), (270, "transpose=clock")])
  func rotationIsClockwise(degrees: Int, undoing filter: String) throws {
    let served = try Served(
      configuration: Pipelines.small().replacingOccurrences(
        of: "vpss/0/0/enable", with: "vpss/0/0/rotation = \(degrees)\nvpss/0/0/enable"))
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    let file = try picture(served, "vpss/0/0")
    #expect(try Video.jpegSize(file) == (degrees == 180 ? (640, 360) : (360, 640)))
    #expect(try number(served, file, undoing: filter) != nil)
    // What is coded from it has its size.
    let active = try served.facts("venc/0/active")
    #expect(active["width"] == (degrees == 180 ? "640" : "360"))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
  }

  @Test func cropTakesAPart() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    // Without the row of cells at the bottom there is no number to be read.
    try served.echo("0,0,640,180", to: "vpss/0/crop")
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try picture(served, "vpss/0/0"), undoing: "null") == nil)
    #expect(try served.facts("vpss/0/active")["crop"]?.contains("0,0,640,180") == true)
    try served.echo("", to: "vpss/0/crop")
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try picture(served, "vpss/0/0"), undoing: "null") != nil)
    // A part that reaches outside the picture that comes: refused, or shown as what cannot be.
    let outcome = try shell(#"echo 600,0,640,180 > "$1""#, served.path("vpss/0/crop"))
    if outcome.status == 0 {
      let shown = try eventually {
        let facts = try served.cat("vpss/0/active") + served.cat("vpss/0/state") + served.cat("error_log")
        return facts.contains("600,0,640,180") || facts.contains("failed") || facts.contains("outside")
      }
      let active = try served.cat("vpss/0/active")
      #expect(shown, "\(active)")
    }
  }

  @Test func anOutputKeepsTheRateAsked() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    try served.echo("15", to: "vpss/0/0/fps")
    let before = try served.stats("vpss/0/0")
    #expect(try served.advances("vpss/0/0", "frames_in", by: 90))
    let after = try served.stats("vpss/0/0")
    let arrived = (after["frames_in"] ?? 0) - (before["frames_in"] ?? 0)
    let left = (after["frames_out"] ?? 0) - (before["frames_out"] ?? 0)
    let dropped = (after["dropped_frame_control"] ?? 0) - (before["dropped_frame_control"] ?? 0)
    #expect(abs(arrived - 2 * left) <= 4, "\(left) of \(arrived)")
    #expect(abs(dropped - left) <= 4)
    // The other output is not touched.
    #expect(try served.stats("vpss/0/1")["dropped_frame_control"] == 0)
  }

  @Test(arguments: [(30, 7), (30, 20), (30, 10), (25, 24), (60, 1), (240, 239)])
  func dropTablesKeepAsManyAsAsked(source: Int, target: Int) throws {
    let served = try Shared.tables
    let channel = try Shared.nextChannel()
    #expect(try run("mkdir", served.path("venc/\(channel)")).status == 0)
    try served.echo(String(source), to: "venc/\(channel)/fps_src")
    try served.echo(String(target), to: "venc/\(channel)/fps_dst")
    let page = SystemPage(try served.cat("vsys"))
    let row = try #require(page.row("venc", channel))
    #expect(row.baseIn == source)
    let table = try #require(page.tables.first { $0.id == row.id && $0.side == "in" })
    #expect(table.entries.count == source)
    #expect(table.entries.filter { $0 == 0 }.count == target, "\(table.entries)")
    #expect(table.entries.first == 0)
    if (source, target) == (30, 10) { #expect(Array(table.entries.prefix(6)) == [0, 1, 2, 0, 1, 2]) }
    if (source, target) == (30, 7) {
      let starts = table.entries.indices.filter { table.entries[$0] == 0 } + [30]
      #expect(zip(starts.dropFirst(), starts).map { $0 - $1 - 1 } == [4, 4, 3, 3, 3, 3, 3])
    }
  }

  @Test(arguments: ["i420", "nv12"]) func bothFormatsAreCoded(format: String) throws {
    let served = try Served(
      configuration: Pipelines.small(
        """
        vi/0/format = \(format)
        vpss/0/0/format = \(format)
        venc/1/codec = mjpeg
        venc/1/source = vpss/0/0
        venc/1/enable = 1
        """))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    #expect(try served.advances("venc/1", "frames_out", by: 5))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
    #expect(try Video.patternNumbers(recording.file, width: 640, height: 360).compactMap { $0 }.count > 20)
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "venc chn attr 2", "PixFmt") == (format == "nv12" ? "YUV420SP" : "YUV420P"))
    #expect(try served.facts("vi/0/active")["format"] == format)
    #expect(try number(served, try picture(served, "vi/0"), undoing: "null") != nil)
  }
}
