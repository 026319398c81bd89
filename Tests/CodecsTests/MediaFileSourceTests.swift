// SPDX-License-Identifier: Apache-2.0
import Foundation
import KernelChecks
import MediaCore
import TestSupport
import Testing

@testable import Codecs

func open(_ path: String, _ request: SourceRequest) throws -> any Source {
  try MediaFileSourceFactory().open(.file(path), request)
}

#if FFmpeg
  /// A folder that goes with the test.
  final class TemporaryFolder {
    let url = FileManager.default.temporaryDirectory.appending(path: "mpifs-media-\(UUID().uuidString)")
    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }
    func path(_ name: String) -> String { url.appending(path: name).path }
  }

  @Suite(.ownThread) struct MediaFileSourceTests {
    static let frames = 24

    /// The numbered test picture as a raw file of I420 frames.
    static func raw(_ folder: TemporaryFolder, _ width: Int, _ height: Int) throws -> String {
      let source = try PatternSource(try request(.i420, width, height))
      var data = Data()
      for _ in 0..<frames {
        let frame = try source.next().unwrapped()
        let pixels = try frame.beginPixels(write: false)
        for (plane, w, h) in [
          (pixels.plane0, width, height), (pixels.plane1, width / 2, height / 2),
          (pixels.plane2, width / 2, height / 2),
        ] {
          for row in 0..<h { data.append(plane.at(row: row, column: 0).base, count: w) }
        }
        try frame.endPixels(write: false)
      }
      let path = folder.path("raw.yuv")
      try data.write(to: URL(filePath: path))
      return path
    }

    static func make(
      _ folder: TemporaryFolder, _ name: String, _ options: String, _ width: Int = 640, _ height: Int = 360
    ) throws -> String {
      let raw = try raw(folder, width, height)
      let path = folder.path(name)
      let result = try Tool.run(
        "ffmpeg",
        ["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "\(width)x\(height)", "-r", "25", "-i", raw]
          + options.split(separator: " ").map { String($0) } + ["-y", path])
      try #require(result.status == 0, "\(result.errors)")
      return path
    }

    @Test func aHoleOfZerosAtTheEndIsTheEnd() throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, "a.h264", "-c:v libx264 -g 12")
      try #require(try Tool.run("truncate", ["-s", "64G", path]).status == 0)
      let source = try open(path, try request(.i420, 640, 360))
      var last: Int64 = -1
      for _ in 0..<Self.frames * 2 {
        let frame = try source.next().unwrapped()
        #expect(frame.pts > last)
        last = frame.pts
      }
    }

    @Test func aHoleAloneIsNoMediaFile() throws {
      let folder = try TemporaryFolder()
      let path = folder.path("hole.h264")
      try #require(try Tool.run("truncate", ["-s", "64G", path]).status == 0)
      #expect(throws: Failure.self) { try open(path, try request(.i420, 640, 360)) }
    }

    static let kinds = [
      ("a.mp4", "-c:v libx264 -bf 3 -pix_fmt yuv420p"), ("a.avi", "-c:v mpeg4 -q:v 3"),
      ("a.mkv", "-c:v libvpx -b:v 4M"),
      ("a.ts", "-c:v mpeg2video -q:v 3"), ("a.mpg", "-c:v mpeg1video -q:v 3"),
      ("b.mov", "-c:v mjpeg -q:v 3 -pix_fmt yuvj422p"),
      ("a.webm", "-c:v libvpx-vp9 -deadline realtime -b:v 4M -pix_fmt yuv444p"),
      ("c.webm", "-c:v libvpx-vp9 -deadline realtime -b:v 4M -pix_fmt yuv420p10le"),
      ("d.avi", "-c:v rawvideo -pix_fmt bgr24"),
      ("e.mkv", "-c:v ffv1 -pix_fmt yuv422p10le"), ("f.h264", "-c:v libx264"), ("g.flv", "-c:v flv -q:v 3"),
      ("h.mkv", "-c:v ffv1 -pix_fmt gray"), ("i.mp4", "-c:v libx265 -x265-params log-level=error -tag:v hvc1"),
      ("j.ogv", "-c:v libtheora -q:v 8"), ("k.gif", ""),
    ]

    @Test(arguments: kinds)
    func everyPictureOfAnyContainerAndCodecComesInOrderAndTheFileLoops(_ kind: (name: String, options: String)) throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, kind.name, kind.options)
      let source = try open(path, try request(.nv12, 640, 360))
      #expect(source.layout.format == .nv12 && source.layout.width == 640 && source.layout.height == 360)
      #expect(!source.isLive)
      var last: Int64 = -1
      for index in 0..<Self.frames * 2 + 3 {
        let frame = try source.next().unwrapped()
        let number = try PatternSourceTests.number(frame)
        #expect(number == UInt32(index % Self.frames), "frame \(index)")
        #expect(frame.sequence == UInt64(index))
        if index == 0 { #expect(frame.pts == 0) }
        // 25 frames a second, over the seam too.
        if index > 0 { #expect(abs(frame.pts - last - 40_000) <= 1000, "frame \(index): \(frame.pts - last) us") }
        last = frame.pts
      }
      #expect(source.counters.damaged == 0)
      #expect(source.summary.contains(kind.name))
    }

    /// From where on the file's times, in milliseconds, leap: an hour, and more than can be counted in nanoseconds.
    @Test(arguments: ["gte(N,5),PTS+3600000", "between(N,5,9),PTS+2e13"])
    func picturesKeepTheirPaceWhereAFilesStampsLeap(_ leap: String) throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, "a.mkv", "-c:v mjpeg -bsf:v setts=pts='if(\(leap),PTS)'")
      try expectEvenPace(of: open(path, try request()), leapsIn: path)
    }

    @Test func filesStrungTogetherKeepTheirPace() throws {
      let folder = try TemporaryFolder()
      let one = try Data(contentsOf: URL(filePath: try Self.make(folder, "one.ts", "-c:v mpeg2video -q:v 3")))
      let path = folder.path("all.ts")
      try Data((0..<4).flatMap { _ in one }).write(to: URL(filePath: path))
      try expectEvenPace(of: open(path, try request()), leapsIn: path)
    }

    private func expectEvenPace(of source: any Source, leapsIn path: String) throws {
      // The file is what the test is about.
      let stamps = try Tool.run("ffprobe", ["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path])
        .text.split(whereSeparator: { !"-.0123456789".contains($0) }).compactMap { Double($0) }
      #expect(zip(stamps, stamps.dropFirst()).contains { abs($1 - $0) > 0.5 }, "\(stamps)")
      var last: Int64 = -40_000
      for index in 0..<Self.frames * 5 {
        let frame = try source.next().unwrapped()
        #expect(abs(frame.pts - last - 40_000) <= 1000, "frame \(index): \(frame.pts - last) us")
        last = frame.pts
      }
    }

    @Test(arguments: [
      ("a.avi", "-c:v mpeg4 -q:v 3"), ("b.mkv", "-c:v ffv1 -pix_fmt yuv420p"), ("c.mkv", "-c:v ffv1 -pix_fmt yuv444p"),
    ])
    func oddSizesComeAtTheSizeAskedOrTheirOwn(_ kind: (name: String, options: String)) throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, kind.name, "-vf format=yuv444p,pad=643:361:1:1 " + kind.options)
      let own = try open(path, try request(.i420, 0, 0))
      #expect(own.layout.width == 642 && own.layout.height == 360)
      #expect(own.remarks.contains("file is 643x361, its last column and line left off"), "\(own.remarks)")
      for _ in 0..<Self.frames + 2 { _ = try own.next().unwrapped() }
      let scaled = try open(path, try request(.nv12, 320, 180))
      #expect(scaled.remarks.contains("file is 643x361, scaled to 320x180"), "\(scaled.remarks)")
      for index in 0..<Self.frames + 2 {
        let frame = try scaled.next().unwrapped()
        let luma = try PatternSourceTests.luma(frame)
        let number = luma.withUnsafeBytes {
          PatternCode.read(luma: $0, stride: 320, width: 320, height: 180, originalWidth: 640)
        }
        #expect(number == UInt32(index % Self.frames))
      }
    }

    @Test func aDamagedFilePlaysOnAndCounts() throws {
      let folder = try TemporaryFolder()
      for (name, options) in [
        ("a.avi", "-c:v mpeg4 -g 6"), ("b.ts", "-c:v libx264 -g 6"), ("c.mp4", "-c:v libx264 -g 6"),
        ("d.mkv", "-c:v mjpeg"),
      ] {
        let path = try Self.make(folder, name, options)
        var data = try Data(contentsOf: URL(filePath: path))
        // Rubbish in the middle, leaving the index at either end alone.
        var random = SplitMix(state: 7)
        for at in data.count * 4 / 10..<data.count * 6 / 10 { data[at] = UInt8(truncatingIfNeeded: random.next() >> 9) }
        try data.write(to: URL(filePath: path))
        let source = try open(path, try request())
        for _ in 0..<Self.frames * 2 { _ = try source.next().unwrapped() }
        // A transport stream drops packets that are rubbish as a whole: where the gap falls between two groups of
        // pictures, nothing damaged reaches the decoder, and playing on is all there is to see.
        if name != "b.ts" { #expect(source.counters.damaged > 0, "\(name)") }
      }
    }

    @Test func aTruncatedFilePlaysWhatIsThere() throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, "a.avi", "-c:v mpeg4 -g 6")
      let data = try Data(contentsOf: URL(filePath: path))
      try data.prefix(data.count / 2).write(to: URL(filePath: path))
      let source = try open(path, try request())
      var last: Int64 = -1
      for _ in 0..<Self.frames * 2 {
        let frame = try source.next().unwrapped()
        #expect(frame.pts > last)
        last = frame.pts
      }
    }

    @Test func aFileThatLosesAllItsPicturesFailsInsteadOfSpinning() throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, "a.avi", "-c:v mjpeg")
      let source = try open(path, try request())
      _ = try source.next().unwrapped()
      // Cut off behind our back: the next pass finds nothing.
      try FileHandle(forWritingTo: URL(filePath: path)).truncate(atOffset: 0)
      #expect(throws: Failure.self) {
        for _ in 0..<Self.frames * 2 { _ = try source.next().unwrapped() }
      }
    }

    /// What is wrong, the errno, and a word the text must hold.
    @Test(arguments: [
      ("missing.mp4", Int32(ENOENT), "No such file"), ("rubbish.mp4", EINVAL, "not a media file"),
      ("empty.avi", EINVAL, ""),
      ("sound.wav", EINVAL, "no video stream"), ("folder", EISDIR, ""), ("pipe", EINVAL, "regular file"),
      ("text.txt", EINVAL, ""),
      ("headless.mp4", EINVAL, "not a media file"),
    ])
    func whatCannotBePlayedSaysWhy(_ name: String, _ errno: Int32, _ word: String) throws {
      let folder = try TemporaryFolder()
      let path = folder.path(name)
      let url = URL(filePath: path)
      switch name {
      case "rubbish.mp4": try Data((0..<9999).map { UInt8(truncatingIfNeeded: $0 * 7919 >> 3) }).write(to: url)
      case "empty.avi": try Data().write(to: url)
      case "text.txt": try Data("hello\n".utf8).write(to: url)
      case "folder": try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
      case "pipe": #expect(mkfifo(path, 0o600) == 0)
      case "sound.wav":
        let made = try Tool.run("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "sine=d=0.2", "-y", path])
        try #require(made.status == 0)
      case "headless.mp4":
        let whole = try Self.make(folder, "whole.mp4", "-c:v libx264")
        let data = try Data(contentsOf: URL(filePath: whole))
        try data.prefix(data.count - 2000).write(to: url)
      default: break
      }
      do {
        _ = try open(path, try request())
        Issue.record("\(name) was opened")
      } catch let failure as Failure {
        #expect(failure.errno.rawValue == errno, "\(failure)")
        #expect(word.isEmpty || failure.description.contains(word), "\(failure)")
        #expect(failure.subject == path)
      }
    }

    @Test func interruptEndsAWait() throws {
      let folder = try TemporaryFolder()
      let path = try Self.make(folder, "a.avi", "-c:v mpeg4")
      let source = try open(path, try request(buffers: 2))
      let a = try source.next().unwrapped()
      let b = try source.next().unwrapped()
      let reader = Background { () throws -> Bool in
        switch try source.next() {
        case .none: return true
        case .some: return false
        }
      }
      try #require(eventually { (source.pool as? Pool)?.waits ?? 0 > 0 })
      source.interrupt()
      #expect(try reader.value)
      #expect(a.sequence + b.sequence == 1)
    }

    /// Real footage: clips of Debian's opencv-doc, which the test runner fetches once.
    @Test(arguments: [
      ("vtest.avi", 768, 576), ("tree.avi", 320, 240), ("Megamind.avi", 720, 528), ("Megamind_bugy.avi", 720, 528),
    ])
    func realFootagePlaysAndLoops(_ clip: (name: String, width: Int, height: Int)) throws {
      guard let path = Footage.path(clip.name) else { return }
      let own = try open(path, try request(.i420, 0, 0))
      #expect(own.layout.width == clip.width && own.layout.height == clip.height)
      let source = try open(path, try request(.nv12, 640, 360))
      let counted = try Tool.run(
        "ffprobe",
        [
          "-v", "quiet", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames", "-of",
          "csv=p=0", path,
        ])
      let count = try #require(Int(counted.text.trimmingCharacters(in: .whitespacesAndNewlines)))
      var last: Int64 = -1
      var passes: [[Int]] = [[]]
      for index in 0..<count * 2 {
        let frame = try source.next().unwrapped()
        #expect(frame.pts > last)
        last = frame.pts
        if index == count { passes.append([]) }
        if index % count < 10 {
          let luma = try PatternSourceTests.luma(frame)
          passes[passes.count - 1].append(luma.reduce(0) { $0 &* 31 &+ Int($1) })
        }
      }
      // The second pass shows the same pictures.
      #expect(passes[0] == passes[1])
      #expect(Set(passes[0]).count > 5)
    }
  }

  enum Footage {
    /// Path of a clip, or `nil` after saying why there is none.
    static func path(_ name: String) -> String? {
      guard let folder = ProcessInfo.processInfo.environment["MPIFS_CLIPS"] else {
        print("not run with real footage \(name): MPIFS_CLIPS names no folder with the clips of Debian's opencv-doc")
        return nil
      }
      return "\(folder)/\(name)"
    }
  }
#else
  @Suite(.ownThread) struct MediaFileSourceTests {
    @Test func aBuildWithoutFFmpegSaysSo() throws {
      do {
        _ = try open("/tmp/a.mp4", try request())
        Issue.record("opened")
      } catch let failure as Failure {
        #expect(failure.errno == .notSupported)
        #expect(failure.description.contains("this build has no FFmpeg"))
      }
    }
  }
#endif
