// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Regions as users make them: with mkdir, echo and cp, and seen in pictures, streams and the vendor's pages.
@Suite(.ownThread) struct OverlayTests {
  /// Red, green and blue of four pixels of a picture or of the first one of a stream.
  private func color(_ file: String, _ x: Int, _ y: Int, _ format: String = "mjpeg") throws -> [Int] {
    let outcome = try run(
      "ffmpeg", "-v", "error", "-f", format, "-i", file, "-vf", "format=rgb24,crop=2:2:\(x):\(y)", "-frames:v", "1",
      "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let bytes = [UInt8](outcome.output).map { Int($0) }
    return bytes.count == 12 ? (0..<3).map { part in (0..<4).reduce(0) { $0 + bytes[$1 * 3 + part] } / 4 } : []
  }

  private func isNear(_ a: [Int], _ b: [Int]) -> Bool { a.count == 3 && zip(a, b).allSatisfy { abs($0 - $1) <= 24 } }

  private func shows(_ served: Served, _ object: String, _ wanted: [Int], at x: Int, _ y: Int) throws -> Bool {
    try eventually { isNear(try color(try served.snapshot(of: object), x, y), wanted) }
  }

  private func make(_ served: Served, _ object: String, _ settings: [(String, String)] = []) throws {
    #expect(try run("mkdir", served.path(object)).status == 0, "\(object)")
    for (key, value) in settings { try served.echo(value, to: "\(object)/\(key)") }
  }

  /// A PNG file of one colour.
  private func logo(_ served: Served, _ color: String, _ width: Int, _ height: Int) throws -> String {
    let file = served.scratch + "/\(UUID().uuidString).png"
    let outcome = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=\(color):s=\(width)x\(height),format=rgba", "-frames:v", "1",
      file)
    try #require(outcome.status == 0, "\(outcome.errors)")
    return file
  }

