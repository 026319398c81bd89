// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `stream.ts`, `stream.mp4` and `stream.mjpeg`, as the tools that play and record them find them.
@Suite(.ownThread) struct StreamFormTests {
  /// An encoder beside `venc/0` that is not enabled yet.
  /// - Parameter packets: those that may wait for readers: of four seconds, or of sixteen, for readers that are to have every
  ///   picture also where a busy machine keeps them from reading.
  private func served(
    _ codec: String = "h264", bitrate: Int = 400, gop: Int = 15, packets: Int = 512
  ) throws -> Served {
    try Served(
      packets == 512 ? ["--dialect", "rockit-1.4.81"] : [],
      configuration: Pipelines.small(
        """
        venc/1/codec = \(codec)
        venc/1/source = vpss/0/0
        \(codec == "mjpeg" ? "venc/1/fps_dst = 5\nvenc/1/quality = 40" : "venc/1/gop = \(gop)\nvenc/1/bitrate = \(bitrate)")
        """))
  }

  struct Kind: CustomTestStringConvertible {
    let file: String
    let format: String
    /// A file's times begin with it; a transport stream has those of the pictures.
    let beginsAtZero: Bool
    var testDescription: String { file }
    static let all = [
      Kind(file: "stream.ts", format: "mpegts", beginsAtZero: false),
      Kind(file: "stream.mp4", format: "mp4", beginsAtZero: true),
    ]
  }

