// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Bars of known red, green and blue through the whole program: whatever matrix and range the file has, every way out shows the same
/// colours to FFmpeg, which goes by what the stream itself says.
@Suite(.ownThread, .enabled(if: Machine.hasFFmpeg, "this build reads no media files (trait FFmpeg is off)"))
struct ColorTests {
  private static let bars: [[UInt8]] = [
    [235, 235, 235], [191, 191, 0], [0, 191, 191], [0, 191, 0], [191, 0, 191], [191, 0, 0], [0, 0, 191], [16, 16, 16],
  ]
  private static let (width, height) = (256, 128)

  /// FFmpeg's words for a row of the table, and the tree's.
  private struct Row {
    var matrix: String
    var range: String
    var codec: String
    var ours: String
  }
  private static let rows = [
    Row(matrix: "smpte170m", range: "tv", codec: "libx264", ours: "bt601 limited"),
    Row(matrix: "smpte170m", range: "pc", codec: "libx264", ours: "bt601 full"),
    Row(matrix: "bt709", range: "tv", codec: "libx264", ours: "bt709 limited"),
    Row(matrix: "bt709", range: "pc", codec: "libx264", ours: "bt709 full"),
    Row(matrix: "bt709", range: "pc", codec: "libx265", ours: "bt709 full"),
  ]

  private static func make(_ row: Row, _ file: String) throws {
    let line = bars.flatMap { bar in (0..<width / bars.count).flatMap { _ in bar } }
    let picture = Data((0..<height).flatMap { _ in line })
    let all = (0..<20).reduce(into: Data()) { data, _ in data += picture }
    let quality = row.codec == "libx264" ? ["-qp", "2"] : ["-x265-params", "log-level=none:qp=4"]
    let made = try Child.run(
      [
        "ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "\(width)x\(height)", "-r", "10", "-i",
        "pipe:0", "-vf",
        "scale=out_color_matrix=\(row.matrix == "bt709" ? "bt709" : "bt601"):out_range=\(row.range):"
          + "flags=accurate_rnd+full_chroma_int,format=yuv420p", "-c:v", row.codec,
      ] + quality + ["-colorspace", row.matrix, "-color_range", row.range, file], input: all)
    try #require(made.status == 0, "\(made.errors)")
  }

  /// The middle of each bar as FFmpeg shows the first picture.
  private static func shown(_ file: String, _ format: [String]) throws -> [[UInt8]] {
    let decoded = try Child.run(
      ["ffmpeg", "-v", "error"] + format + [
        "-i", file, "-frames:v", "1", "-vf", "scale=flags=accurate_rnd+full_chroma_int", "-f", "rawvideo", "-pix_fmt",
        "rgb24",
        "pipe:1",
      ])
    let bytes = Array(decoded.output)
    try #require(bytes.count == width * height * 3, "\(file): \(decoded.errors)")
    return bars.indices.map { bar in
      let at = (height / 2 * width + bar * width / bars.count + width / bars.count / 2) * 3
      return Array(bytes[at..<at + 3])
    }
  }

  private static func expectBars(
    _ found: [[UInt8]], _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let worst = zip(found, bars).flatMap { zip($0, $1).map { abs(Int($0) - Int($1)) } }.max() ?? 255
    #expect(worst <= 3, "\(what) is off by \(worst): \(found)", sourceLocation: sourceLocation)
  }

