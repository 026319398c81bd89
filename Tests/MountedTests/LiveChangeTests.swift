// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Changes of a running pipeline: what the stream shows, found by FFmpeg, and what `effect` says.
@Suite(.ownThread) struct LiveChangeTests {
  /// Waits for the verdict on the newest change of a setting.
  private func effect(
    _ served: Served, _ object: String, _ key: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String: String] {
    var line = ""
    _ = try eventually {
      line =
        try served.cat("\(object)/effect").split(separator: "\n").last { $0.hasPrefix("\(key): ") }
        .map(String.init) ?? ""
      return !line.isEmpty && !line.contains(": pending")
    }
    #expect(line.hasPrefix("\(key): effective "), "\(line)", sourceLocation: sourceLocation)
    let pairs = line.matches(of: /(\w+)=(\S*)/).map { (String($0.1), String($0.2)) }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  private func expectHealthy(_ file: String, _ format: String = "h264") throws {
    let complaints = try Video.complaints(file, format)
    #expect(complaints.isEmpty, "\(complaints)")
  }

  /// Kilobits a second of the last thirty pictures of a recording: those that a busy machine left out took their time too, as the
  /// pattern's numbers tell.
  private func lastRate(_ file: String, _ format: String = "h264") throws -> Double {
    let pictures = try Video.frames(file, format)
    let numbers = try Video.patternNumbers(file, format, width: 640, height: 360)
    try #require(pictures.count > 30 && numbers.count > 30)
    let (first, last) = (try #require(numbers[numbers.count - 31]), try #require(numbers[numbers.count - 1]))
    return pictures.suffix(30).reduce(0) { $0 + Double($1.size * 8) } / 1000 * 30 / Double(last - first)
  }

  @Test func bitrate() throws {
    let served = try Served(configuration: Pipelines.small(gop: 30, bitrate: 150), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 90))
    let coded = try served.stats("venc/0")["frames_out"] ?? 0
    try served.echo("1200", to: "venc/0/bitrate")
    let codedThen = try served.stats("venc/0")["frames_out"] ?? 0
    let said = try effect(served, "venc/0", "bitrate")
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    recording.stop()
    #expect(try served.value("venc/0/bitrate") == "1200")
    #expect(said["old"] == "150" && said["new"] == "1200")
    // The first picture after the change; one has gone out a moment before it is counted.
    #expect((coded - 1...codedThen).contains(Int(said["frame"] ?? "") ?? -1), "\(said), \(coded), \(codedThen)")
    try expectHealthy(recording.file)
    let sizes = try Video.frames(recording.file).map { Double($0.size) }
    try #require(sizes.count > 120)
    let before = sizes[30..<60].reduce(0, +)
    let after = sizes.suffix(30).reduce(0, +)
    #expect(after > 2.5 * before, "\(before) and \(after) bytes in thirty pictures")
    let measured = try #require(Double(said["measured"] ?? ""))
    #expect((0.8...1.2).contains(measured / 1200), "effect measured \(measured)")
    let last = try lastRate(recording.file)
    #expect((0.6...1.4).contains(last / measured), "\(last) kbps, measured \(measured) kbps")
  }

  @Test func frameRate() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    try served.echo("30", to: "venc/0/fps_src")
    try served.echo("10", to: "venc/0/fps_dst")
    let said = try effect(served, "venc/0", "fps_dst")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    recording.stop()
    #expect(said["new"] == "10")
    let measured = try #require(Double(said["measured"] ?? ""))
    #expect((9...11).contains(measured))
    try expectHealthy(recording.file)
    let numbers = try Video.patternNumbers(recording.file, width: 640, height: 360).compactMap { $0 }
    let steps = zip(numbers.dropFirst(), numbers).map(-)
    try #require(steps.count >= 30, "\(steps)")
    // Each, then each third, but for those that a busy machine has lost, which are counted.
    let lost = try ["vi/0", "vpss/0", "vpss/0/0", "venc/0"].reduce(0) { sum, object in
      let stats = try served.stats(object)
      return sum + (stats["dropped"] ?? 0) - (stats["dropped_frame_control"] ?? 0)
        + (stats["reader_lost_pictures"] ?? 0)
    }
    #expect(steps.prefix(20).reduce(0) { $0 + $1 - 1 } <= lost, "\(lost) lost: \(steps)")
    #expect(steps.suffix(10).allSatisfy { $0 >= 3 }, "\(steps)")
    #expect(steps.suffix(10).reduce(0) { $0 + $1 - 3 } <= lost, "\(lost) lost: \(steps)")
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "RC base param 1", "ViFr") == "30")
    #expect(page.value(0, "RC base param 1", "TrgFr") == "10")
  }

  @Test func groupOfPictures() throws {
    let served = try Served(configuration: Pipelines.small(gop: 50), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    try served.echo("12", to: "venc/0/gop")
    let said = try effect(served, "venc/0", "gop")
    #expect(try served.advances("venc/0", "frames_out", by: 40))
    recording.stop()
    #expect(said["old"] == "50" && said["new"] == "12" && said["measured"] == "12", "\(said)")
    try expectHealthy(recording.file)
    let frames = try Video.frames(recording.file)
    let keys = frames.indices.filter { frames[$0].isKey }
    let distances = zip(keys.dropFirst(), keys).map(-)
    #expect(distances.suffix(2) == [12, 12], "\(distances)")
    let shown = EncoderPage(try served.cat("venc_info")).value(0, "RC base param 1", "Gop")
    #expect(shown == "12")
  }

  @Test func keyFrameOnDemand() throws {
    let served = try Served(configuration: Pipelines.small(gop: 65536), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    try served.echo("1", to: "venc/0/idr")
    let said = try effect(served, "venc/0", "idr")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    recording.stop()
    try expectHealthy(recording.file)
    let frames = try Video.frames(recording.file)
    let keys = frames.indices.filter { frames[$0].isKey }
    #expect(keys.count == 2 && keys.first == 0, "key frames at \(keys)")
    #expect(said["frame"] != nil)
    // The file reads as empty, and is not in config.
    #expect(try served.cat("venc/0/idr") == "")
    #expect(try !served.cat("config").contains("idr"))
  }

  @Test func lookingAsksForNoKeyFrame() throws {
    let served = try Served(configuration: Pipelines.small(gop: 65536), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let recording = try Recording(served, "venc/0/stream")
    for _ in 0..<10 {
      _ = try served.cat("venc_info")
      _ = try served.cat("report")
      _ = try run("cat", served.path("venc/0/snapshot.jpg"))
      let other = try Recording(served, "venc/0/stream")
      #expect(eventually { other.size > 0 })
      other.stop()
    }
    recording.stop()
    let frames = try Video.frames(recording.file)
    #expect(frames.count > 10 && frames.filter(\.isKey).count == 1)
  }

  /// A bitrate of motion JPEG: held, changed, and what keeps it back is named.
  @Test func jpegBitrate() throws {
    let served = try Served(
      configuration: Pipelines.small(
        """
        venc/1/codec = mjpeg
        venc/1/rc_mode = cbr
        venc/1/bitrate = 3000
        venc/1/qfmin = 5
        venc/1/source = vpss/0/0
        venc/1/enable = 1
        """), ahead: true)
    #expect(try served.advances("venc/1", "frames_out", by: 45))
    #expect(
      try served.facts("venc/1/active")["rate_control"] == "the runtime's, by the quality factor of each picture")
    let recording = try Recording(served, "venc/1/stream")
    try served.echo("6000", to: "venc/1/bitrate")
    let said = try effect(served, "venc/1", "bitrate")
    #expect(said["old"] == "3000" && said["new"] == "6000", "\(said)")
    try recording.stopAtImage()
    try expectHealthy(recording.file, "mjpeg")
    let last = try lastRate(recording.file, "mjpeg")
    #expect((0.85...1.15).contains(last / 6000), "\(last) kbps")
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(
      page.value(1, "RC base param 1", "RcMode") == "cbr" && page.value(1, "RC base param 1", "Br(kbps)") == "6000")
    #expect(page.value(1, "jpege chn attr", "qfmin") == "5" && page.value(1, "jpege chn attr", "qfmax") == "99")
    // The factor is kept low, and the rate with it.
    try served.echo("20", to: "venc/1/qfmax")
    let bound = try effect(served, "venc/1", "qfmax")
    let highest = (bound["measured"] ?? "").split(separator: ".").last.map(String.init)
    #expect(highest == "20", "\(bound)")
    try served.echo("8000", to: "venc/1/bitrate")
    var line: Substring = ""
    #expect(
      try eventually {
        line = try served.cat("venc/1/effect").split(separator: "\n").last { $0.hasPrefix("bitrate: ") } ?? ""
        return line.contains("limited by qfmax") && line.hasSuffix(" quality=20")
      }, "\(line)")
    #expect(EncoderPage(try served.cat("venc_info")).value(1, "jpege chn attr", "qfactor") == "20")
  }

  @Test func jpegQuality() throws {
    let served = try Served(
      configuration: Pipelines.small(
        """
        venc/1/codec = mjpeg
        venc/1/quality = 20
        venc/1/source = vpss/0/0
        venc/1/enable = 1
        """), ahead: true)
    #expect(try served.advances("venc/1", "frames_out", by: 10))
    let recording = try Recording(served, "venc/1/stream")
    #expect(try served.advances("venc/1", "frames_out", by: 20))
    try served.echo("90", to: "venc/1/quality")
    let said = try effect(served, "venc/1", "quality")
    #expect(try served.advances("venc/1", "frames_out", by: 20))
    try recording.stopAtImage()
    #expect(said["old"] == "20" && said["new"] == "90", "\(said)")
    try expectHealthy(recording.file, "mjpeg")
    let sizes = try Video.frames(recording.file, "mjpeg").map(\.size)
    #expect(Double(try #require(sizes.last)) > 1.5 * Double(try #require(sizes.first)), "\(sizes)")
  }

  @Test func enable() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    try served.echo("0", to: "venc/0/enable")
    #expect(try served.value("venc/0/state") == "stopped")
    let still = try served.stats("venc/0")["frames_out"] ?? 0
    // The rest goes on while this one stands.
    #expect(try served.advances("vpss/0/0", "frames_out", by: 20))
    #expect(try served.stats("venc/0")["frames_out"] == still)
    try served.echo("1", to: "venc/0/enable")
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    recording.stop()
    #expect(try eventually { try served.value("venc/0/state") == "running" })
    try expectHealthy(recording.file)
    #expect(try Video.frames(recording.file).first?.isKey == true)
    _ = try effect(served, "venc/0", "enable")
    // Counters go on where they were.
    #expect(try served.stats("venc/0")["frames_out"] ?? 0 >= still + 30)
  }

  @Test func source() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    try served.echo("vpss/0/1", to: "venc/0/source")
    _ = try effect(served, "venc/0", "source")
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    recording.stop()
    try expectHealthy(recording.file)
    let frames = try Video.frames(recording.file)
    #expect(frames.first?.width == 640)
    #expect(frames.last?.width == 320 && frames.last?.height == 180)
    let change = try #require(frames.firstIndex { $0.width == 320 })
    #expect(frames[change].isKey)
    #expect(try served.facts("venc/0/active")["width"] == "320")
    let page = SystemPage(try served.cat("vsys"))
    let encoder = try #require(page.row("venc", 0))
    #expect(page.rows.filter { $0.next.contains(encoder.id) }.count == 1)
    // The same source again changes nothing.
    let log = try served.cat("venc/0/effect")
    try served.echo("vpss/0/1", to: "venc/0/source")
    #expect(try served.cat("venc/0/effect").split(separator: "\n").count == log.split(separator: "\n").count)
  }

  @Test func whatCannotChangeWhileRunningIsRefused() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    for (node, value) in [
      ("venc/0/codec", "mjpeg"), ("vi/0/width", "320"), ("vi/0/fps", "15"), ("vpss/0/0/height", "720"),
      ("vpss/0/0/rotation", "90"),
    ] {
      let old = try served.value(node)
      #expect(try served.refusal(of: value, to: node).contains("Device or resource busy"), "\(node)")
      #expect(try served.value(node) == old)
      let line = try #require(try served.errorLog().last)
      #expect(line.contains(node) && line.contains("EBUSY") && line.contains("/enable"), "\(line)")
    }
    // The same value is no change.
    try served.echo("h264", to: "venc/0/codec")
    // Stopped, it can be changed.
    try served.echo("0", to: "venc/0/enable")
    try served.echo("mjpeg", to: "venc/0/codec")
    try served.echo("1", to: "venc/0/enable")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    let file = served.scratch + "/one.mjpeg"
    #expect(try shell(#"head -c 50000 "$1" > "$2""#, served.path("venc/0/stream"), file).status == 0)
    #expect(try Video.frames(file, "mjpeg").first?.width == 640)
  }

  @Test func whatTheStreamDoesNotShowIsCalledSo() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    // More than such pictures can be made to take, whatever the quantiser.
    try served.echo("0", to: "venc/0/min_qp")
    try served.echo("200000", to: "venc/0/bitrate")
    var text = ""
    let told = try eventually {
      text = try served.cat("venc/0/effect")
      return text.contains("bitrate: limited by ")
    }
    #expect(told, "\(text)")
    let measured = try #require(
      text.firstMatch(
        of: /bitrate: limited by picture too simple old=400 new=200000 frame=\d+ measured=(\d+) kbps qp=\d+/))
    #expect(try #require(Int(measured.1)) < 100_000)
    #expect(try served.value("venc/0/bitrate") == "200000")
  }

  @Test func theLast32ChangesAreKept() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    for number in 1...40 { try served.echo(String(400 + number), to: "venc/0/bitrate") }
    let lines = try served.cat("venc/0/effect").split(separator: "\n")
    #expect(lines.count == 32)
    #expect(lines.last?.contains("old=439 new=440") == true)
  }
}
