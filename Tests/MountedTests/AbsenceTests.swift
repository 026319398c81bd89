// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What is absent at the start, or does not answer, holds up nobody else, is named, and can be left.
@Suite(.ownThread) struct AbsenceTests {
  private static let small = """
    vi/0/input = pattern
    vi/0/width = 320
    vi/0/height = 240
    vi/0/fps = 10
    vi/0/enable = 1
    venc/0/source = vi/0
    venc/0/enable = 1

    """

  private func makeClip(_ path: String) throws {
    let outcome = try run(
      "ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=176x144:rate=15:duration=2", "-c:v", "mpeg4",
      path)
    try #require(outcome.status == 0, "\(outcome.errors)")
  }

  @Test func aCameraThatIsMissingAtTheStartIsWaitedFor() throws {
    let served = try Served(configuration: Self.small + "vi/1/input = /dev/video99\nvi/1/enable = 1\n")
    #expect(try served.value("vi/1/enable") == "1")
    // What has not come back in time is waited for without a reason at first.
    #expect(try eventually { try served.value("vi/1/state").hasPrefix("waiting for /dev/video99 (") })
    let health = try served.cat("health")
    #expect(health.hasPrefix("degraded\n") && health.contains("\nvi/1: waiting for /dev/video99 ("), "\(health)")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    // Live it is refused, and nothing is kept.
    try served.echo("0", to: "vi/1/enable")
    #expect(try served.value("vi/1/state") == "stopped")
    #expect(try served.refusal(of: "1", to: "vi/1/enable", finally: true).contains("No such file"))
    #expect(try served.value("vi/1/enable") == "0")
    #expect(try run("rmdir", served.path("vi/1")).status == 0)
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func aFileThatIsMissingAtTheStartIsPlayedWhenItAppears() throws {
    let folder = try Served.freshDirectory()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let served = try Served(["--input", folder + "/late.avi"])
    #expect(try eventually { try served.value("vi/0/state").hasPrefix("waiting for file:\(folder)/late.avi (") })
    // Settings are taken meanwhile, and another input is waited for instead.
    try served.echo("file:\(folder)/later.avi", to: "vi/0/input")
    try makeClip(folder + "/later.part.avi")
    try FileManager.default.moveItem(atPath: folder + "/later.part.avi", toPath: folder + "/later.avi")
    #expect(try eventually { try served.value("vi/0/state") == "running" })
    #expect(try served.advances("venc/0", "frames_out", by: 5))
  }

  @Test func aWrongLineStillEndsTheProgram() throws {
    #expect(throws: Served.StartError.self) {
      try Served(configuration: Self.small + "vi/1/input = /dev/video99\nvi/1/width = wide\n")
    }
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func storageThatHangsHoldsUpNobodyElse() throws {
    let storage = try Served(configuration: Self.small)
    let served = try Served(configuration: Self.small + "vi/1/input = pattern\nvdec/0/codec = h264\n")
    try served.echo("file:" + storage.path("help"), to: "vi/1/input")
    storage.suspend()
    defer { storage.program.signal(SIGCONT) }
    #expect(try served.refusal(of: "1", to: "vi/1/enable").contains("timed out"))
    let name = "file:" + storage.path("help")
    // Whoever answers the writer and whoever says why are two threads.
    #expect(try eventually { try served.value("vi/1/state") == "waiting for \(name), which does not answer" })
    #expect(try served.cat("health").contains("vi/1: waiting for \(name), which does not answer, still for "))
    try served.echo("1", to: "vdec/0/enable")
    try served.echo("0", to: "venc/0/enable")
    try served.echo("1", to: "venc/0/enable")
    #expect(try run("mkdir", served.path("venc/7")).status == 0)
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    // It can be left, and used with another input, while the first still hangs.
    try served.echo("0", to: "vi/1/enable")
    #expect(try served.value("vi/1/state") == "stopped")
    try served.echo("pattern", to: "vi/1/input")
    try served.echo("1", to: "vi/1/enable")
    #expect(try served.advances("vi/1", "frames_out", by: 5))
    storage.program.signal(SIGCONT)
    #expect(try served.advances("vi/1", "frames_out", by: 5))
    #expect(try served.value("vi/1/enable") == "1")
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"), arguments: [SIGTERM, SIGINT])
  func theProgramEndsWhileItsInputHangs(signal: Int32) throws {
    let storage = try Served(configuration: Self.small)
    storage.suspend()
    defer { storage.program.signal(SIGCONT) }
    let served = try Served(["--input", storage.path("help")])
    #expect(try eventually { try served.value("vi/0/state").hasPrefix("waiting for ") })
    served.program.signal(signal)
    #expect(served.program.ended() != nil)
    #expect(try run("mountpoint", "-q", served.at).status != 0)
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func aHoleAtTheEndOfAFileIsItsEnd() throws {
    let served = try Served(configuration: Self.small + "vi/1/input = pattern\n")
    let clip = served.scratch + "/clip.h264"
    #expect(
      try run(
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=176x144:rate=15:duration=2", "-c:v", "libx264",
        clip
      ).status == 0)
    #expect(try run("truncate", "-s", "64G", clip).status == 0)
    try served.echo("file:" + clip, to: "vi/1/input")
    // Looking through the hole takes longer than a writer waits, or not.
    try served.echo("1", to: "vi/1/enable")
    #expect(try eventually { try served.value("vi/1/state") == "running" })
    // It plays more than once: 30 pictures a pass.
    #expect(try served.advances("vi/1", "frames_out", by: 70))
    let status = try String(contentsOfFile: "/proc/\(served.pid)/status", encoding: .utf8)
    let peak = try #require(status.firstMatch(of: /VmHWM:\s+(\d+) kB/).flatMap { Int($0.1) })
    #expect(peak < 600_000, "\(peak) kB")
    try served.echo("0", to: "vi/1/enable")
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func aFileOfTheKernelsIsRefused() throws {
    let served = try Served(configuration: Self.small + "vi/1/input = file:/proc/kmsg\n")
    #expect(try served.refusal(of: "1", to: "vi/1/enable", finally: true).contains("Invalid argument"))
    #expect(try served.errorLog().last?.contains("not a media file") == true)
  }

  @Test func aConfigurationThatCannotBeReadIsWaitedFor() throws {
    let folder = try Served.freshDirectory()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    #expect(try run("mkfifo", folder + "/fifo").status == 0)
    let served = try Served(["--load", folder + "/fifo"])
    #expect(served.program.errors.contains("\(folder)/fifo has not been read yet"))
    #expect(try !served.exists("vi/0"))
    #expect(try shell(#"printf 'vi/0/input = pattern\nvi/0/enable = 1\n' > "$1""#, folder + "/fifo").status == 0)
    #expect(try eventually { try served.exists("vi/0") })
    #expect(try eventually { try served.value("vi/0/state") == "running" })
  }
}
