// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What readers of `stream` and `snapshot.jpg` get.
@Suite(.ownThread) struct StreamTests {
  // MARK: the shared pipeline; nothing is changed

  @Test func aRecordingDecodesFromItsFirstByte() throws {
    let served = try Shared.pipeline
    /// Frames that were dropped on the way, and pictures the reader was too slow for.
    func lost() throws -> Int {
      let dropped = try ["vi/0", "vpss/0", "vpss/0/0", "venc/0"].map { try served.stats($0)["dropped"] ?? 0 }
      return try dropped.reduce(served.stats("venc/0")["reader_lost_pictures"] ?? 0, +)
    }
    let before = try lost()
    // A recording begins at the newest key frame: one that is newer than that count.
    #expect(try served.advances("venc/0", "frames_out", by: try #require(Int(try served.value("venc/0/gop")))))
    let recording = try Recording(served, "venc/0/stream")
    #expect(recording.has(80))
    try recording.stopAtPicture()
    let file = recording.file
    let dropped = try lost() - before
    #expect(try Video.complaints(file) == "")
    let frames = try Video.frames(file)
    #expect(frames.first?.isKey == true)
    #expect(frames.allSatisfy { $0.width == 1280 && $0.height == 720 })
    // Not one picture is missing on the way that was not counted as dropped.
    let numbers = try Video.patternNumbers(file, width: 1280, height: 720, originalWidth: 1920).compactMap { $0 }
    try #require(numbers.count > 60)
    let steps = zip(numbers.dropFirst(), numbers).map(-)
    #expect(steps.allSatisfy { $0 >= 1 })
    #expect(steps.reduce(0) { $0 + $1 - 1 } <= dropped, "\(steps)")
  }

  @Test func twoReadersAtOnceGetTheSameBytes() throws {
    // Alone, and with room for as many pictures as come while a reader is kept from reading: who lost some has other bytes.
    let served = try Served(["--dialect", "rockit-1.4.81"], configuration: Pipelines.small())
    let one = try Recording(served, "venc/0/stream")
    let two = try Recording(served, "venc/0/stream")
    #expect(one.has(100) && two.has(100))
    try one.stopAtPicture()
    try two.stopAtPicture()
    for recording in [one, two] {
      #expect(try Video.complaints(recording.file) == "")
      #expect(try Video.frames(recording.file).count > 60)
    }
    // The one that came later begins at the same key frame or a later one; from there on both are the same.
    let (a, b) = (try Data(contentsOf: .init(filePath: one.file)), try Data(contentsOf: .init(filePath: two.file)))
    let (early, late) = a.range(of: b.prefix(2048)) != nil ? (a, b) : (b, a)
    let start = try #require(early.range(of: late.prefix(2048))).lowerBound
    let length = min(early.count - start, late.count)
    #expect(early[start..<start + length].elementsEqual(late.prefix(length)))
  }

  @Test func pictureStreamsDecode() throws {
    let served = try Shared.pipeline
    let recording = try Recording(served, "venc/2/stream")
    #expect(recording.has(3, "mjpeg"))
    try recording.stopAtImage()
    #expect(try Video.complaints(recording.file, "mjpeg") == "")
    let frames = try Video.frames(recording.file, "mjpeg")
    #expect(frames.count >= 3)
    #expect(frames.allSatisfy { $0.width == 1280 && $0.height == 720 })
  }

