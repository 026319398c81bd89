// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `vdec`: coded bytes written to `feed`, or a file, become pictures.
@Suite(.ownThread) struct DecoderTests {
  /// `vdec/0` fed, coded again by `venc/1` without losing a picture, in one group: all of it is kept for a reader that comes late.
  private static let decoder = """
    vdec/0/pace = none
    vdec/0/enable = 1
    venc/1/codec = h264
    venc/1/bitrate = 4000
    venc/1/gop = 300
    venc/1/source = vdec/0
    venc/1/enable = 1

    """

  /// Records so many pictures of `venc/0` and ends where one ends.
  private func recording(_ served: Served, _ frames: Int = 60) throws -> String {
    let recording = try Recording(served, "venc/0/stream")
    #expect(try served.advances("venc/0", "frames_out", by: frames))
    recording.stop()
    return recording.file
  }

  private func feed(_ served: Served, _ file: String, _ node: String = "vdec/0/feed") throws -> Child.Outcome {
    try shell(#"cat "$1" > "$2""#, file, served.path(node))
  }

  private func h264(_ directory: String, _ name: String, _ options: String...) throws -> String {
    let file = directory + "/" + name
    let made = try Child.run(
      ["ffmpeg", "-v", "error", "-f", "lavfi", "-i"] + options + ["-pix_fmt", "yuv420p", file])
    try #require(made.status == 0, "\(made.errors)")
    return file
  }

  @Test func aRecordedStreamThatIsFedComesOutPictureByPicture() throws {
    let served = try Served(configuration: Pipelines.small(Self.decoder, bitrate: 4000))
    let file = try recording(served)
    let fed = try Video.patternNumbers(file, width: 640, height: 360).compactMap { $0 }
    try #require(fed.count > 50)
    let again = try Recording(served, "venc/1/stream")
    let outcome = try feed(served, file)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try eventually { try served.stats("venc/1")["frames_out"] ?? 0 >= fed.count })
    // The reader has it all when the channel's stream ends.
    try served.echo("0", to: "venc/1/enable")
    #expect(again.cat.ended() == 0)
    try served.echo("1", to: "venc/1/enable")
    let stats = try served.stats("vdec/0")
    #expect(stats["frames_out"] == fed.count && stats["frames_in"] == fed.count, "\(stats)")
    #expect(stats["dropped"] == 0 && stats["in_flight"] == 0)
    let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int
    #expect(stats["bytes_in"] == size && stats["bytes_skipped"] == 0)
    #expect(try Video.patternNumbers(again.file, width: 640, height: 360).compactMap { $0 } == fed)
    let active = try served.facts("vdec/0/active")
    #expect(active["codec"] == "h264" && active["width"] == "640" && active["height"] == "360", "\(active)")
    #expect(try served.errorLog().isEmpty)
    // The next writer's stream goes on with it.
    #expect(try feed(served, file).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 2 * fed.count })
  }

