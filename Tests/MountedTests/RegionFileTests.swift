// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `roi0`...`roi7`: what is written is in force on the next frame, shown in `venc_info`, and refused where it cannot be.
@Suite(.ownThread) struct RegionFileTests {
  static let engines = (Machine.hasX264 ? ["x264"] : []) + (Machine.hasX265 ? ["x265"] : [])

  private func served(_ engine: String, _ more: String = "", _ options: [String] = []) throws -> Served {
    try Served(
      options,
      configuration: Pipelines.small(
        "venc/0/backend = \(engine)\n\(more)", gop: 30, codec: engine == "x265" ? "h265" : "h264"))
  }

  /// Region by region what the page says: number, rectangle, quantiser, whether it is absolute.
  private func shown(_ served: Served) throws -> [[String]] {
    let section = EncoderPage(try served.cat("venc_info")).sections.first { $0.title.hasPrefix("venc roi attr") }
    return section.map { section in
      section.rows.map { row in
        let values = section.values(row)
        return ["roi", "x", "y", "w", "h", "quality", "abs_qp"].map { values[$0] ?? "?" }
      }
    } ?? []
  }

  @Test(arguments: engines) func regionsAreShownAsTheyAreInForce(_ engine: String) throws {
    let format = engine == "x265" ? "hevc" : "h264"
    let served = try served(engine, "", ["--dialect", "rockit-1.4.81"])
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    #expect(try shown(served) == [])
    try served.echo("64,32,128,96 rel -6", to: "venc/0/roi2")
    #expect(try served.value("venc/0/roi2") == "64,32,128,96 rel -6")
    #expect(try eventually { try shown(served) == [["2", "64", "32", "128", "96", "-6", "0"]] })
    // Several of them on one frame.
    #expect(
      try served.configure(
        "create\nvenc/0/roi0 = 0,0,640,360 abs 40\nvenc/0/roi2 = off\nvenc/0/roi7 = 16,16,32,32 abs 20\n"
      )
      .status == 0)
    #expect(
      try eventually {
        try shown(served) == [["0", "0", "0", "640", "360", "40", "1"], ["7", "16", "16", "32", "32", "20", "1"]]
      })
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(40, format))
    try recording.stopAtPicture(format)
    #expect(try Video.complaints(recording.file, format) == "")
    try served.echo("off", to: "venc/0/roi0")
    try served.echo("off", to: "venc/0/roi7")
    #expect(try eventually { try shown(served) == [] })
    #expect(try served.value("venc/0/roi0") == "off")
  }

  @Test(arguments: engines) func whatCannotBeIsRefusedAndChangesNothing(_ engine: String) throws {
    let served = try served(engine)
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    func refused(_ value: String, _ reason: String, key: String = "roi1") throws {
      let before = try served.value("venc/0/\(key)")
      try served.refusal(of: value, to: "venc/0/\(key)")
      let line = try #require(try served.errorLog().last)
      #expect(line.contains(reason), "\(line)")
      #expect(try served.value("venc/0/\(key)") == before)
    }
    try refused("600,0,64,64 rel 2", "reaches beyond the picture of 640x360")
    try refused("0,0,64,64 abs 5", "min_qp and max_qp hold in regions too: 10..51")
    try refused("0,0,64,64 abs 52", "ERANGE")
    try refused("0,0,64,64 rel -60", "ERANGE")
    try refused("0,0,64,64", "EINVAL")
    let ninth = try shell(#"echo "0,0,64,64 rel 1" > "$1""#, served.path("venc/0/roi8"))
    #expect(ninth.status != 0, "there are eight")
    // What another setting would break is refused there.
    try served.echo("560,0,64,64 abs 20", to: "venc/0/roi1")
    try refused("90", "reaches beyond the picture of 360x640", key: "rotation")
    try refused("25", "min_qp and max_qp hold in regions too: 25..51", key: "min_qp")
    #expect(try served.configure("create\nvenc/0/min_qp = 25\nvenc/0/roi1 = 0,0,64,64 abs 26\n").status == 0)
  }

  @Test func anEngineWithoutRegionsSaysWhichHasThem() throws {
    guard Machine.hasX264 else { return }
    let served = try served("openh264")
    #expect(try served.refusal(of: "0,0,64,64 rel -4", to: "venc/0/roi0").contains("not supported"))
    let line = try #require(try served.errorLog().last)
    #expect(
      line.contains("it has one quantiser for all blocks of a picture") && line.contains("backend x264"), "\(line)")
    try served.echo("off", to: "venc/0/roi0")
    #expect(try served.cat("help").contains("(x264"))
  }

  /// A source of smaller pictures does not stop the channel: what is still inside counts, and `active` says so.
  @Test(arguments: engines) func aRegionIsCutWhereThePictureBecomesSmaller(_ engine: String) throws {
    let format = engine == "x265" ? "hevc" : "h264"
    let served = try served(engine, "venc/0/roi4 = 256,128,320,192 rel -4\nvenc/0/roi5 = 600,300,32,32 rel 4\n")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    #expect(try served.facts("venc/0/active")["differs"] == nil)
    try served.echo("vpss/0/1", to: "venc/0/source")
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    let active = try served.cat("venc/0/active")
    #expect(active.contains("differs: roi4 reaches beyond the picture of 320x180; what is inside counts"), "\(active)")
    #expect(active.contains("differs: roi5 reaches beyond"), "\(active)")
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(35, format))
    try recording.stopAtPicture(format)
    #expect(try Video.complaints(recording.file, format) == "")
  }

  /// With x264 the header has the quantiser of the first block, here a region's: `effect` knows.
  @Test func aQuantiserIsJudgedBehindARegionInTheFirstBlock() throws {
    guard Machine.hasX264 else { return }
    let served = try served("x264", "venc/0/rc_mode = fixqp\nvenc/0/qp_p = 30\nvenc/0/roi0 = 0,0,64,64 rel -8\n")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    try served.echo("34", to: "venc/0/qp_p")
    var line: Substring?
    #expect(
      try eventually {
        line = try served.cat("venc/0/effect").split(separator: "\n").last { $0.hasPrefix("qp_p: ") }
        return line.map { !$0.hasPrefix("qp_p: pending") } ?? false
      })
    #expect(line?.hasPrefix("qp_p: effective ") == true && line?.hasSuffix("measured=26") == true, "\(line ?? "")")
  }
}
