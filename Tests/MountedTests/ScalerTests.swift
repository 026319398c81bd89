// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What the settings of inputs and scalers do to the picture.
@Suite(.ownThread) struct ScalerTests {
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

  /// Frames of `stats` that were lost for want of time, as a busy machine loses some.
  private func late(_ stats: [String: Int]) -> Int {
    ["queue_full", "no_buffer", "late"].reduce(0) { $0 + (stats["dropped_\($1)"] ?? 0) }
  }

  @Test func mirrorAndFlipTurnTheRunningPicture() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try served.snapshot(of: "vpss/0/0"), undoing: "null") != nil)
    for (key, filter) in [("mirror", "hflip"), ("flip", "vflip")] {
      try served.echo("1", to: "vpss/0/0/\(key)")
      #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
      let file = try served.snapshot(of: "vpss/0/0")
      let right = try number(served, file, undoing: filter)
      // What stands in the number's place may look like one, but not like this one.
      #expect(try right != nil && number(served, file, undoing: "null") != right, "\(key)")
      try served.echo("0", to: "vpss/0/0/\(key)")
      #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
      #expect(try number(served, try served.snapshot(of: "vpss/0/0"), undoing: "null") != nil)
    }
  }

  @Test(arguments: [(90, "transpose=cclock"), (180, "hflip,vflip"), (270, "transpose=clock")])
  func rotationIsClockwise(degrees: Int, undoing filter: String) throws {
    let served = try Served(
      configuration: Pipelines.small().replacingOccurrences(
        of: "vpss/0/0/enable", with: "vpss/0/0/rotation = \(degrees)\nvpss/0/0/enable"))
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    let file = try served.snapshot(of: "vpss/0/0")
    #expect(try Video.jpegSize(file) == (degrees == 180 ? (640, 360) : (360, 640)))
    #expect(try number(served, file, undoing: filter) != nil)
    // What is coded from it has its size.
    let active = try served.facts("venc/0/active")
    #expect(active["width"] == (degrees == 180 ? "640" : "360"))
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(20))
    try recording.stopAtPicture()
    #expect(try Video.complaints(recording.file) == "")
  }

  @Test func cropTakesAPart() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    // Without the row of cells at the bottom there is no number to be read.
    try served.echo("0,0,640,180", to: "vpss/0/crop")
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try served.snapshot(of: "vpss/0/0"), undoing: "null") == nil)
    #expect(try served.facts("vpss/0/active")["crop"]?.contains("0,0,640,180") == true)
    try served.echo("", to: "vpss/0/crop")
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try served.snapshot(of: "vpss/0/0"), undoing: "null") != nil)
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

  /// Whichever is enabled last, the group or the output.
  @Test func aPartThatCannotBeIsRefusedByWhatIsEnabledLast() throws {
    let served = try Served(configuration: Pipelines.small())
    for (first, last) in [("vpss/8/0", "vpss/8"), ("vpss/9", "vpss/9/0")] {
      let group = String(last.prefix(6))
      #expect(try run("mkdir", served.path(group), served.path("\(group)/0")).status == 0)
      try served.echo("0,0,4000,4000", to: "\(group)/0/crop")
      if first != group { try served.echo("1", to: "\(first)/enable") }
      try served.echo("vi/0", to: "\(group)/source")
      if first == group { try served.echo("1", to: "\(first)/enable") }
      #expect(try served.refusal(of: "1", to: "\(last)/enable", finally: true).contains("out of range"), "\(last)")
      #expect(try served.errorLog().last?.contains("outside the picture of 640x360") == true)
      #expect(try served.value("\(last)/enable") == "0")
      // The group's own, seen from its output.
      try served.echo("", to: "\(group)/0/crop")
    }
    try served.echo("5", to: "vpss/0/fps_dst")
    try served.echo("20", to: "vpss/0/0/fps")
    #expect(try eventually { try served.facts("vpss/0/0/active")["differs"] == "fps 20 asked, 5.0 come" })
    try served.echo("60", to: "vpss/0/fps_dst")
    #expect(try eventually { try served.facts("vpss/0/active")["differs"] == "fps_dst 60 asked, 30.0 come" })
  }

  @Test func anOutputKeepsTheRateAsked() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    try served.echo("15", to: "vpss/0/0/fps")
    let before = try served.stats("vpss/0/0")
    #expect(try served.advances("vpss/0/0", "frames_in", by: 90))
    let after = try served.stats("vpss/0/0")
    let arrived = (after["frames_in"] ?? 0) - (before["frames_in"] ?? 0)
    // Those that were kept and then lost had been kept.
    let left = (after["frames_out"] ?? 0) - (before["frames_out"] ?? 0) + late(after) - late(before)
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
    #expect(recording.has(30))
    #expect(try served.advances("venc/1", "frames_out", by: 5))
    try recording.stopAtPicture()
    #expect(try Video.complaints(recording.file) == "")
    #expect(try Video.patternNumbers(recording.file, width: 640, height: 360).compactMap { $0 }.count > 20)
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "venc chn attr 2", "PixFmt") == (format == "nv12" ? "YUV420SP" : "YUV420P"))
    #expect(try served.facts("vi/0/active")["format"] == format)
    #expect(try number(served, try served.snapshot(of: "vi/0"), undoing: "null") != nil)
  }

  /// Mean colour of a small square of a picture, 0...255.
  private func color(_ file: String, x: Int, y: Int) throws -> [Int] {
    let outcome = try run(
      "ffmpeg", "-v", "error", "-i", file, "-vf", "format=rgb24,crop=4:4:\(x):\(y),scale=1:1:flags=area", "-frames:v",
      "1",
      "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    #expect(outcome.status == 0, "\(outcome.errors)")
    return outcome.output.map { Int($0) }
  }

  private func isNear(_ found: [Int], _ wanted: [Int]) -> Bool {
    found.count == 3 && zip(found, wanted).allSatisfy { abs($0 - $1) <= 12 }
  }

  @Test func shapesAreKeptWithBarsOrByCuttingWhileItRuns() throws {
    let served = try Served(
      configuration: Pipelines.small(of: "vpss/0/1").replacingOccurrences(
        of: "vpss/0/1/height = 180", with: "vpss/0/1/height = 320"))
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    #expect(try served.facts("vpss/0/1/active")["picture"] == nil)
    try served.echo("bars", to: "vpss/0/1/aspect")
    try served.echo("#0000FF", to: "vpss/0/1/bar_color")
    #expect(try served.advances("vpss/0/1", "frames_out", by: 5))
    #expect(try served.facts("vpss/0/1/active")["picture"] == "0,70,320,180")
    let bars = try served.snapshot(of: "vpss/0/1")
    let (above, below) = (try color(bars, x: 100, y: 30), try color(bars, x: 300, y: 300))
    let between = try color(bars, x: 100, y: 100)
    #expect(isNear(above, [0, 0, 255]) && isNear(below, [0, 0, 255]) && !isNear(between, [0, 0, 255]))
    // What lies between is the whole picture.
    #expect(try number(served, bars, undoing: "crop=320:180:0:70,scale=640:360") != nil)
    try served.echo("cut", to: "vpss/0/1/aspect")
    #expect(try served.advances("vpss/0/1", "frames_out", by: 5))
    let active = try served.facts("vpss/0/1/active")
    #expect(active["crop"] == "140,0,360,360" && active["picture"] == nil)
    #expect(active["unused"]?.contains("bar_color") == true)
    let inside = try color(try served.snapshot(of: "vpss/0/1"), x: 100, y: 30)
    #expect(!isNear(inside, [0, 0, 255]))
    let stats = try served.stats("vpss/0/1")
    #expect(stats["dropped"] == late(stats), "\(stats)")
  }

  @Test func partsInThousandthsAndOfOutputs() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    try served.echo("500,0,500,1000 permille", to: "vpss/0/crop")
    #expect(try served.cat("vpss/0/crop") == "500,0,500,1000 permille\n")
    try served.echo("0,90,160,90", to: "vpss/0/0/crop")
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try served.facts("vpss/0/active")["crop"] == "320,0,320,360 (500,0,500,1000 permille)")
    #expect(try served.facts("vpss/0/0/active")["crop"] == "320,90,160,90")
    #expect(try served.facts("vpss/0/1/active")["crop"] == "320,0,320,360")
    for (path, value) in [
      ("vpss/0/0/crop", "200,0,160,90"), ("vpss/0/0/crop", "0,0,10,1000 permille"), ("vpss/0/crop", "0,0,100,100"),
    ] {
      let outcome = try shell(#"echo "$2" > "$1""#, served.path(path), value)
      #expect(outcome.status != 0)
      #expect(try served.cat("error_log").contains("ERANGE"))
    }
    #expect(try served.cat("vpss/0/0/crop") == "0,90,160,90\n")
    // The whole once more.
    try served.echo("", to: "vpss/0/0/crop")
    try served.echo("0,0,1000,1000 permille", to: "vpss/0/crop")
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    #expect(try number(served, try served.snapshot(of: "vpss/0/0"), undoing: "null") != nil)
    let stats = try served.stats("vpss/0/0")
    #expect(stats["dropped"] == late(stats), "\(stats)")
  }

  /// The counts of `vpss/0`, `vpss/0/0` and `vpss/0/1` of one moment: nothing was under way in them, and nothing came meanwhile.
  private func groupCounts(_ served: Served) throws -> [[String: Int]] {
    var found: [[String: Int]] = []
    let agree = try eventually {
      let outcome = try python(
        """
        import sys
        for name in sys.argv[2:]:
            print(open(sys.argv[1] + '/' + name + '/stats').read() + '=')
        """, served.at, "vpss/0", "vpss/0/0", "vpss/0/1", "vpss/0")
      found = outcome.text.components(separatedBy: "=\n").dropLast().map { text in
        Dictionary(
          text.split(separator: "\n").compactMap { line -> (String, Int)? in
            let words = line.split(separator: " ")
            guard words.count == 2, words[0].hasSuffix(":"), let count = Int(words[1]) else { return nil }
            return (String(words[0].dropLast()), count)
          }, uniquingKeysWith: { first, _ in first })
      }
      return found.count == 4 && found[0]["frames_in"] == found[3]["frames_in"]
        && found.allSatisfy { $0["in_flight"] == 0 }
    }
    try #require(agree, "\(found)")
    return found
  }

  @Test func aGroupKeepsTheRateAskedForAllOfItsOutputs() throws {
    let served = try Served(configuration: Pipelines.small("vpss/0/1/fps = 5"))
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    try served.echo("10", to: "vpss/0/fps_dst")
    let outcome = try shell(#"echo 5 > "$1""#, served.path("vpss/0/fps_src"))
    #expect(try outcome.status != 0 && served.cat("error_log").contains("ERANGE"))
    let before = try groupCounts(served)
    #expect(try served.advances("vpss/0", "frames_in", by: 90))
    let after = try groupCounts(served)
    func more(_ key: String, _ place: Int) -> Int { (after[place][key] ?? 0) - (before[place][key] ?? 0) }
    /// What the table kept, those included that were lost afterwards.
    func kept(_ place: Int) -> Int { more("frames_out", place) + late(after[place]) - late(before[place]) }
    let (came, given) = (more("frames_in", 0), more("frames_out", 0))
    #expect(abs(came - 3 * kept(0)) <= 6, "\(kept(0)) of \(came)")
    #expect(abs(more("dropped_frame_control", 0) - (came - kept(0))) <= 2)
    #expect(abs(kept(1) - given) <= 2)
    #expect(abs(2 * kept(2) - given) <= 4)
    #expect(try served.facts("vpss/0/0/active")["fps"] == "10" && served.facts("vpss/0/1/active")["fps"] == "5")
    #expect(
      try SystemPage(served.cat("vsys")).tables.contains {
        $0.entries.count == 30 && $0.entries.prefix(4) == [0, 1, 2, 0]
      })
  }

  @Test(arguments: ["nv21", "yuyv", "uyvy", "xrgb8888", "xbgr8888", "rgb24", "bgr24", "grey"])
  func everyFormatIsMadeAndCoded(format: String) throws {
    let served = try Served(
      configuration: Pipelines.small("vpss/0/1/format = \(format)").replacingOccurrences(
        of: "vpss/0/0/enable", with: "vpss/0/0/format = \(format)\nvpss/0/0/enable"))
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(30))
    try recording.stopAtPicture()
    #expect(try served.facts("vpss/0/0/active")["format"] == format)
    #expect(try Video.complaints(recording.file) == "")
    #expect(try Video.patternNumbers(recording.file, width: 640, height: 360).compactMap { $0 }.count > 20)
    #expect(try number(served, try served.snapshot(of: "vpss/0/1"), undoing: "scale=640:360") != nil)
  }
}