  @Test func aCoverIsSeenWhereItIsAttachedAndNowhereElse() throws {
    let served = try Served(configuration: Pipelines.small())
    try make(
      served, "rgn/0", [("type", "cover"), ("width", "128"), ("height", "64"), ("color", "#FF0000"), ("enable", "1")])
    try make(served, "rgn/0/attach/vpss-0-0", [("x", "64"), ("y", "32")])
    #expect(try shows(served, "vpss/0/0", [255, 0, 0], at: 128, 64))
    // The encoder has it too, and neither the input nor the other output.
    // A reader begins at the newest key picture, which has it then.
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: 40))
    recording.stop()
    #expect(isNear(try color(recording.file, 128, 64, "h264"), [255, 0, 0]))
    #expect(!isNear(try color(try served.snapshot(of: "vi/0"), 128, 64), [255, 0, 0]))
    #expect(!isNear(try color(try served.snapshot(of: "vpss/0/1"), 64, 32), [255, 0, 0]))
    #expect(try served.value("rgn/0/state") == "running")

    // Changed while it runs; nothing is lost by it.
    for value in ["#00FF00", "#0000FF"] {
      try served.echo(value, to: "rgn/0/color")
      try served.echo("8", to: "rgn/0/thickness")
      try served.echo("off", to: "rgn/0/thickness")
    }
    #expect(try shows(served, "vpss/0/0", [0, 0, 255], at: 128, 64))
    try served.echo("320", to: "rgn/0/attach/vpss-0-0/x")
    #expect(try shows(served, "vpss/0/0", [0, 0, 255], at: 440, 64))
    // But where the encoder of a busy machine holds all the buffers there are.
    let scaled = try served.stats("vpss/0/0")
    #expect(scaled["dropped"] == scaled["dropped_no_buffer"], "\(scaled)")
    #expect(!isNear(try color(try served.snapshot(of: "vpss/0/0"), 128, 64), [0, 0, 255]))
    try served.echo("0", to: "rgn/0/enable")
    // A picture that was painted before may still be on its way.
    #expect(try eventually { !isNear(try color(try served.snapshot(of: "vpss/0/0"), 440, 64), [0, 0, 255]) })
  }

  @Test func aLogoIsCopiedInAndABadOneLeavesItThere() throws {
    let served = try Served(configuration: Pipelines.small())
    try make(served, "rgn/0", [("enable", "1")])
    try make(served, "rgn/0/attach/venc-0", [("x", "16"), ("y", "16"), ("layer", "7")])
    #expect(try served.value("rgn/0/state") == "waiting for a bitmap")
    #expect(try run("cp", try logo(served, "0x00ff00", 80, 40), served.path("rgn/0/bitmap")).status == 0)
    #expect(try shows(served, "venc/0", [0, 255, 0], at: 50, 40))
    #expect(try served.facts("rgn/0/active")["bitmap"] == "80x40 argb8888 of PNG")
    _ = try run("cp", "/proc/version", served.path("rgn/0/bitmap"))
    #expect(try eventually { try served.value("rgn/0/state").hasPrefix("failed: bitmap rgn/0: Invalid argument") })
    #expect(try served.errorLog().last?.contains("rgn/0") == true)
    #expect(isNear(try color(try served.snapshot(of: "venc/0"), 50, 40), [0, 255, 0]))
    #expect(try served.cat("health").contains("rgn/0: failed"))
    #expect(try shell(#": > "$1""#, served.path("rgn/0/bitmap")).status == 0)
    #expect(try eventually { try served.value("rgn/0/state").contains("is empty") })
    #expect(try run("touch", served.path("rgn/0/bitmap")).status == 0)
    #expect(try served.stats("rgn/0")["bitmaps_refused"] == 2)

    // From a file, which the configuration keeps.
    let file = try logo(served, "0xff0000", 64, 64)
    try served.echo(file, to: "rgn/0/bitmap_file")
    #expect(try shows(served, "venc/0", [255, 0, 0], at: 50, 40))
    #expect(try served.refusal(of: file + ".none", to: "rgn/0/bitmap_file").contains("No such file"))
    #expect(try served.refusal(of: served.path("vsys"), to: "rgn/0/bitmap_file").contains("symbolic links"))
    let saved = try served.cat("config")
    #expect(saved.contains("rgn/0/bitmap_file = \(file)\n") && saved.contains("rgn/0/attach/venc-0/layer = 7\n"))
    let other = try Served(configuration: saved)
    #expect(try shows(other, "venc/0", [255, 0, 0], at: 50, 40))
    #expect(try other.cat("config") == saved)
  }

  @Test func aFileThatDoesNotAnswerChangesNothing() throws {
    let storage = try Served(configuration: Pipelines.small())
    let served = try Served(configuration: Pipelines.small())
    let file = try logo(served, "0xff0000", 64, 64)
    try make(served, "rgn/0", [("bitmap_file", file), ("enable", "1")])
    storage.program.signal(SIGSTOP)
    defer { storage.program.signal(SIGCONT) }
    #expect(try served.refusal(of: storage.path("help"), to: "rgn/0/bitmap_file").contains("timed out"))
    #expect(try served.errorLog().last?.contains("has not answered; nothing was changed") == true)
    #expect(try served.value("rgn/0/bitmap_file") == file)
    let other = try logo(served, "0x00ff00", 32, 32)
    #expect(try served.refusal(of: other, to: "rgn/0/bitmap_file").contains("busy"))
    storage.program.signal(SIGCONT)
    #expect(try eventually { try shell(#"echo "$2" > "$1""#, served.path("rgn/0/bitmap_file"), other).status == 0 })
    #expect(try served.value("rgn/0/state") == "running")
    // Read when it was written, and made ready for the pictures by a thread that gives way.
    #expect(try eventually { try served.facts("rgn/0/active")["bitmap"]?.contains(other) == true })
  }

  @Test func aClockRuns() throws {
    let served = try Served(configuration: Pipelines.small())
    try make(served, "rgn/1", [("text", "%H:%M:%S"), ("text_size", "48"), ("enable", "1")])
    try make(served, "rgn/1/attach/vi-0", [("x", "8"), ("y", "8")])
    #expect(try eventually { try served.stats("rgn/1")["texts_rendered"] ?? 0 >= 3 })
    let text = try #require(try served.facts("rgn/1/active")["text"])
    #expect(text.wholeMatch(of: #/\d\d:\d\d:\d\d/#) != nil, "\(text)")
    #expect(try served.facts("rgn/1/active")["text_engine"]?.contains("FreeType") == true)
    // Nothing is lost for it; what comes late on a busy machine is left out.
    let stats = try served.stats("vi/0")
    #expect(stats["dropped"] == stats["dropped_late"] && stats["copied_for_regions"] == 0, "\(stats)")
  }

  @Test func aMosaicLeavesOneColourABlock() throws {
    let served = try Served(configuration: Pipelines.small())
    try make(
      served, "rgn/2", [("type", "mosaic"), ("width", "256"), ("height", "128"), ("block", "64"), ("enable", "1")])
    try make(served, "rgn/2/attach/vpss-0-0", [("layer", "3")])
    #expect(try served.refusal(of: "4", to: "rgn/2/attach/vpss-0-0/layer").contains("out of range"))
    #expect(try served.advances("vpss/0/0", "painted_frames", by: 3))
    let file = try served.snapshot(of: "vpss/0/0")
    // Away from the block's edges, where JPEG rings.
    let spots = try [(8, 8), (52, 52), (30, 20)].map { try color(file, $0.0, $0.1) }
    #expect(spots.dropFirst().allSatisfy { isNear($0, spots[0]) }, "\(spots)")
  }

  @Test func theVendorsPagesAgree() throws {
    let served = try Served(configuration: Pipelines.small())
    try make(served, "rgn/0", [("enable", "1")])
    try make(served, "rgn/0/attach/venc-0", [("x", "640"), ("y", "352"), ("layer", "1")])
    try make(served, "rgn/5", [("type", "cover"), ("width", "320"), ("height", "240")])
    try make(served, "rgn/5/attach/venc-0", [("x", "16"), ("y", "-8")])
    #expect(try run("cp", try logo(served, "red", 32, 16), served.path("rgn/0/bitmap")).status == 0)
    #expect(try eventually { try served.value("rgn/0/state") == "running" })
    let lines = try served.cat("vrgn").split(separator: "\n").map(String.init)
    let header = try #require(lines.firstIndex { $0.hasPrefix("handle---type") })
    let region = lines[header + 1].split(separator: " ").map(String.init)
    #expect(
      region.count == 8 && region[..<5] == ["0", "OVERLAY", "32", "16", "ARGB8888"] && region[6...] == ["1", "1"])
    #expect(lines[header + 2].hasPrefix("5        COVER     320     240      -1        -1       -1       1        "))
    #expect(lines.contains { $0.hasPrefix("5    venc") || $0.contains(" venc       5 16  -8  0 640 352 ") })
    // The canvas is a buffer like others.
    let allocation = try served.cat("valloc")
    #expect(allocation.split(separator: "\n").contains { $0.hasPrefix(region[5] + " ") })
  }

  @Test func whatIsInUseIsBusyAndWhatIsNotThereIsNot() throws {
    let served = try Served(configuration: Pipelines.small())
    func refused(_ command: String, _ object: String) throws -> String {
      try run(command, served.path(object)).errors
    }
    try make(served, "rgn/0")
    #expect(try refused("mkdir", "rgn/0/attach/venc-9").contains("No such file"))
    #expect(try refused("mkdir", "rgn/0/attach/nothing").contains("Invalid argument"))
    #expect(try served.errorLog().last?.contains("vi-0, vpss-0-1, venc-0") == true)
    #expect(try refused("mkdir", "rgn/128").contains("out of range"))
    try make(served, "rgn/0/attach/venc-0")
    #expect(try refused("mkdir", "rgn/0/attach/venc-0").contains("File exists"))
    #expect(try refused("rmdir", "rgn/0").contains("busy"))
    #expect(try served.errorLog().last?.contains("is attached to venc/0") == true)
    try served.echo("0", to: "venc/0/enable")
    #expect(try refused("rmdir", "venc/0").contains("busy"))
    #expect(try served.errorLog().last?.contains("has rgn/0 attached") == true)
    #expect(try refused("rmdir", "rgn/0/attach/venc-0").isEmpty && refused("rmdir", "venc/0").isEmpty)
    #expect(try refused("rmdir", "rgn/0").isEmpty && !served.exists("rgn/0"))
  }
}
