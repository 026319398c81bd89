// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The settings of the rate control on a running channel: what `effect` says, and what the stream shows of it.
@Suite(.ownThread) struct RateSettingTests {
  struct Engine: CustomTestStringConvertible, Sendable {
    var name: String
    var isH265: Bool { name == "x265" }
    var format: String { isH265 ? "hevc" : "h264" }
    var testDescription: String { name }
  }

  static let engines =
    [Engine(name: "openh264")] + (Machine.hasX264 ? [Engine(name: "x264")] : [])
    + (Machine.hasX265 ? [Engine(name: "x265")] : [])

  private func pipeline(_ engine: Engine, gop: Int, _ more: String = "") -> String {
    """
    vi/0/input = pattern
    vi/0/width = 320
    vi/0/height = 180
    vi/0/fps = 30
    vi/0/enable = 1
    venc/0/codec = \(engine.isH265 ? "h265" : "h264")
    venc/0/backend = \(engine.name)
    venc/0/gop = \(gop)
    venc/0/bitrate = 300
    \(more)
    venc/0/source = vi/0
    venc/0/enable = 1

    """
  }

  /// The verdict on the newest change of a setting, once there is one.
  private func effect(_ served: Served, _ key: String) throws -> String {
    var line = ""
    _ = try eventually {
      line =
        try served.cat("venc/0/effect").split(separator: "\n").last { $0.hasPrefix("\(key): ") }.map(String.init) ?? ""
      return !line.isEmpty && !line.contains(": pending")
    }
    return line
  }

