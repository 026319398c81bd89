// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The commands of docs/streams.md do what stands there.
@Suite(.ownThread) struct StreamManualTests {
  /// The one command of the page that begins so, without its comment, for this tree.
  private func command(_ beginning: String, _ served: Served) throws -> String {
    let page = try ManualPage("docs/streams.md")
    let found = page.blocks.filter { $0.language == "sh" }.flatMap(\.lines).filter { $0.hasPrefix(beginning) }
    try #require(found.count == 1, "docs/streams.md has \(found.count) commands that begin with \(beginning)")
    return found[0].replacing(#/ {2,}# .*/#, with: "").replacingOccurrences(of: "/mpi/", with: served.at + "/")
  }

  private func folder(_ served: Served) throws -> String {
    let folder = served.scratch + "/" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder + "/www", withIntermediateDirectories: true)
    return folder
  }

  /// A command that goes on until it is ended.
  private func start(_ command: String, in folder: String) throws -> Child {
    try Child(["bash", "-c", "cd '\(folder)' && \(command)"])
  }

  /// What a file holds so far.
  private func bytes(_ file: String) -> Data { (try? Data(contentsOf: .init(filePath: file))) ?? Data() }

  /// Frames that are whole in an MP4 file.
  private func frames(_ file: String) -> Int {
    MP4Box.all(bytes(file), isCutOff: true)?.count { $0.name == "mdat" } ?? 0
  }

  /// Pictures that are whole in a multipart stream: the next one's part has begun.
  private func parts(_ file: String) -> Int {
    let bytes = bytes(file)
    var (count, at) = (-1, bytes.startIndex)
    while let found = bytes.range(of: Data("--mpifs\r\n".utf8), in: at..<bytes.endIndex) {
      (count, at) = (count + 1, found.upperBound)
    }
    return count
  }