  @Test func aLiveStreamIsFedFromOneChannelToAnother() throws {
    let served = try Served(configuration: Pipelines.small("vdec/0/enable = 1\n", bitrate: 4000), ahead: true)
    let cat = try Child([
      "sh", "-c", #"exec cat "$1" > "$2""#, "sh", served.path("venc/0/stream"), served.path("vdec/0/feed"),
    ])
    #expect(try served.advances("vdec/0", "frames_out", by: 60))
    // The picture is the one that went in: its number is read from it, and is a recent one.
    let picture = served.scratch + "/now.jpg"
    /// Frames the source made: those that are left out have a number, too.
    func made() throws -> Int { try #require(try served.stats("vi/0")["frames_in"]) }
    var told = ""
    let follows = try eventually {
      let before = try made()
      guard try run("cp", served.path("vdec/0/snapshot.jpg"), picture).status == 0 else { return false }
      let number = try #require(try Video.patternNumbers(picture, "mjpeg", width: 640, height: 360).first ?? nil)
      let after = try made()
      try #require(number < after, "\(number) of \(after)")
      told = "\(number), when \(before) were made"
      return before - number < 120
    }
    #expect(follows, "\(told)")
    let stats = try served.stats("vdec/0")
    // On a machine with much to do `cat` brings some too late; nothing else is lost.
    #expect(stats["dropped"] == stats["dropped_late"] && stats["bytes_skipped"] == 0, "\(stats)")
    // It follows: what waits is a picture or two, not a growing heap.
    #expect(try eventually { try served.stats("vdec/0")["feed_waiting_bytes"] ?? .max < 200_000 })
    #expect(try eventually { try served.value("vdec/0/state") == "running" })
    #expect(try eventually { try served.moves })
    // The writer is told when its channel stops.
    try served.echo("0", to: "vdec/0/enable")
    #expect(cat.ended() != nil)
    #expect(cat.errors.contains("Broken pipe"), "\(cat.errors)")
  }

  @Test func streamsOfOtherSizesAndCodingsFollowOneAnother() throws {
    let more = """
      vpss/1/source = vdec/0
      vpss/1/enable = 1
      vpss/1/0/width = 160
      vpss/1/0/height = 120
      vpss/1/0/enable = 1
      venc/2/codec = mjpeg
      venc/2/source = vpss/1/0
      venc/2/enable = 1

      """
    let served = try Served(configuration: Self.decoder + more)
    let small = try h264(served.scratch, "small.h264", "testsrc2=size=320x240:rate=30:duration=1", "-c:v", "libx264")
    let large = try h264(
      served.scratch, "large.h264", "testsrc2=size=640x480:rate=30:duration=1", "-c:v", "libx264", "-bf", "2")
    let pictures = try h264(
      served.scratch, "a.mjpeg", "testsrc2=size=352x288:rate=30:duration=1", "-c:v", "mjpeg", "-f", "mjpeg")
    let joined = try shell(#"cat "$1" "$2" "$1" > "$3""#, small, large, served.path("vdec/0/feed"))
    #expect(joined.status == 0, "\(joined.errors)")
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 90 })
    #expect(try served.stats("vdec/0")["layout_changes"] == 2)
    #expect(try eventually { try served.stats("venc/1")["frames_out"] == 90 })
    #expect(try served.facts("venc/1/active")["width"] == "320")
    #expect(try feed(served, pictures).status == 0)
    #expect(try eventually { try served.stats("venc/1")["frames_out"] == 120 })
    #expect(try served.facts("vdec/0/active")["codec"] == "mjpeg")
    #expect(try served.facts("venc/1/active")["width"] == "352")
    // The scaler's way is not waited for by `pace`.
    #expect(try eventually { try served.stats("venc/2")["frames_out"] ?? 0 > 0 })
    #expect(try served.errorLog().isEmpty)
    if Machine.hasFFmpeg {
      let hevc = try h264(
        served.scratch, "a.h265", "testsrc2=size=320x240:rate=30:duration=1", "-c:v", "libx265", "-x265-params",
        "log-level=none", "-f", "hevc")
      #expect(try feed(served, hevc).status == 0)
      #expect(try eventually { try served.stats("venc/1")["frames_out"] == 150 })
      #expect(try served.facts("vdec/0/active")["codec"] == "h265")
    }
  }