  /// For each row a test of its own, which a busy machine ends in its time.
  @Test(arguments: 0..<5) func everyWayOutShowsTheColoursOfTheFile(number: Int) throws {
    #expect(Self.rows.count == 5)
    let row = Self.rows[number]
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    var configuration = ""
    var encoders: [(number: Int, source: String, engine: String)] = []
    let engines =
      ["openh264", "turbojpeg"] + (Machine.hasX264 ? ["x264"] : []) + (Machine.hasX265 ? ["x265"] : [])
    let file = directory + "/bars.mp4"
    try Self.make(row, file)
    Self.expectBars(try Self.shown(file, []), "the file itself")
    for source in ["vi/\(number)", "vdec/\(number)"] {
      configuration += "\(source)/input = file:\(file)\n"
      if source.hasPrefix("vdec") { configuration += "\(source)/loop = 1\n" }
      configuration += "\(source)/enable = 1\n"
      for engine in engines {
        let venc = "venc/\(encoders.count)"
        configuration +=
          engine == "turbojpeg"
          ? "\(venc)/codec = mjpeg\n\(venc)/quality = 98\n"
          : "\(venc)/codec = \(engine == "x265" ? "h265" : "h264")\n\(venc)/backend = \(engine)\n\(venc)/gop = 5\n\(venc)/rc_mode = fixqp\n\(venc)/qp_i = 6\n\(venc)/qp_p = 6\n"
        configuration += "\(venc)/source = \(source)\n\(venc)/enable = 1\n"
        encoders.append((encoders.count, source, engine))
      }
    }
    let served = try Served(configuration: configuration)
    for (number, source, engine) in encoders {
      let what = "\(row.matrix) \(row.range) \(row.codec) by \(source) to \(engine)"
      let recording = try Recording(served, "venc/\(number)/stream")
      #expect(eventually { recording.size > 0 })
      #expect(try served.advances("venc/\(number)", "frames_out", by: 12))
      let isPictures = engine == "turbojpeg"
      if isPictures { try recording.stopAtImage() } else { recording.stop() }
      let format = isPictures ? "mjpeg" : engine == "x265" ? "hevc" : "h264"
      Self.expectBars(try Self.shown(recording.file, ["-f", format]), what)
      let said = try run(
        "ffprobe", "-v", "error", "-f", format, "-show_entries",
        "stream=color_range,color_space,color_transfer,color_primaries,r_frame_rate", "-of",
        "csv=p=0",
        recording.file
      ).text
      // The files say neither transfer nor primaries.
      let expected = ([row.range] + [String](repeating: row.matrix, count: 3) + ["10/1"]).joined(separator: ",")
      if !isPictures { #expect(said.hasPrefix(expected), "\(what): \(said)") }
      let snapshot = try served.snapshot(of: "venc/\(number)")
      Self.expectBars(try Self.shown(snapshot, ["-f", "mjpeg"]), "snapshot of \(what)")
      let active = try served.facts("venc/\(number)/active")
      #expect(active["color"]?.hasPrefix(isPictures ? "bt601 full" : row.ours) ?? false, "\(what): \(active)")
      #expect(try served.facts("\(source)/active")["color"]?.hasPrefix(row.ours) ?? false)
    }
  }

  /// What a container says and no decoder does: pixels that are not square, pictures that are to be turned.
  @Test func shapeAndRotationOfTheContainerAreShownAndTheShapeTravels() throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    let (plain, file) = (directory + "/plain.mp4", directory + "/turned.mp4")
    let made = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=320x240:r=10:d=2", "-vf", "setsar=4/3", "-c:v",
      "libx264",
      "-pix_fmt", "yuv420p", plain)
    try #require(made.status == 0, "\(made.errors)")
    let turned = try run(
      "ffmpeg", "-v", "error", "-i", plain, "-c", "copy", "-metadata:s:v:0", "rotate=90", file)
    try #require(turned.status == 0, "\(turned.errors)")
    let served = try Served(
      configuration: """
        vi/0/input = file:\(file)
        vi/0/enable = 1
        vdec/0/input = file:\(file)
        vdec/0/loop = 1
        vdec/0/enable = 1
        vpss/0/source = vi/0
        vpss/0/enable = 1
        vpss/0/0/width = 320
        vpss/0/0/height = 120
        vpss/0/0/rotation = 90
        vpss/0/0/enable = 1
        venc/0/source = vi/0
        venc/0/gop = 5
        venc/0/enable = 1
        venc/1/source = vdec/0
        venc/1/gop = 5
        venc/1/enable = 1
        venc/2/source = vpss/0/0
        venc/2/gop = 5
        venc/2/enable = 1

        """)
    for (number, wanted) in [(0, "320,240,4:3"), (1, "320,240,4:3"), (2, "120,320,3:2")] {
      let recording = try Recording(served, "venc/\(number)/stream")
      #expect(try served.advances("venc/\(number)", "frames_out", by: 12))
      recording.stop()
      let said = try run(
        "ffprobe", "-v", "error", "-f", "h264", "-show_entries", "stream=width,height,sample_aspect_ratio", "-of",
        "csv=p=0",
        recording.file
      ).text
      #expect(said.hasPrefix(wanted), "venc/\(number): \(said)")
    }
    for source in ["vi/0", "vdec/0"] {
      let active = try served.facts("\(source)/active")
      #expect(active["sample_aspect"] == "4:3")
      // FFmpeg's tag counts the other way round; its own decoder turns these pictures a quarter counter-clockwise.
      #expect(active["container_rotation"]?.hasPrefix("270 degrees clockwise") ?? false, "\(active)")
    }
  }

  /// A rate that frame-rate control changes while the channel runs is in the stream from the next key frame on.
  @Test(arguments: Machine.hasX264 ? ["openh264", "x264"] : ["openh264"])
  func theStreamSaysItsRateAndFollowsIt(_ engine: String) throws {
    let served = try Served(
      configuration: """
        vi/0/input = pattern
        vi/0/width = 320
        vi/0/height = 240
        vi/0/fps = 24
        vi/0/enable = 1
        venc/0/backend = \(engine)
        venc/0/source = vi/0
        venc/0/gop = 12
        venc/0/enable = 1

        """)
    func said() throws -> String {
      let recording = try Recording(served, "venc/0/stream")
      #expect(try served.advances("venc/0", "frames_out", by: 30))
      recording.stop()
      return try run(
        "ffprobe", "-v", "error", "-f", "h264", "-show_entries", "stream=r_frame_rate,color_space", "-of", "csv=p=0",
        recording.file
      ).text
    }
    #expect(try said() == "smpte170m,24/1\n")
    try served.echo("8", to: "venc/0/fps_dst")
    #expect(try served.advances("venc/0", "frames_out", by: 15))
    #expect(try said() == "smpte170m,8/1\n")
  }
}
