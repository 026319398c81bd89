// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Media files as input: read in real time, looped, scaled and converted.
@Suite(.ownThread, .enabled(if: Machine.hasFFmpeg, "this build reads no media files (trait FFmpeg is off)"))
struct MediaFileTests {
  /// Real footage, from Debian's opencv-doc; Tests/run fetches it.
  static let clips: [String] = {
    let environment = ProcessInfo.processInfo.environment
    let cache = environment["MPIFS_CACHE"] ?? (environment["HOME"] ?? "/root") + "/.cache/mpifs"
    let directory = environment["MPIFS_CLIPS"] ?? cache + "/clips"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.filter { $0.hasSuffix(".avi") }.sorted().map { directory + "/" + $0 }
  }()

  private func pipeline(_ file: String, width: Int = 320, height: Int = 240) -> String {
    """
    vi/0/input = file:\(file)
    vi/0/width = \(width)
    vi/0/height = \(height)
    vi/0/enable = 1
    vpss/0/source = vi/0
    vpss/0/enable = 1
    vpss/0/0/width = \(width)
    vpss/0/0/height = \(height)
    vpss/0/0/enable = 1
    venc/0/gop = 15
    venc/0/source = vpss/0/0
    venc/0/enable = 1

    """
  }

  @Test func aGeneratedFilePlaysInRealTimeAndLoops() throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    let file = directory + "/clip one.mp4"
    // 45 frames at 25 a second, with B frames and sound, as files of the field have.
    let made = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=1.8", "-f", "lavfi", "-i",
      "sine=duration=1.8", "-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", file)
    try #require(made.status == 0, "\(made.errors)")
    let served = try Served(configuration: pipeline(file))
    let recording = try Recording(served, "venc/0/stream")
    // More than two rounds.
    try served.expectPace("vi/0", 25, of: 120)
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    recording.stop()
    #expect(try Video.complaints(recording.file) == "")
    let coded = try Video.frames(recording.file)
    #expect(coded.count > 90 && coded.allSatisfy { $0.width == 320 && $0.height == 240 })
    #expect(try eventually { try served.moves })
    #expect(try served.errorLog().isEmpty)
    let active = try served.facts("vi/0/active")
    #expect(active["width"] == "320" && active["height"] == "240")
    #expect(active.values.contains { $0.contains("clip one.mp4") }, "\(active)")
    #expect(active["fps"] == "25")
  }

  @Test func thePictureIsThatOfTheFile() throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    let file = directory + "/red.mkv"
    let made = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=red:size=640x480:rate=30:duration=1", "-c:v", "mpeg4",
      "-q:v",
      "2", file)
    try #require(made.status == 0, "\(made.errors)")
    let served = try Served(configuration: pipeline(file))
    #expect(try served.advances("vpss/0/0", "frames_out", by: 5))
    let picture = try served.snapshot(of: "vpss/0/0")
    #expect(try Video.jpegSize(picture) == (320, 240))
    let pixel = try run(
      "ffmpeg", "-v", "error", "-i", picture, "-vf", "crop=16:16:160:120,scale=1:1", "-f", "rawvideo", "-pix_fmt",
      "rgb24",
      "-")
    let rgb = [UInt8](pixel.output)
    try #require(rgb.count == 3)
    #expect(rgb[0] > 220 && rgb[1] < 40 && rgb[2] < 40, "\(rgb)")
  }

  @Test(
    .enabled(if: !clips.isEmpty, "no real footage: set MPIFS_CLIPS, or let Tests/run fetch opencv-doc"),
    arguments: clips)
  func realFootagePlays(file: String) throws {
    let served = try Served(["--input", file])
    let recording = try Recording(served, "venc/1/stream")
    #expect(try served.advances("venc/1", "frames_out", by: 40))
    recording.stop()
    let complaints = try Video.complaints(recording.file)
    #expect(complaints.isEmpty, "\(complaints)")
    let frames = try Video.frames(recording.file)
    #expect(frames.count > 20 && frames.allSatisfy { $0.width == 640 && $0.height == 360 })
    for channel in 0...2 { #expect(try eventually { try served.value("venc/\(channel)/state") == "running" }) }
    #expect(try served.advances("venc/2", "frames_out", by: 2))
    // Several frames of real footage are not the same picture.
    #expect(Set(frames.map(\.size)).count > 5)
    _ = try Video.jpegSize(try served.snapshot(of: "vi/0"))
  }

  @Test(.enabled(if: clips.contains { $0.hasSuffix("Megamind.avi") }, "no real footage"))
  func realFootageGoesOnPastItsEnd() throws {
    let file = try #require(Self.clips.first { $0.hasSuffix("Megamind.avi") })
    let probe = try run(
      "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets",
      "-of",
      "csv=p=0", file)
    let count = try #require(Int(probe.text.trimmingCharacters(in: CharacterSet(charactersIn: ",\n "))))
    let served = try Served(configuration: pipeline(file), ahead: true)
    #expect(try served.advances("vi/0", "frames_out", by: count + 60))
    #expect(try eventually { try served.moves })
    #expect(try served.advances("venc/0", "frames_out", by: 20))
    #expect(try served.errorLog().isEmpty)
  }
}