  @Test func aFileIsPlayedInRealTimeOverAndOver() throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    // An elementary stream plays in every build, a container with FFmpeg's demultiplexers.
    var files = [try h264(directory, "a.h264", "testsrc2=size=320x240:rate=25:duration=1", "-c:v", "libx264")]
    if Machine.hasFFmpeg {
      files.append(
        try h264(directory, "a b.mp4", "testsrc2=size=320x240:rate=25:duration=1", "-c:v", "libx264", "-bf", "2"))
    }
    for file in files {
      let served = try Served(configuration: "vdec/0/input = file:\(file)\nvdec/0/enable = 1\n")
      try served.expectPace("vdec/0", 25, of: 75)
      #expect(try served.stats("vdec/0")["loops"] ?? 0 >= 2)
      #expect(try served.facts("vdec/0/active")["fps"] == "25")
      // Once is enough: it says so.
      try served.echo("0", to: "vdec/0/loop")
      #expect(try eventually { try served.value("vdec/0/state") == "ended" })
      #expect(try eventually { try served.moves })
      #expect(try Metrics(served.cat("metrics"))[#"mpifs_vdec_ended{object="vdec/0"}"#] == 1)
      // And after all over and over, without being stopped; then once more by being enabled.
      try served.echo("1", to: "vdec/0/loop")
      #expect(try served.advances("vdec/0", "frames_out", by: 30))
      #expect(try served.value("vdec/0/state") == "running")
      try served.echo("0", to: "vdec/0/loop")
      #expect(try eventually { try served.value("vdec/0/state") == "ended" })
      let ended = try served.stats("vdec/0")["frames_out"] ?? 0
      try served.echo("1", to: "vdec/0/enable")
      #expect(
        try eventually {
          try served.value("vdec/0/state") == "ended" && served.stats("vdec/0")["frames_out"] ?? 0 > ended
        })
      // The configuration loads as it prints.
      let text = try served.cat("config")
      #expect(text.contains("vdec/0/input = file:\(file)\n") && text.contains("vdec/0/loop = 0\n"))
      let other = try Served(configuration: text)
      #expect(try other.cat("config") == text)
    }
  }

  @Test func aFileThatIsAwayIsPlayedAgainWhenItIsBackAndAnotherOneAsWhatItIs() throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    let file = try h264(directory, "a.h264", "testsrc2=size=320x240:rate=60:duration=0.5", "-c:v", "libx264")
    let pictures = try h264(
      directory, "a.mjpeg", "testsrc2=size=352x288:rate=60:duration=0.5", "-c:v", "mjpeg", "-f", "mjpeg")
    let served = try Served(configuration: "vdec/0/pace = none\nvdec/0/input = file:\(file)\nvdec/0/enable = 1\n")
    #expect(try served.advances("vdec/0", "frames_out", by: 60))
    _ = try run("mv", file, file + ".away")
    #expect(try eventually { try served.value("vdec/0/state").contains("No such file or directory") })
    _ = try shell(#": > "$1""#, file)
    let out = try served.stats("vdec/0")["frames_out"]
    _ = try run("mv", file + ".away", file)
    #expect(try served.advances("vdec/0", "frames_out", by: 60))
    #expect(try served.value("vdec/0/state") == "running")
    #expect(try served.stats("vdec/0")["frames_out"] ?? 0 > out ?? 0)
    _ = try run("mv", pictures, file)
    #expect(try eventually { try served.facts("vdec/0/active")["codec"] == "mjpeg" })
    #expect(try served.advances("vdec/0", "frames_out", by: 60))
    #expect(try served.facts("vdec/0/active")["input"] == "file a.h264 (mjpeg stream)")
    let stats = try served.stats("vdec/0")
    #expect(stats["frames_in"] == (stats["frames_out"] ?? 0) + (stats["dropped"] ?? 0) + (stats["in_flight"] ?? 0))
  }

  @Test func whatCannotBeDecodedIsToldInStateAndErrorLog() throws {
    let served = try Served(configuration: "vdec/0/enable = 1\nvdec/1/codec = h264\nvdec/1/enable = 1\n")
    let noise = served.scratch + "/noise"
    _ = try shell(#"head -c 300000 /dev/urandom > "$1""#, noise)
    for object in ["vdec/0", "vdec/1"] {
      #expect(try feed(served, noise, "\(object)/feed").status == 0)
      #expect(try eventually { try served.value("\(object)/state").hasPrefix("failed: ") })
      #expect(try eventually { try served.stats(object)["bytes_in"] == 300_000 })
      #expect(try eventually { try served.errorLog().contains { $0.contains("\(object):") } })
    }
    #expect(try eventually { try served.stats("vdec/0")["bytes_skipped"] == 300_000 })
    #expect(try served.cat("health").hasPrefix("failed\n"))
    // A good stream is taken afterwards.
    let good = try h264(served.scratch, "a.h264", "testsrc2=size=320x240:rate=60:duration=1", "-c:v", "libx264")
    #expect(try feed(served, good).status == 0)
    #expect(try eventually { try served.value("vdec/0/state") == "running" })
  }

  @Test func whatIsAskedWronglyIsRefusedWithAReason() throws {
    let served = try Served(configuration: "vdec/0/enable = 0\n")
    #expect(try served.refusal(of: "x", to: "vdec/0/feed").contains("Broken pipe"))
    #expect(try served.errorLog().last?.contains("not running") == true)
    #expect(try served.cat("vdec/0/feed") == "")
    for (value, node, errno) in [
      ("theora", "codec", "Invalid argument"), ("pattern", "input", "Invalid argument"),
      ("file:relative", "input", "Invalid argument"), ("file:\(served.at)/vsys", "input", "Too many levels"),
      ("/dev/video77", "backend", "No such device"), ("300", "fps", "out of range"),
      ("fast", "pace", "Invalid argument"),
    ] {
      #expect(try served.refusal(of: value, to: "vdec/0/\(node)").contains(errno), "\(value) > \(node)")
    }
    for (file, errno) in [("/nonexistent/a.h264", "No such file"), ("/tmp", "Is a directory")] {
      try served.echo("file:\(file)", to: "vdec/0/input")
      #expect(try served.refusal(of: "1", to: "vdec/0/enable", finally: true).contains(errno), "\(file)")
    }
    try served.echo("feed", to: "vdec/0/input")
    try served.echo("1", to: "vdec/0/enable")
    #expect(try served.refusal(of: "h264", to: "vdec/0/codec").contains("resource busy"))
    // One writer at a time.
    let holder = try Child([
      "sh", "-c", #"exec 3> "$1"; echo open; exec sleep 60"#, "sh", served.path("vdec/0/feed"),
    ])
    #expect(eventually { holder.outputText.contains("open") })
    #expect(try shell(#"echo x > "$1""#, served.path("vdec/0/feed")).errors.contains("busy"))
    #expect(try run("rmdir", served.path("vdec/0")).errors.contains("busy"))
    holder.signal(SIGKILL)
    holder.ended()
    try served.echo("0", to: "vdec/0/enable")
    #expect(try run("rmdir", served.path("vdec/0")).status == 0)
    #expect(try !served.exists("vdec/0/feed"))
  }

  @Test func aWriterThatWaitsForRoomHoldsNobodyUpAndCanBeInterrupted() throws {
    let served = try Served(configuration: "vdec/0/pace = realtime\nvdec/0/enable = 1\n")
    let file = try h264(
      served.scratch, "a.h264", "testsrc2=size=640x480:rate=10:duration=20", "-c:v", "libx264", "-b:v", "3M")
    // Seconds of stream do not fit: cat waits. A signal ends it at once.
    let writer = try Child(["sh", "-c", #"exec cat "$1" > "$2""#, "sh", file, served.path("vdec/0/feed")])
    let waits = try eventually {
      try served.stats("vdec/0")["feed_waiting_bytes"] ?? 0 > 300_000
        && served.parkedRequests() == 1
    }
    #expect(waits)
    writer.signal(SIGINT)
    #expect(writer.ended() == 128 + SIGINT, "\(writer.errors)")
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] ?? 0 > 5 })
    // Who must not wait is told how much was taken, then to come again; all other nodes answer meanwhile.
    let script = """
      import os, sys, errno
      data = open(sys.argv[1], 'rb').read()
      f = os.open(sys.argv[2], os.O_WRONLY | os.O_NONBLOCK)
      taken = 0
      try:
        while taken < len(data): taken += os.write(f, data[taken:taken + 100000])
        print('all')
      except OSError as e: print(errno.errorcode[e.errno], taken)
      print(len(open(sys.argv[3]).read()) > 0)
      """
    let nonblocking = try eventually {
      // The rest of the stream before is given first.
      let outcome = try python(script, file, served.path("vdec/0/feed"), served.path("vsys"))
      let words = outcome.text.split(whereSeparator: \.isWhitespace)
      return words.first == "EAGAIN" && (words.count > 1 ? Int(words[1]) ?? 0 : 0) > 0 && words.last == "True"
    }
    #expect(nonblocking)
    // Twenty such writers one after the other leave nothing behind.
    let script20 = #"for i in $(seq 20); do timeout -s KILL 0.05 cat "$1" > "$2"; done; true"#
    #expect(try shell(script20, file, served.path("vdec/0/feed")).status == 0)
    #expect(try eventually { try served.parkedRequests() == 0 })
    try served.echo("0", to: "vdec/0/enable")
    #expect(try served.moves)
  }
}