  @Test(arguments: [("vi/0", 1920, 1080), ("vpss/0/0", 1280, 720), ("vpss/0/1", 640, 360), ("venc/0", 1280, 720)])
  func aSnapshotIsAPictureOfNow(object: String, width: Int, height: Int) throws {
    let served = try Shared.pipeline
    let copies = try (0..<2).map { _ -> Int in
      let file = try served.snapshot(of: object)
      let size = try Video.jpegSize(file)
      #expect(size == (width, height))
      let number = try #require(
        try Video.patternNumbers(file, "mjpeg", width: width, height: height, originalWidth: 1920).first ?? nil)
      // Between the two pictures time goes by: otherwise both could be an old one.
      #expect(try served.advances("vi/0", "frames_out", by: 15))
      return number
    }
    #expect(copies[1] > copies[0])
  }

  /// FFmpeg's pictures of an odd width, so that lines have padding in memory, against what comes out.
  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"), arguments: ["i420", "nv12"])
  func rawSnapshotsAreThePixelsOfTheFileWithoutPadding(format: String) throws {
    let served = try Served(["--load", "none"])
    let raw = ["i420": "yuv420p", "nv12": "nv12"][format] ?? ""
    let clip = served.scratch + "/clip.y4m"
    let made = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=642x362:rate=10", "-frames:v", "4", "-pix_fmt",
      "yuv420p", clip)
    #expect(made.status == 0, "\(made.errors)")
    let pixels = try run("ffmpeg", "-v", "error", "-i", clip, "-f", "rawvideo", "-pix_fmt", raw, "-").output
    #expect(pixels.count == 4 * 642 * 362 * 3 / 2)
    let pictures = (0..<4).map { pixels.dropFirst($0 * pixels.count / 4).prefix(pixels.count / 4) }
    let configured = try served.configure(
      """
      create
      vi/0/input = file:\(clip)
      vi/0/width = 642
      vi/0/height = 362
      vi/0/format = \(format)
      vi/0/enable = 1

      """)
    #expect(configured.status == 0, "\(configured.errors)")
    #expect(try served.advances("vi/0", "frames_out", by: 2))
    #expect(try served.facts("vi/0/active")["snapshot.yuv"] == nil)
    let file = served.scratch + "/a.yuv"
    let copied = try served.whenFramesCome(into: file) { try run("cp", served.path("vi/0/snapshot.yuv"), file) }
    #expect(copied.status == 0, "\(copied.errors)")
    let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    #expect(pictures.contains { $0.elementsEqual(bytes) }, "\(bytes.count) bytes are none of the file's pictures")
    let fact = try #require(try served.facts("vi/0/active")["snapshot.yuv"])
    #expect(fact.hasPrefix("\(format) 642x362, \(bytes.count) bytes, lines without padding; "), "\(fact)")
    // Both at once.
    let both = try served.whenFramesCome(into: file + ".jpg") {
      try shell(
        #"cat "$1/snapshot.yuv" >"$2" & cat "$1/snapshot.jpg" >"$3" && wait $!"#, served.path("vi/0"), file,
        file + ".jpg")
    }
    #expect(both.status == 0, "\(both.errors)")
    #expect(try Video.jpegSize(file + ".jpg") == (642, 362))
  }

  @Test func aSnapshotsNumberIsThatOfTheNewestFrames() throws {
    let served = try Shared.pipeline
    // Frames the source made. Those that came too late for their time are not passed on, but have a number.
    var before = 0
    let file = served.scratch + "/\(UUID().uuidString).jpg"
    let copied = try served.whenFramesCome(into: file) {
      before = try served.stats("vi/0")["frames_in"] ?? 0
      return try run("cp", served.path("vi/0/snapshot.jpg"), file)
    }
    #expect(copied.status == 0, "\(copied.errors)")
    let after = try served.stats("vi/0")["frames_in"] ?? 0
    let number = try #require(try Video.patternNumbers(file, "mjpeg", width: 1920, height: 1080).first ?? nil)
    // The first is number 0; the one that waits for its time as the request comes is counted already.
    #expect((before - 1..<after).contains(number), "\(number) between \(before) and \(after)")
  }

  @Test func streamsAreNotListedButThere() throws {
    let served = try Shared.pipeline
    #expect(try !run("ls", "-A", served.path("venc/0")).lines.contains("stream"))
    let status = try run("stat", "-c", "%a %F %U", served.path("venc/0/stream"))
    #expect(status.text.hasPrefix("400 "), "\(status.text)\(status.errors)")
    #expect(status.text.contains("root"))
    #expect(try served.facts("venc/0/active").values.contains { $0.contains("venc/0/stream") })
    #expect(try served.cat("help").contains("venc/N/stream"))
  }

  @Test func streamsAreNotSeekableAndNotWritable() throws {
    let served = try Shared.pipeline
    let outcome = try python(
      """
      import errno, os, sys
      path = sys.argv[1]
      fd = os.open(path, os.O_RDONLY)
      for what in (lambda: os.lseek(fd, 0, os.SEEK_SET), lambda: os.pread(fd, 10, 0)):
          try:
              what(); print('worked')
          except OSError as e:
              print(errno.errorcode[e.errno])
      try:
          os.open(path, os.O_WRONLY); print('opened')
      except OSError as e:
          print(errno.errorcode[e.errno])
      """, served.path("venc/0/stream"))
    #expect(outcome.lines == ["ESPIPE", "ESPIPE", "EACCES"], "\(outcome.errors)")
  }

  @Test func aReaderThatMayNotWaitGetsEAGAIN() throws {
    let served = try Shared.pipeline
    let outcome = try python(
      """
      import errno, os, sys, time
      fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
      got, again = 0, 0
      while True:
          try:
              data = os.read(fd, 65536)
              if not data: print('EOF'); break
              got += len(data)
          except BlockingIOError:
              again += 1
              if got: break
              time.sleep(0.01)
      print('again' if again else 'never', 'data' if got else 'nothing')
      """, served.path("venc/0/stream"))
    #expect(outcome.lines == ["again data"], "\(outcome.text)\(outcome.errors)")
  }

  @Test func aReaderMayUseAnyReadSize() throws {
    let served = try Shared.pipeline
    for size in [1, 7, 4096, 1_000_000] {
      let file = served.scratch + "/size-\(size).h264"
      let blocks = max(4, 60_000 / size)
      let outcome = try shell(
        #"dd if="$1" of="$2" bs="$3" count="$4" 2>/dev/null"#, served.path("venc/1/stream"), file, String(size),
        String(blocks))
      #expect(outcome.status == 0, "dd bs=\(size): \(outcome.status) \(outcome.errors)")
      let data = try Data(contentsOf: .init(filePath: file))
      #expect(data.starts(with: [0, 0, 0, 1, 0x67]), "dd bs=\(size)")
    }
  }

  // MARK: own mounts

  @Test func aSlowReaderLosesWholeGroupsAndSlowsNobody() throws {
    let served = try Served(
      configuration: Pipelines.small(
        """
        venc/1/codec = h264
        venc/1/source = vpss/0/0
        venc/1/gop = 15
        venc/1/bitrate = 4000
        """))
    let slow = try StallingReader(served, "venc/1/stream")
    let quick = try Recording(served, "venc/1/stream")
    // Both are there before the first picture.
    #expect(try eventually { try served.parkedRequests() == 2 })
    try served.echo("1", to: "venc/1/enable")
    // Longer than the ring keeps: 2 s or a group, and its capacity is shown.
    #expect(try served.advances("venc/1", "frames_out", by: 400))
    slow.goOn()
    #expect(try served.advances("venc/1", "frames_out", by: 60))
    try served.echo("0", to: "venc/1/enable")
    #expect(slow.ended() == 0, "\(slow.errors)")
    #expect(quick.cat.ended() == 0)

    #expect(try Video.complaints(slow.file) == "")
    #expect(try Video.complaints(quick.file) == "")
    let numbers = try Video.patternNumbers(slow.file, width: 640, height: 360).compactMap { $0 }
    let steps = zip(numbers.dropFirst(), numbers).map(-)
    let gap = try #require(steps.firstIndex { $0 > 15 }, "the slow reader lost nothing: \(steps)")
    // It goes on at a key frame.
    let frames = try Video.frames(slow.file)
    try #require(frames.count == numbers.count)
    #expect(frames[gap + 1].isKey)
    let stats = try served.stats("venc/1")
    let (coded, lost) = (stats["frames_out"] ?? 0, stats["reader_lost_pictures"] ?? 0)
    #expect(lost > 0 && stats["reader_lost_groups"] ?? 0 > 0, "not counted: \(stats)")
    // Each got every picture but those that are counted; what a busy machine kept the quick one from is counted, too.
    let got = try Video.frames(quick.file).count
    #expect(frames.count + got + lost == 2 * coded, "\(frames.count) and \(got) read, \(stats)")
    #expect(got > frames.count)
  }

  @Test func disablingEndsTheStreamAfterItsLastPicture() throws {
    let served = try Served(configuration: Pipelines.small())
    let recording = try Recording(served, "venc/0/stream")
    #expect(eventually { recording.size > 20_000 })
    try served.echo("0", to: "venc/0/enable")
    #expect(recording.cat.ended() == 0)
    #expect(try Video.complaints(recording.file) == "")
    let frames = try Video.frames(recording.file)
    #expect(frames.first?.isKey == true)
    #expect(try served.value("venc/0/state") == "stopped")
  }

  @Test(arguments: ["h264", "mjpeg"]) func aReaderThatWasThereFirstGetsEveryByte(codec: String) throws {
    // With room for as many pictures as come while the reader is kept from reading.
    let served = try Served(
      ["--dialect", "rockit-1.4.81"],
      configuration: Pipelines.small(
        """
        venc/1/codec = \(codec)
        venc/1/source = vpss/0/1
        \(codec == "mjpeg" ? "venc/1/fps_dst = 10" : "venc/1/bitrate = 400")
        """))
    let recording = try Recording(served, "venc/1/stream")
    #expect(try eventually { try served.parkedRequests() == 1 })
    try served.echo("1", to: "venc/1/enable")
    #expect(try served.advances("venc/1", "frames_out", by: 50))
    try served.echo("0", to: "venc/1/enable")
    #expect(recording.cat.ended() == 0)
    let stats = try served.stats("venc/1")
    let frames = try Video.frames(recording.file, codec)
    #expect(frames.count == stats["frames_out"])
    // The counter is of coded pictures; parameter sets that go before the first one are the reader's.
    let bytes = try #require(stats["bytes_out"])
    #expect((bytes...bytes + 200).contains(recording.size), "\(recording.size) read, \(bytes) counted")
    let metrics = Metrics(try served.cat("metrics"))
    #expect(metrics[#"mpifs_venc_output_bytes_total{object="venc/1"}"#] == Double(bytes))
  }

  @Test func removingEndsWaitingReadersWithENODEV() throws {
    let served = try Served(configuration: Pipelines.small("venc/5/codec = h264"))
    let reader = try Child([
      "python3", "-c",
      """
      import errno, os, sys
      fd = os.open(sys.argv[1], os.O_RDONLY)
      print('open', flush=True)
      try:
          data = os.read(fd, 100)
          print('EOF' if not data else 'data')
          data = os.read(fd, 100)
          print('again EOF')
      except OSError as e:
          print(errno.errorcode[e.errno])
      """, served.path("venc/5/stream"),
    ])
    #expect(eventually { reader.outputText.contains("open") })
    #expect(try run("rmdir", served.path("venc/5")).status == 0)
    #expect(reader.ended() == 0)
    #expect(reader.outputText.hasSuffix("ENODEV\n"), "\(reader.outputText)\(reader.errors)")
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGKILL]) func aWaitingReaderDiesAtOnce(signal: Int32) throws {
    // No frames ever come, so the read waits for good.
    let served = try Served(configuration: Pipelines.small("venc/5/codec = h264\nvenc/5/enable = 1"))
    let reader = try Child(["cat", served.path("venc/5/stream")])
    #expect(try eventually { try served.parkedRequests() == 1 })
    reader.signal(signal)
    #expect(reader.ended() == 128 + signal)
    #expect(try eventually { try served.parkedRequests() == 0 })
  }

  @Test func manyWaitingReadersHoldNothingUp() throws {
    let served = try Served(configuration: Pipelines.small("venc/5/codec = h264\nvenc/5/enable = 1"))
    let readers = try (0..<64).map { _ in try Child(["cat", served.path("venc/5/stream")]) }
    #expect(try eventually { try served.parkedRequests() == 64 })
    #expect(try served.cat("vsys").hasPrefix("module: vsys"))
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    try served.echo("500", to: "venc/0/bitrate")
    for reader in readers { reader.signal(SIGKILL) }
    for reader in readers { #expect(reader.ended() == 128 + SIGKILL) }
    #expect(try eventually { try served.parkedRequests() == 0 })
  }
}