  /// Numbers of the pattern's pictures in a recording, and that their times are those of the pictures: 30 a second, but where the
  /// input says that it took its clock anew, which it does on a machine that does not keep up.
  private func numbers(_ file: String, _ kind: Kind, _ served: Served) throws -> [Int] {
    let found = try Video.patternNumbers(file, kind.format, width: 640, height: 360)
    let numbers = found.compactMap { $0 }
    #expect(numbers.count == found.count, "pictures that cannot be read")
    let packets = try ContainerFile.packets(file)
    try #require(packets.count == numbers.count && !packets.isEmpty)
    let slips = (1..<packets.count).filter { index in
      abs((packets[index].pts - packets[index - 1].pts) - (numbers[index] - numbers[index - 1]) * 3000) > 1
    }
    let said = try served.stats("vi/0")["clock_slips"] ?? 0
    #expect(slips.count <= said, "the clock was taken anew \(said) times; other times at \(slips)")
    if kind.beginsAtZero { #expect(packets[0].pts == 0) }
    #expect(packets[0].isKey)
    return numbers
  }

  // MARK: recording

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"), arguments: ["h264", "h265"])
  func recordingsHaveEveryPictureAtItsTime(codec: String) throws {
    guard codec == "h264" || Machine.hasX265 else { return }
    let served = try served(codec)
    let kinds = Kind.all + Kind.all
    let recordings = try kinds.map { try Recording(served, "venc/1/\($0.file)") }
    #expect(try eventually { try served.parkedRequests() == 4 })
    try served.echo("1", to: "venc/1/enable")
    #expect(try served.advances("venc/1", "frames_out", by: 100))
    try served.echo("0", to: "venc/1/enable")
    let stats = try served.stats("venc/1")
    for (recording, kind) in zip(recordings, kinds) {
      #expect(recording.cat.ended() == 0)
      #expect(try numbers(recording.file, kind, served).count == stats["frames_out"])
      #expect(try ContainerFile.packets(recording.file).count { $0.isKey } == stats["key_frames"])
      #expect(try Video.complaints(recording.file, kind.format) == "")
      guard kind.beginsAtZero else { continue }
      // Each picture is said to be shown for as long as the one before it; what ends last is the end of the file.
      let probe = try run(
        "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", recording.file)
      let duration = try #require(Double(probe.text.trimmingCharacters(in: .whitespacesAndNewlines)))
      let times = try ContainerFile.packets(recording.file).map(\.pts)
      let end = try #require(zip(times, times.dropFirst()).map { 2 * $1 - $0 }.max())
      #expect(abs(duration * 90_000 - Double(end)) < 2)
    }
    #expect(stats["reader_lost_pictures"] == 0)
    // Two readers of one form have the same bytes. How long the first picture is shown stands in a file alone, and is known to who
    // reads it after the second has come: where that is as long as is taken for granted otherwise, all of them say the same.
    for (kind, (one, two)) in zip(Kind.all, zip(recordings[..<2], recordings[2...])) {
      let times = try ContainerFile.packets(one.file).prefix(2).map(\.pts)
      guard !kind.beginsAtZero || abs(times[1] - times[0] - 3000) <= 1 else { continue }
      #expect(try run("cmp", one.file, two.file).status == 0)
    }
    #expect(try eventually { try served.stats("venc/1")["readers"] == 0 })
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func anMP4IsOneThatBrowsersCanBeginWith() throws {
    let served = try Shared.pipeline
    let recording = try Recording(served, "venc/0/stream.mp4")
    // A header of two boxes, then two for each picture.
    #expect(
      eventually(longestPause: 50_000) {
        let bytes = (try? Data(contentsOf: .init(filePath: recording.file))) ?? Data()
        return MP4Box.all(bytes, isCutOff: true)?.count ?? 0 >= 60
      })
    recording.stop()
    // The reader may have been ended in the middle of a box.
    let boxes = try #require(MP4Box.all(try Data(contentsOf: .init(filePath: recording.file)), isCutOff: true))
    #expect(boxes.prefix(2).map(\.name) == ["ftyp", "moov"])
    let moov = boxes[1]
    #expect(moov.box("mvex", "trex") != nil, "fragments follow")
    let sample = try #require(moov.sampleEntry)
    #expect((sample.name, sample.width, sample.height) == ("avc1", 1280, 720))
    #expect(sample.configuration.name == "avcC")
    let fragments = boxes.dropFirst(2).map(\.name)
    #expect(fragments.count > 20)
    #expect(fragments.enumerated().allSatisfy { $0.element == ($0.offset % 2 == 0 ? "moof" : "mdat") })
    let times = boxes.compactMap(\.fragmentTime)
    #expect(times.first == 0 && zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
  }

  // MARK: playing

  @Test(
    .enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"),
    arguments: [
      #"ffmpeg -v error -i "$1/venc/0/stream.ts" -frames:v 20 -f null -"#,
      #"ffmpeg -v error -i "$1/venc/0/stream.mp4" -frames:v 20 -f null -"#,
      #"ffmpeg -v error -i "$1/venc/2/stream.mjpeg" -frames:v 2 -f null -"#,
      #"cat "$1/venc/1/stream.ts" | ffmpeg -v error -i - -frames:v 20 -f null -"#,
    ])
  func ffmpegPlaysItLive(script: String) throws {
    let served = try Shared.pipeline
    let outcome = try shell(script, served.at)
    #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(script): \(outcome.status) \(outcome.errors)")
  }

  private static let hasGStreamer: Bool = {
    let elements = "tsdemux qtdemux h264parse openh264dec multipartdemux jpegdec"
    return (try? shell("for element in \(elements); do gst-inspect-1.0 $element || exit; done"))?.status == 0
  }()

  @Test(
    .enabled(if: Machine.hasFFmpeg && StreamFormTests.hasGStreamer, "FFmpeg and GStreamer are not both here"),
    arguments: [
      ("venc/0/stream.ts", "tsdemux ! h264parse ! openh264dec"),
      ("venc/0/stream.mp4", "qtdemux ! h264parse ! openh264dec"),
      ("venc/2/stream.mjpeg", "multipartdemux ! jpegdec"),
    ])
  func gstreamerPlaysItLive(file: String, pipeline: String) throws {
    let served = try Shared.pipeline
    let outcome = try shell(
      #"exec gst-launch-1.0 -q filesrc location="$1" ! \#(pipeline) ! fakesink num-buffers=2 sync=false"#,
      served.path(file))
    #expect(outcome.status == 0, "\(outcome.errors)")
  }

  // MARK: what befalls a stream

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"), arguments: Kind.all)
  func aReaderThatStallsGoesOnAtAKeyFrameAndWhatItMissedIsCounted(kind: Kind) throws {
    let served = try served(bitrate: 4000, packets: 128)
    let slow = try StallingReader(served, "venc/1/\(kind.file)")
    let quick = try Recording(served, "venc/1/\(kind.file)")
    #expect(try eventually { try served.parkedRequests() == 2 })
    try served.echo("1", to: "venc/1/enable")
    #expect(try served.advances("venc/1", "frames_out", by: 400))
    slow.goOn()
    #expect(try served.advances("venc/1", "frames_out", by: 60))
    try served.echo("0", to: "venc/1/enable")
    #expect(slow.ended() == 0, "\(slow.errors)")
    #expect(quick.cat.ended() == 0)
    let stats = try served.stats("venc/1")
    let (lost, groups) = (stats["reader_lost_pictures"] ?? 0, stats["reader_lost_groups"] ?? 0)
    #expect(lost > 0 && groups > 0)
    let got = try numbers(quick.file, kind, served)
    let read = try numbers(slow.file, kind, served)
    // Each got every picture but those that are counted; what a busy machine kept the quick one from is counted, too.
    #expect(got.count + read.count + lost == 2 * (stats["frames_out"] ?? 0), "\(got.count) and \(read.count), \(stats)")
    #expect(got.count > read.count)
    let gap = try #require(zip(read.dropFirst(), read).map(-).firstIndex { $0 > 15 }, "\(read)")
    #expect(try ContainerFile.packets(slow.file)[gap + 1].isKey)
    #expect(try Video.complaints(slow.file, kind.format) == "")
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func atAnotherSizeTheTransportStreamGoesOnAndTheMP4Ends() throws {
    let served = try served()
    let (ts, mp4) = (try Recording(served, "venc/1/stream.ts"), try Recording(served, "venc/1/stream.mp4"))
    #expect(try eventually { try served.parkedRequests() == 2 })
    try served.echo("1", to: "venc/1/enable")
    #expect(try served.advances("venc/1", "frames_out", by: 20))
    try served.echo("vpss/0/1", to: "venc/1/source")
    #expect(mp4.cat.ended() == 0, "the file ends")
    #expect(try served.stats("venc/1")["readers"] == 1)
    let next = try Recording(served, "venc/1/stream.mp4")
    // Who opens it after the channel was stopped waits for another start.
    #expect(eventually { next.size > 0 })
    #expect(try served.advances("venc/1", "frames_out", by: 20))
    try served.echo("0", to: "venc/1/enable")
    #expect(ts.cat.ended() == 0 && next.cat.ended() == 0)
    let (sizes, complaints) = try ContainerFile.decoded(ts.file)
    #expect(complaints.isEmpty, "\(complaints)")
    #expect(sizes.count == (try served.stats("venc/1")["frames_out"]))
    let first = sizes.prefix { $0 == "640x360" }.count
    #expect(first > 0 && sizes.dropFirst(first).allSatisfy { $0 == "320x180" } && sizes.last == "320x180")
    #expect(try ContainerFile.decoded(mp4.file).sizes == Array(repeating: "640x360", count: first))
    #expect(Set(try ContainerFile.decoded(next.file).sizes) == ["320x180"])
  }

  @Test func multipartHasEveryPicture() throws {
    let served = try served("mjpeg")
    let recording = try Recording(served, "venc/1/stream.mjpeg")
    #expect(try eventually { try served.parkedRequests() == 1 })
    try served.echo("1", to: "venc/1/enable")
    #expect(try served.advances("venc/1", "frames_out", by: 20))
    try served.echo("0", to: "venc/1/enable")
    #expect(recording.cat.ended() == 0)
    var rest = try Data(contentsOf: .init(filePath: recording.file))
    var times: [Double] = []
    while !rest.isEmpty {
      let end = try #require(rest.range(of: Data("\r\n\r\n".utf8)))
      let head = String(decoding: rest[rest.startIndex..<end.lowerBound], as: UTF8.self)
      let found = try #require(
        head.wholeMatch(
          of: /--mpifs\r\nContent-Type: image\/jpeg\r\nContent-Length: (\d+)\r\nX-Timestamp: (\d+\.\d{6})/))
      let picture = rest[end.upperBound...].prefix(try #require(Int(found.1)))
      #expect(picture.starts(with: [0xff, 0xd8]) && picture.suffix(2).elementsEqual([0xff, 0xd9]))
      times.append(try #require(Double(found.2)))
      rest = rest[picture.endIndex...]
      #expect(rest.prefix(2).elementsEqual("\r\n".utf8))
      rest = rest.dropFirst(2)
    }
    #expect(times.count == (try served.stats("venc/1")["frames_out"]))
    #expect(zip(times.dropFirst(), times).map(-).allSatisfy { $0 > 0.033 })
    #expect(try Video.frames(recording.file, "mpjpeg").count == times.count)
  }

  @Test func formsThatACodingHasNotAreRefusedAndSaid() throws {
    let served = try Shared.pipeline
    for (file, reason) in [
      ("venc/2/stream.ts", "it holds h264 and h265, and the channel codes mjpeg; the channel has stream, stream.mjpeg"),
      (
        "venc/2/stream.mp4", "it holds h264 and h265, and the channel codes mjpeg; the channel has stream, stream.mjpeg"
      ),
      ("venc/0/stream.mjpeg", "it holds JPEG pictures, and the channel codes h264; the channel has stream"),
    ] {
      let outcome = try run("cat", served.path(file))
      #expect(outcome.status == 1 && outcome.errors.hasSuffix(": Operation not supported\n"), "\(outcome.errors)")
      // Those for one reason right after each other are one line, of the last path.
      #expect(try served.errorLog().contains { $0.contains(file) && $0.contains("ENOTSUP(95): \(reason)") }, "\(file)")
    }
    let facts = try served.facts("venc/2/stream.info")
    #expect(facts["venc/2/stream.mjpeg"] == "multipart/x-mixed-replace; boundary=mpifs, for browsers")
    #expect(facts["venc/2/stream.ts"] == "refused: it holds h264 and h265, and the channel codes mjpeg")
    #expect(try served.facts("venc/0/stream.info")["path"] == "venc/0/stream")
  }

  @Test(.enabled(if: !Machine.hasFFmpeg, "this build has FFmpeg"))
  func withoutFFmpegContainersAreRefusedAndSaid() throws {
    let served = try Shared.pipeline
    for file in ["venc/0/stream.ts", "venc/0/stream.mp4"] {
      #expect(try run("cat", served.path(file)).errors.hasSuffix(": Operation not supported\n"))
      let log = try served.errorLog()
      #expect(log.contains { $0.contains(file) && $0.contains("ENOTSUP(95): this build has no FFmpeg") }, "\(log)")
      #expect(try served.facts("venc/0/stream.info")[file] == "refused: this build has no FFmpeg")
    }
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func withoutFFmpegsLibrariesAReadIsRefusedAndSaid() throws {
    let libraries = try Served.freshDirectory()
    defer { try? FileManager.default.removeItem(atPath: libraries) }
    for version in 50..<80 {
      #expect(FileManager.default.createFile(atPath: "\(libraries)/libavutil.so.\(version)", contents: nil))
    }
    let served = try Served(configuration: Pipelines.small(), environment: ["LD_LIBRARY_PATH": libraries])
    let outcome = try run("cat", served.path("venc/0/stream.ts"))
    #expect(outcome.status == 1 && outcome.errors.hasSuffix(": Operation not supported\n"), "\(outcome.errors)")
    let log = try served.errorLog()
    #expect(log.contains { $0.contains("venc/0/stream.ts ENOTSUP(95): dlopen FFmpeg") }, "\(log)")
    // The channel goes on.
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    #expect(try served.stats("venc/0")["readers"] == 0)
  }

  @Test func noFormIsListedAndAllAreThere() throws {
    let served = try Shared.pipeline
    #expect(
      try run("find", served.at, "-name", "stream*", "-path", "*/venc/0/*", "-printf", "%P\\n").lines == [
        "venc/0/stream.info"
      ])
    for file in ["stream", "stream.ts", "stream.mp4", "stream.mjpeg"] {
      #expect(try run("stat", "-c", "%a %F", served.path("venc/0/\(file)")).text.hasPrefix("400 "), "\(file)")
    }
  }
}