  @Test(arguments: engines) func theModeChangesOnTheNextFrame(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 6000), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(1, engine.format))
    #expect(try served.configure("venc/0/qp_p = 37\nvenc/0/rc_mode = fixqp\n").status == 0)
    let fixed = try effect(served, "rc_mode")
    #expect(fixed.hasPrefix("rc_mode: effective old=cbr new=fixqp ") && fixed.contains(" measured=37"), "\(fixed)")
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "RC run info1", "StartQp") == "37" && page.value(0, "RC base param 1", "RcMode") == "fixqp")
    for (old, new) in [("fixqp", "cbr"), ("cbr", "vbr"), ("vbr", "avbr")] {
      try served.echo(new, to: "venc/0/rc_mode")
      let line = try effect(served, "rc_mode")
      #expect(line.hasPrefix("rc_mode: effective old=\(old) new=\(new) ") && line.contains("kbps"), "\(line)")
    }
    try recording.stopAtPicture(engine.format)
    // x264 spreads the quantiser over the blocks or does not, as it was opened.
    #expect(try served.stats("venc/0")["key_frames"] == (engine.name == "x264" ? 3 : 1))
    #expect(try Video.complaints(recording.file, engine.format) == "")
  }

  /// Sizes of key pictures in the stream from the newest one on, of six groups.
  private func keys(_ served: Served, _ engine: Engine, gop: Int) throws -> [Int] {
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(6 * gop, engine.format))
    try recording.stopAtPicture(engine.format)
    #expect(try Video.complaints(recording.file, engine.format) == "")
    return try Video.frames(recording.file, engine.format).filter(\.isKey).map(\.size)
  }

  @Test(arguments: engines) func keyPicturesThatAreTooLargeAreCodedAgain(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 20), ahead: true)
    #expect(try served.advances("venc/0", "key_frames", by: 3))
    let usual = try keys(served, engine, gop: 20)
    let bits = try #require(usual.min()) * 8 / 4
    #expect(
      try served.configure(
        """
        venc/0/super_frame_mode = reencode
        venc/0/super_i_frame = \(bits)
        venc/0/rc_priority = framebits
        venc/0/max_reencode_times = 3

        """
      ).status == 0)
    #expect(try effect(served, "super_i_frame").hasPrefix("super_i_frame: effective "))
    // A control that begins anew knows nothing of this picture, whose sharp edges cost more than photographs of its texture.
    try served.echo("0", to: "venc/0/enable")
    try served.echo("1", to: "venc/0/enable")
    #expect(try served.advances("venc/0", "frames_out", by: 1))
    let small = try keys(served, engine, gop: 20)
    #expect(small.allSatisfy { $0 * 8 <= bits }, "\(small) bytes, \(bits) bits, \(usual) before")
    let stats = try served.stats("venc/0")
    #expect(stats["reencoded"] ?? 0 > 0 && stats["discarded"] == 0, "\(stats)")
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "RC run comm param 2", "SprIFrm") == "\(bits)")
    #expect(page.value(0, "RC run comm param 2", "RCPriority") == "1")
    #expect(page.value(0, "RC run cbr param", "MaxReEncTimes") == "3")
  }

  @Test(arguments: engines) func whatIsDiscardedLeavesAStreamThatDecodes(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 30), ahead: true)
    #expect(try served.advances("venc/0", "key_frames", by: 2))
    let before = try Recording(served, "venc/0/stream")
    #expect(before.has(45, engine.format))
    try before.stopAtPicture(engine.format)
    let sizes = try Video.frames(before.file, engine.format).filter { !$0.isKey }.map(\.size).sorted()
    let limit = try #require(sizes.dropFirst(sizes.count / 2).first) * 8 / 2
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(1, engine.format))
    #expect(
      try served.configure(
        "venc/0/super_frame_mode = discard\nvenc/0/super_p_frame = \(limit)\nvenc/0/rc_priority = framebits\n"
      ).status == 0)
    #expect(try eventually { try served.stats("venc/0")["discarded"] ?? 0 > 1 })
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    try recording.stopAtPicture(engine.format)
    try served.echo("0", to: "vi/0/enable")
    #expect(try eventually { try served.stats("venc/0")["in_flight"] == 0 })
    let stats = try served.stats("venc/0")
    #expect(stats["dropped_rate_control"] == stats["discarded"], "\(stats)")
    #expect(stats["frames_in"] == (stats["frames_out"] ?? 0) + (stats["dropped"] ?? 0))
    #expect(try Video.complaints(recording.file, engine.format) == "")
    // What came out of it, nothing twice.
    let numbers = try Video.patternNumbers(recording.file, engine.format, width: 320, height: 180).compactMap { $0 }
    #expect(zip(numbers.dropFirst(), numbers).allSatisfy { $0 > $1 }, "\(numbers)")
  }

  /// One after the other, each with its verdict.
  @Test func everySettingOfTheRateControlHasItsLine() throws {
    let served = try Served(
      configuration: pipeline(Engine(name: "openh264"), gop: 30, "venc/0/rc_mode = vbr"), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    for (key, value) in [("max_bitrate", "900"), ("stat_time", "2"), ("max_iprop", "90"), ("min_iprop", "2")] {
      try served.echo(value, to: "venc/0/\(key)")
      let line = try effect(served, key)
      #expect(line.hasPrefix("\(key): effective ") || line.contains("picture too simple"), "\(line)")
      #expect(line.contains(" measured="), "\(line)")
    }
    try served.echo("1", to: "venc/0/stat_time")
    // At this quantiser the rate is held by leaving frames out alone: some of them, and all that it takes.
    #expect(try served.configure("venc/0/max_qp = 20\nvenc/0/max_i_qp = 20\nvenc/0/gop = 6000\n").status == 0)
    #expect(try effect(served, "max_qp").hasPrefix("max_qp: effective "))
    // It is 0 where a busy machine has given no picture for a while.
    var needed = 0
    #expect(
      try eventually {
        needed = EncoderPage(try served.cat("venc_info")).number(0, "RC run info1", "InsBr(kbps)") ?? 0
        return needed > 0
      })
    let most = needed * 6 / 10
    #expect(
      try served.configure(
        """
        venc/0/bitrate = \(most / 2)
        venc/0/max_bitrate = \(most)
        venc/0/lost_mode = normal
        venc/0/lost_threshold = \(most)
        venc/0/enc_gap = 1

        """
      ).status == 0, "\(needed)")
    let gap = try effect(served, "enc_gap")
    #expect(gap.hasPrefix("enc_gap: effective ") && gap.contains(" measured=1 frames left out in a row"), "\(gap)")
    try served.echo("auto", to: "venc/0/enc_gap")
    try served.echo("\(most - 1)", to: "venc/0/lost_threshold")
    let threshold = try effect(served, "lost_threshold")
    #expect(threshold.hasPrefix("lost_threshold: effective ") && threshold.contains("kbps"), "\(threshold)")
    try served.echo("none", to: "venc/0/lost_mode")
    #expect(try effect(served, "lost_mode").hasPrefix("lost_mode: effective old=normal new=none "))
    #expect(try served.stats("venc/0")["dropped_rate_control"] ?? 0 > 0)
  }

  /// The bitrate is over because of a bound that was written after it.
  @Test(arguments: engines) func aBoundExplainsTheBitrateInEitherOrder(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 30), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 30))
    // By one shell, since the first is judged by the pictures of two seconds.
    let written = try shell(
      #"echo 20 > "$1/bitrate" && echo 20 > "$1/max_qp""#, served.path("venc/0"))
    #expect(written.status == 0, "\(written.errors)")
    let line = try effect(served, "bitrate")
    #expect(line.hasPrefix("bitrate: limited by max_qp old=300 new=20 "), "\(line)")
    // And a mode by the quantiser that is written with it: after it, the pictures between the two writes would show another one.
    try served.echo("auto", to: "venc/0/max_qp")
    #expect(
      try served.configure("venc/0/rc_mode = fixqp\nvenc/0/qp_i = 30\nvenc/0/qp_p = 33\n").status == 0)
    let mode = try effect(served, "rc_mode")
    #expect(mode.hasPrefix("rc_mode: effective old=cbr new=fixqp ") && mode.contains(" measured=33"), "\(mode)")
  }

  /// How quantisers lie to each other: what `effect` and `venc_info` say, and what is in the stream.
  @Test(arguments: engines) func quantisersOfLayersAndKeyPicturesAreSetLive(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 24), ahead: true)
    try served.echo("800", to: "venc/0/bitrate")
    #expect(try served.advances("venc/0", "key_frames", by: 3))
    #expect(
      try served.configure(
        "venc/0/hier_frame_num = 1,0,0,1\nvenc/0/hier_qp_delta = 5,0,0,0\nvenc/0/hier_qp = 1\n"
      ).status == 0)
    let layers = try effect(served, "hier_qp")
    #expect(
      layers.hasPrefix("hier_qp: effective old=0 new=1 ") && layers.contains(" mean qp of the layers"), "\(layers)")
    let page = EncoderPage(try served.cat("venc_info"))
    #expect(page.value(0, "RC HierarchicalQp INFO", "bEnable") == "Y")
    #expect(page.value(0, "RC HierarchicalQp INFO", "FrameNum[3]") == "1")
    #expect(page.value(0, "RC HierarchicalQp INFO", "QpDelta[0]") == "5")
    // In the stream: every second predicted picture has more bits than those around it.
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(5 * 24, engine.format))
    try recording.stopAtPicture(engine.format)
    #expect(try Video.complaints(recording.file, engine.format) == "")
    var (upper, lower, sinceKey) = (0, 0, Int?.none)
    for frame in try Video.frames(recording.file, engine.format).dropLast() {
      if frame.isKey { sinceKey = 0 } else { sinceKey = sinceKey.map { $0 + 1 } }
      guard let place = sinceKey, place > 0 else { continue }
      if place % 2 == 1 { upper += frame.size } else { lower += frame.size }
    }
    #expect(Double(lower) > 1.2 * Double(upper), "\(lower) \(upper)")
    try served.echo("0", to: "venc/0/hier_qp")
    #expect(try effect(served, "hier_qp").hasPrefix("hier_qp: applied old=1 new=0 frame="))

    try served.echo("-4", to: "venc/0/ip_qp_delta")
    let delta = try effect(served, "ip_qp_delta")
    #expect(
      delta.hasPrefix("ip_qp_delta: effective old=1 new=-4 ") && delta.hasSuffix(" steps coarser than the others"),
      "\(delta)")
    try served.echo("2", to: "venc/0/debreath")
    try served.echo("1", to: "venc/0/ip_qp_delta")
    let calm = try effect(served, "debreath")
    #expect(calm.hasPrefix("debreath: effective old=off new=2 "), "\(calm)")
    #expect(EncoderPage(try served.cat("venc_info")).value(0, "RC debreath_effect info", "Strength0") == "2")
    try served.echo("33", to: "venc/0/min_i_qp")
    let bound = try effect(served, "min_i_qp")
    #expect(bound.hasPrefix("min_i_qp: effective old=auto new=33 "), "\(bound)")
    if engine.name != "openh264" {
      try served.echo("0,0,64,64 rel -6", to: "venc/0/roi0")
      #expect(try effect(served, "roi0").hasPrefix("roi0: applied old=off new=0,0,64,64 rel -6 frame="))
    }
    try served.echo("0,0,0,0", to: "venc/0/hier_frame_num")
    _ = try served.refusal(of: "1", to: "venc/0/hier_qp")
    #expect(try served.errorLog().last?.contains("no layer would have a picture") ?? false)
    try served.echo("", to: "venc/0/source")
    #expect(try effect(served, "source").hasPrefix("source: effective old=vi/0 new= "))
  }

  /// With x264 the header has the quantiser of the first block, which is none of the bounds.
  @Test(arguments: engines) func aBoundThatKeepsTheRateDownIsNamed(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 30, "venc/0/min_qp = 38"), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 60))
    try served.echo("3000", to: "venc/0/bitrate")
    let line = try effect(served, "bitrate")
    #expect(line.hasPrefix("bitrate: limited by min_qp old=300 new=3000 "), "\(line)")
  }

  /// What goes back to the engine's own choice has its line too, and so has what was refused its name.
  @Test(arguments: engines) func goingBackToAutoHasItsLine(engine: Engine) throws {
    let served = try Served(configuration: pipeline(engine, gop: 15), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    let value = engine.name == "openh264" ? "2" : "-2"
    try served.echo(value, to: "venc/0/deblocking_beta")
    #expect(try effect(served, "deblocking_beta").hasPrefix("deblocking_beta: effective old=auto new=\(value) "))
    try served.echo("auto", to: "venc/0/deblocking_beta")
    #expect(try effect(served, "deblocking_beta").hasPrefix("deblocking_beta: applied old=\(value) new=auto frame="))

    try served.echo("150", to: "venc/0/max_bitrate")
    _ = try served.refusal(of: "vbr", to: "venc/0/rc_mode")
    let line = try #require(try served.errorLog().last)
    #expect(line.contains("venc/0/rc_mode \"vbr") && line.contains("bitrate would be above max_bitrate"), "\(line)")
    #expect(try served.configure("venc/0/super_p_frame = 90000\nvenc/0/super_frame_mode = discard\n").status == 0)
    _ = try served.refusal(of: "auto", to: "venc/0/super_p_frame")
    #expect(try served.errorLog().last?.contains("venc/0/super_p_frame \"auto") ?? false)
  }

  @Test func aBoundOfKeyPicturesIsNotAboveThatOfTheOthers() throws {
    let served = try Served(configuration: pipeline(Self.engines[0], gop: 30, "venc/0/min_i_qp = 40"))
    _ = try served.refusal(of: "30", to: "venc/0/max_qp")
    let line = try #require(try served.errorLog().last)
    #expect(line.contains("ERANGE") && line.contains("min_i_qp would be above max_qp"), "\(line)")
    try served.echo("42", to: "venc/0/max_i_qp")
    try served.echo("30", to: "venc/0/max_qp")
  }
}
