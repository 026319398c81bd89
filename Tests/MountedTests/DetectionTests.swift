// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Motion and occlusion of a clip whose every change is known.
@Suite(.ownThread, .enabled(if: Machine.hasFFmpeg, "media files")) struct DetectionTests {
  /// Six seconds: a lattice; from 1 s to 2 s a bright square goes over it; from 4 s to 5 s nearly all of it is covered.
  private static func clip(_ scratch: String) throws -> String {
    let file = scratch + "/scene.avi"
    #expect(
      try run(
        "ffmpeg", "-v", "error", "-f", "lavfi", "-i",
        "color=gray:s=352x288:r=25:d=6,drawgrid=w=12:h=8:t=2:c=white[wall];color=yellow:s=48x48:r=25:d=6[thing];"
          + "[wall][thing]overlay=x='20+200*(t-1)':y=100:enable='between(t,1,1.96)',"
          + "drawbox=x=0:y=0:w=340:h=288:c=black:t=fill:enable='between(t,4,4.96)'",
        "-c:v", "mjpeg", "-q:v", "2", file
      ).status == 0)
    return file
  }

  private func lines(_ recording: Recording) throws -> [String] {
    try String(contentsOfFile: recording.file, encoding: .utf8).split(separator: "\n").map(String.init)
  }

  @Test func eventsTellBeginningsAndEndsOnce() throws {
    let served = try Served(configuration: "vi/0/width = 352\n")
    let file = try Self.clip(served.scratch)
    // By a decoder that waits for who looks at its pictures, and plays them once: all are looked at, however slow the machine is.
    #expect(
      try served.configure(
        """
        create
        vdec/0/input = file:\(file)
        vdec/0/pace = none
        vdec/0/loop = 0
        vda/0/source = vdec/0
        vda/0/enable = 1

        """
      ).status == 0)
    let recording = try Recording(served, "vda/0/events")
    #expect(eventually { recording.size > 0 })
    try served.echo("1", to: "vdec/0/enable")
    #expect(try eventually { try lines(recording).contains { $0.contains("event=occlusion_end") } })
    let facts = try served.facts("vda/0/stats")
    recording.stop()
    let told = try lines(recording)
    #expect(told.first?.hasSuffix("event=now motion=0 occlusion=0") ?? false, "\(told)")
    let names = told.compactMap { line in line.split(separator: " ").first { $0.hasPrefix("event=") } }
    // The covering and the uncovering are motion too.
    #expect(
      names.prefix(8).map(String.init) == [
        "event=now", "event=motion_begin", "event=motion_end", "event=motion_begin", "event=occlusion_begin",
        "event=motion_end", "event=motion_begin", "event=occlusion_end",
      ], "\(told)")
    #expect(facts["occlusions"] == "1", "\(facts)")
    #expect(Int(facts["motions"] ?? "") ?? 0 >= 2)
    // A quarter of a second until it is told, as many until it is withdrawn: by the pictures' own times.
    func time(_ line: String?) -> Int { Int(line?.split(separator: " ").first?.dropFirst(4) ?? "") ?? 0 }
    let (begin, end) = (
      told.first { $0.contains("occlusion_begin") }, told.first { $0.contains("occlusion_end") }
    )
    #expect((900_000...1_100_000).contains(time(end) - time(begin)), "\(told)")
  }

  @Test func theResultSaysWhereItIs() throws {
    let served = try Served(configuration: "vi/0/width = 352\n")
    let file = try Self.clip(served.scratch)
    #expect(
      try served.configure(
        """
        create
        vi/0/input = file:\(file)
        vda/0/source = vi/0
        vda/0/enable = 1
        vi/0/enable = 1

        """
      ).status == 0)
    // The square is 48 wide and at a height of 100; what it has just left is around it.
    #expect(
      try eventually {
        let found = try served.facts("vda/0/result")
        guard found["motion"] == "1", found["occlusion"] == "0",
          let first = found["object_0"]?.split(separator: " ").first
        else { return false }
        let numbers = first.split(separator: ",").compactMap { Int($0) }
        return numbers.count == 4 && (80...112).contains(numbers[1]) && (32...80).contains(numbers[3])
      })
    let metrics = try served.cat("metrics")
    #expect(metrics.contains(#"mpifs_vda_motions_total{object="vda/0"}"#))
    let stats = try served.stats("vda/0")
    #expect(stats["looked_at_frames"] ?? 0 > 0 && stats["passed_over_frames"] == 0)
    try served.echo("3", to: "vda/0/interval")
    #expect(try eventually { try served.stats("vda/0")["passed_over_frames"] ?? 0 > 6 })
  }

  @Test func whatItCannotLookAtIsNamed() throws {
    let served = try Served(
      configuration: """
        vi/0/input = pattern
        vi/0/width = 1280
        vi/0/height = 720
        vi/0/enable = 1
        vda/0/source = vi/0
        vda/0/enable = 1

        """)
    #expect(
      try eventually {
        try served.cat("vda/0/state").contains("failed: look vda/0: ")
          && served.cat("vda/0/state").contains("it takes 16 to 960 in both directions")
      })
    #expect(try eventually { try served.stats("vda/0")["dropped_format_mismatch"] ?? 0 > 0 })
    _ = try served.refusal(of: "12", to: "vda/0/block")
    _ = try served.refusal(of: "4081", to: "vda/0/sad_threshold")
    _ = try served.refusal(of: "8", to: "vda/0/block")
    #expect(try served.errorLog().contains { $0.contains("] vda/0/block \"8\\n\" EBUSY(") })
    // A smaller picture makes it work again.
    #expect(
      try served.configure(
        """
        create
        vpss/0/source = vi/0
        vpss/0/enable = 1
        vpss/0/0/width = 352
        vpss/0/0/height = 288
        vpss/0/0/enable = 1
        vda/0/source = vpss/0/0

        """
      ).status == 0)
    #expect(try eventually { try served.cat("vda/0/state") == "running\n" })
    #expect(try eventually { try served.facts("vda/0/result")["alarm_blocks"]?.hasSuffix(" of 396") ?? false })
  }
}