  /// The page's web server, with its programs. It listens.
  private func webServer(of served: Served, in folder: String, at port: String) throws -> Child {
    for beginning in [
      "mkdir -p www", #"printf '#!/bin/sh\nprintf "Content-Type: multipart"#,
      #"printf '#!/bin/sh\nprintf "Content-Type: video"#, "chmod +x www",
    ] {
      let outcome = try shell("cd '\(folder)' && " + command(beginning, served))
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    let server = try start("busybox httpd -f -p 127.0.0.1:\(port) -h www", in: folder)
    // Who asks before that is refused, and a browser does not ask again.
    #expect(
      try eventually { try run("curl", "-s", "-o", "/dev/null", "http://127.0.0.1:\(port)/").status == 0 },
      "\(server.errors)")
    return server
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func aRecordingPlays() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    // Ended when it has enough, not after a time.
    let recorder = try start(
      try command("timeout 10 cat", served).replacing("timeout 10 cat", with: "exec cat"), in: folder)
    #expect(eventually(longestPause: 50_000) { frames(folder + "/a.mp4") >= 20 }, "\(recorder.errors)")
    recorder.signal(SIGTERM)
    recorder.ended()
    let (sizes, _) = try ContainerFile.decoded(folder + "/a.mp4")
    #expect(sizes.count > 10 && Set(sizes) == ["1280x720"])
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func framesHaveTheirTimes() throws {
    let served = try Shared.pipeline
    let lines = try shell(try command("ffprobe -v error -show_entries packet", served)).lines
    let frames = lines.map { $0.split(separator: ",") }.filter { $0.count >= 3 }
    try #require(frames.count == 5, "\(lines)")
    #expect(frames[0][2].hasPrefix("K"))
    let times = try frames.map { try #require(Double($0[0])) }
    let uptime = try #require(Double(String(contentsOfFile: "/proc/uptime", encoding: .utf8).prefix { $0 != " " }))
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
    #expect(times.allSatisfy { $0 > 0 && $0 < uptime })
  }

  @Test(.enabled(if: (try? run("gst-inspect-1.0", "h264parse"))?.status == 0, "GStreamer is not here"))
  func packetsComeOneByOne() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    // More than a key frame and those after it, however long that takes.
    let outcome = try shell(
      "cd '\(folder)' && " + command("timeout 2 cat", served).replacing("timeout 2 cat", with: "head -c 600000"))
    // The last may be cut.
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("nal-") }.sorted()
      .dropLast()
    try #require(files.count > 5, "\(outcome.errors)")
    // Each is one unit: it has one start code, and parameter sets stand alone.
    let units = try files.map { [UInt8](try Data(contentsOf: .init(filePath: "\(folder)/\($0)"))) }
    #expect(units.allSatisfy { $0.starts(with: [0, 0, 0, 1]) })
    let types = units.map { $0[4] & 31 }
    #expect(Set(types).isSuperset(of: [7, 8, 5, 1]))
    #expect(Array(types.filter { $0 != 6 && $0 != 9 }.prefix(3)) == [7, 8, 5])
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func hlsIsServed() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    let port = try Ports.free()
    let segments = try start(try command("ffmpeg -v error -i /mpi/venc/0/stream.ts -c copy -f hls", served), in: folder)
    #expect(eventually { FileManager.default.fileExists(atPath: folder + "/www/live.m3u8") }, "\(segments.errors)")
    let server = try start("busybox httpd -f -p 127.0.0.1:\(port) -h www", in: folder)
    let url = "http://127.0.0.1:\(port)/live.m3u8"
    #expect(
      try eventually { try run("ffmpeg", "-v", "error", "-i", url, "-frames:v", "20", "-f", "null", "-").status == 0 })
    server.signal(SIGTERM)
    segments.signal(SIGTERM)
    #expect(segments.ended() == 255, "that is how ffmpeg says that it was ended: \(segments.errors)")
    #expect(try command("busybox httpd -p 8080 -h www          # http", served) == "busybox httpd -p 8080 -h www")
  }

  @Test func picturesAndVideoAreServed() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    let port = try Ports.free()
    let server = try webServer(of: served, in: folder, at: port)
    /// Looks at a page until it has seen enough of it.
    func get(_ page: String, _ name: String, until isEnough: (String) -> Bool) throws -> String {
      let file = folder + "/" + name
      let viewer = try Child([
        "curl", "-s", "-N", "-D", file + ".head", "-o", file, "http://127.0.0.1:\(port)/cgi-bin/\(page)",
      ])
      let hasSeen = eventually(longestPause: 50_000) { isEnough(file) }
      #expect(hasSeen, "\(viewer.errors)")
      viewer.signal(SIGTERM)
      viewer.ended()
      return try String(contentsOfFile: file + ".head", encoding: .utf8)
    }
    let camera = try get("camera", "a.mjpeg") { parts($0) >= 2 }
    #expect(camera.contains("Content-Type: multipart/x-mixed-replace; boundary=mpifs\r\n"))
    #expect(try ContainerFile.decoded(folder + "/a.mjpeg").sizes.first == "1280x720")
    if Machine.hasFFmpeg {
      let video = try get("video", "a.mp4") { frames($0) >= 10 }
      #expect(video.contains("Content-Type: video/mp4\r\n"))
      #expect(Set(try ContainerFile.decoded(folder + "/a.mp4").sizes) == ["1280x720"])
    }
    server.signal(SIGTERM)
    // Who is gone leaves no reader behind.
    #expect(try eventually { try served.stats("venc/2")["readers"] == 0 })
  }

  @Test(
    .enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"),
    .enabled(if: (try? run("chromium-headless-shell", "--version"))?.status == 0, "Chromium is not here"))
  func aBrowserShowsThem() throws {
    let directory = try Served.freshDirectory()
    defer { _ = try? run("rm", "-rf", "--one-file-system", directory) }
    let clip = directory + "/green.mp4"
    // Noise below the colour, because a browser begins to play when tens of kilobytes are there.
    let made = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=c=0x20c040:s=320x120:r=25:d=4", "-f", "lavfi", "-i",
      "testsrc2=s=320x120:r=25:d=4,noise=alls=80:allf=t", "-filter_complex",
      "vstack,scale=out_color_matrix=bt709,format=yuv420p", "-c:v", "libx264", "-colorspace", "bt709", clip)
    try #require(made.status == 0, "\(made.errors)")
    let served = try Served(
      configuration: """
        vdec/0/input = \(clip)
        vdec/0/loop = 1
        vdec/0/enable = 1
        venc/0/codec = h264
        venc/0/gop = 25
        venc/0/source = vdec/0
        venc/0/enable = 1
        venc/2/codec = mjpeg
        venc/2/source = vdec/0
        venc/2/enable = 1

        """)
    let folder = try folder(served)
    let port = try Ports.free()
    let server = try webServer(of: served, in: folder, at: port)
    /// What a page's script found out comes back as the question of one more request.
    try #"""
    #!/bin/sh
    printf '%s\n' "$QUERY_STRING" >> ../seen
    printf 'Content-Type: text/plain\r\n\r\n'
    """#.write(toFile: folder + "/www/cgi-bin/tell", atomically: true, encoding: .utf8)
    _ = try shell(#"chmod +x "$1/www/cgi-bin/tell""#, folder)
    try """
    <!DOCTYPE html>
    <video id=video muted autoplay src="/cgi-bin/video"></video>
    <img id=camera src="/cgi-bin/camera">
    <script>
    const [video, camera] = ['video', 'camera'].map(name => document.getElementById(name));
    const tell = words => fetch('/cgi-bin/tell?' + words.join(','));
    // The size of what is shown and the colour of its upper half.
    const seen = (source, width, height) => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width, height];
      const context = canvas.getContext('2d');
      context.drawImage(source, 0, 0);
      return [width, height, ...context.getImageData(width / 2, height / 4, 1, 1).data.slice(0, 3)];
    };
    video.onerror = () => tell(['error', video.error.message]);
    video.ontimeupdate = () => {
      // Time goes on without frames where a busy machine gave none for a while: they are counted.
      const frames = video.getVideoPlaybackQuality().totalVideoFrames;
      if (video.currentTime < 2 || frames < 25 || camera.naturalWidth == 0) return;
      video.ontimeupdate = null;
      tell([...seen(video, video.videoWidth, video.videoHeight), ...seen(camera, camera.naturalWidth, camera.naturalHeight),
        frames]);
    };
    </script>
    """.write(toFile: folder + "/www/page.html", atomically: true, encoding: .utf8)
    let browser = try Child([
      "chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--autoplay-policy=no-user-gesture-required", "--user-data-dir=\(folder)/profile", "--remote-debugging-port=0",
      "http://127.0.0.1:\(port)/page.html",
    ])
    // A shell opens the file before it writes: it is there once it has a line. What a browser complains of is one, too.
    var seen = ""
    #expect(
      eventually {
        seen = String(decoding: bytes(folder + "/www/seen"), as: UTF8.self)
        return seen.hasSuffix("\n")
      }, "\(browser.errors)")
    browser.signal(SIGTERM)
    server.signal(SIGTERM)
    let values = seen.prefix { $0 != "\n" }.split(separator: ",").compactMap { Int($0) }
    try #require(values.count == 11, "\(seen)")
    for picture in [values[0..<5], values[5..<10]] {
      #expect(Array(picture.prefix(2)) == [320, 240])
      let off = zip(picture.suffix(3), [0x20, 0xc0, 0x40]).map { abs($0 - $1) }
      // BT.709 taken for BT.601 is off by 25 in green.
      #expect(off.allSatisfy { $0 <= 6 }, "\(seen)")
    }
    #expect(values[10] >= 25, "frames: \(seen)")
    #expect(try eventually { try served.stats("venc/0")["readers"] == 0 })
  }

  @Test func oneViewerNeedsNoServer() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    let port = try Ports.free()
    let command = try command("(printf 'HTTP", served).replacing("8081", with: port)
    let server = try start(command, in: folder)
    let file = folder + "/b.mjpeg"
    var viewer: Child?
    #expect(
      try eventually(longestPause: 50_000) {
        // It serves one, so nobody can be asked whether it listens by now: who was refused asks again.
        if viewer?.isRunning != true {
          viewer = try Child(["curl", "-s", "-N", "-o", file, "http://127.0.0.1:\(port)/"])
        }
        return parts(file) >= 2
      }, "\(server.errors)")
    viewer?.signal(SIGTERM)
    viewer?.ended()
    server.signal(SIGTERM)
    #expect(try ContainerFile.decoded(file).sizes.first == "1280x720")
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func rtspIsTakenByWhoeverListens() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    let port = try Ports.free()
    // In a server's place.
    let listener = try Child([
      "ffmpeg", "-v", "error", "-max_error_rate", "1", "-rtsp_flags", "listen", "-i", "rtsp://127.0.0.1:\(port)/live",
      "-frames:v", "20", "-f", "null", "-",
    ])
    let command = try command("ffmpeg -v error -i /mpi/venc/0/stream.ts -c copy -f rtsp", served)
    var publishers: [Child] = []
    // Nobody can be asked whether he listens by now.
    #expect(
      try eventually {
        if publishers.last?.isRunning != true {
          publishers.append(try start(command.replacing("8554", with: port), in: folder))
        }
        return !listener.isRunning
      })
    #expect(listener.ended() == 0, "\(listener.errors) \(publishers.map(\.errors))")
    for publisher in publishers { publisher.signal(SIGTERM) }
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build has no FFmpeg"))
  func udpIsReceived() throws {
    let served = try Shared.pipeline
    let folder = try folder(served)
    let port = try Ports.free()
    // What is lost on the way, or comes before it listens, is UDP's affair: it waits for frames as long as that takes.
    let receiver = try Child([
      "ffmpeg", "-v", "fatal", "-max_error_rate", "1", "-i", "udp://127.0.0.1:\(port)?overrun_nonfatal=1", "-frames:v",
      "20", "-f", "null", "-",
    ])
    let command = try command("ffmpeg -v error -i /mpi/venc/0/stream.ts -c copy -f mpegts udp", served)
    let sender = try start(command.replacing("5004?", with: "\(port)?"), in: folder)
    #expect(receiver.ended() == 0, "\(receiver.errors) \(sender.errors)")
    sender.signal(SIGTERM)
  }
}
