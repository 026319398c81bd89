// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What is fed as it is found: joined in the middle, damaged, cut off, or no stream at all. FFmpeg says what there is in it.
@Suite(.ownThread) struct JoiningTests {
  private static let fast = "vdec/0/pace = none\nvdec/0/enable = 1\n"

  private func make(_ served: Served, _ name: String, _ options: [String], rate: Int = 25, frames: Int = 100) throws
    -> String
  {
    let file = served.scratch + "/" + name
    let made = try Child.run(
      ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=\(rate)", "-frames:v", "\(frames)"]
        + options + [file])
    try #require(made.status == 0, "\(made.errors)")
    return file
  }

  /// Units of the file without the pictures before one, parameter sets in front; or without some of them, or without the sets.
  private func edit(_ file: String, as name: String, _ edit: String) throws -> String {
    let target = file + "." + name
    let script = #"""
      import re, sys
      data = open(sys.argv[1], 'rb').read()
      hevc = sys.argv[1].endswith('h265')
      starts = [m.start() for m in re.finditer(b'\0\0\1', data)] + [len(data)]
      units = [data[a + 3:b].rstrip(b'\0') for a, b in zip(starts, starts[1:])]
      kind = lambda u: u[0] >> 1 & 63 if hevc else u[0] & 31
      isSet = lambda u: kind(u) in ((32, 33, 34) if hevc else (7, 8))
      isSlice = lambda u: kind(u) < 32 if hevc else kind(u) in (1, 5)
      pictures, now = [], []
      for u in units:
        now.append(u)
        if isSlice(u): pictures.append(now); now = []
      sets = [u for u in pictures[0] if isSet(u)]
      def bare(p): return [u for u in p if not isSet(u)]
      def hit(p): return p[:-1] + [p[-1][:len(p[-1]) // 2]]
      result = eval(sys.argv[3])
      open(sys.argv[2], 'wb').write(b''.join(b'\0\0\0\1' + u for p in result for u in p))
      """#
    let made = try python(script, file, target, edit)
    try #require(made.status == 0, "\(made.errors)")
    return target
  }

  private func feed(_ served: Served, _ file: String, _ object: String = "vdec/0") throws -> Child.Outcome {
    try shell(#"cat "$1" > "$2""#, file, served.path("\(object)/feed"))
  }

  /// Nothing is wrong with it. A second and a half after the last of what was fed it is called starved.
  private func works(_ served: Served, _ object: String) throws -> Bool {
    try ["running", "starved"].contains(served.value("\(object)/state"))
  }

  private func witness(_ file: String, _ format: String) throws -> Int? {
    let probe = try Child.run([
      "ffprobe", "-v", "quiet", "-f", format, "-count_frames", "-show_entries", "stream=nb_read_frames", "-of",
      "csv=p=0",
      file,
    ])
    return Int(probe.text.trimmingCharacters(in: .whitespacesAndNewlines))
  }

  private struct Entry {
    var name: String
    var options: [String]
    var edit: String
    /// Pictures given that are counted as damaged; `nil` where that is the coding's to say.
    var damaged: Int?
    /// The other engine makes the same of it.
    var isForBoth = false
  }

  private static let x264 = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-x264-params"]
  private static let x265 = ["-c:v", "libx265", "-x265-params"]

  @Test func aStreamIsDecodedFromWhereverItIsJoinedAsFFmpegDecodesIt() throws {
    guard Machine.hasFFmpeg else { return }
    let other = "vdec/1/backend = openh264\nvdec/1/pace = none\nvdec/1/codec = h264\nvdec/1/enable = 1\n"
    let served = try Served(configuration: Self.fast + other)
    // Once: the headers, as a session description brings them, in front of a picture that cannot be decoded.
    let once = "[sets + bare(p) if i == 7 else bare(p) for i, p in enumerate(pictures) if i > 6]"
    for entry in [
      Entry(
        name: "refresh.h264", options: Self.x264 + ["intra-refresh=1:bframes=0:keyint=30"], edit: once, damaged: 0,
        isForBoth: true),
      Entry(
        name: "closed.h264", options: Self.x264 + ["keyint=20:scenecut=0:bframes=2"], edit: once, damaged: 0,
        isForBoth: true),
      Entry(
        name: "closed.h265", options: Self.x265 + ["log-level=none:keyint=20:open-gop=0"], edit: once, damaged: nil),
      Entry(
        name: "open.h265", options: Self.x265 + ["log-level=none:keyint=20:open-gop=1:bframes=3"], edit: once,
        damaged: nil),
      Entry(
        name: "lost.h264", options: Self.x264 + ["keyint=50:bframes=0:scenecut=0"],
        edit: "[p for i, p in enumerate(pictures) if i not in (20, 21)]", damaged: 28, isForBoth: true),
      Entry(
        name: "hit.h264", options: Self.x264 + ["keyint=40:bframes=0:scenecut=0"],
        edit: "[hit(p) if i == 10 else p for i, p in enumerate(pictures)]", damaged: 30, isForBoth: true),
      Entry(
        name: "slice.h264", options: Self.x264 + ["slices=4:keyint=40:bframes=0:scenecut=0"],
        edit: "[p for i, p in enumerate(pictures) if i != 42]", damaged: 30, isForBoth: true),
    ] {
      let file = try make(served, entry.name, entry.options)
      let joined = try edit(file, as: "cut", entry.edit)
      let format = entry.name.hasSuffix("h265") ? "hevc" : "h264"
      let wanted = try #require(try witness(joined, format))
      for object in entry.isForBoth ? ["vdec/0", "vdec/1"] : ["vdec/0"] {
        let before = try served.stats(object)
        #expect(try feed(served, joined, object).status == 0)
        var now: [String: Int] = [:]
        func more(_ key: String) -> Int { (now[key] ?? 0) - (before[key] ?? 0) }
        // What is left out is counted as dropped first, and why after that.
        #expect(
          try eventually {
            now = try served.stats(object)
            return more("frames_out") == wanted && now["in_flight"] == 0
              && more("units_without_key") == more("frames_in") - wanted
          }, "\(entry.name) in \(object): FFmpeg \(wanted), before \(before), now \(now)")
        if let damaged = entry.damaged { #expect(more("pictures_damaged") == damaged, "\(entry.name) in \(object)") }
        if entry.name == "lost.h264" { #expect(more("pictures_missing") == 2) }
        #expect(try works(served, object))
      }
    }
    #expect(try served.errorLog().isEmpty)
  }

  @Test func theNextWritersStreamMayGoOnWithTheParameterSetsThereAre() throws {
    let served = try Served(configuration: Self.fast)
    let file = try make(served, "a.h264", Self.x264 + ["keyint=20:bframes=0:scenecut=0"])
    #expect(try feed(served, file).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 100 })
    let rest = try edit(file, as: "rest", "[bare(p) for p in pictures[20:]]")
    #expect(try feed(served, rest).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 180 })
    #expect(try served.errorLog().isEmpty)
    // Who was there first says why it cannot.
    let other = try Served(configuration: Self.fast + "vdec/1/codec = h264\nvdec/1/enable = 1\n")
    for object in ["vdec/0", "vdec/1"] {
      #expect(try feed(other, rest, object).status == 0)
      #expect(try eventually { try other.value("\(object)/state").contains("no parameter sets") })
    }
    let keyless = try edit(file, as: "keyless", "[sets + bare(p) for p in pictures[1:15]]")
    #expect(try feed(other, keyless, "vdec/1").status == 0)
    #expect(try eventually { try other.value("vdec/1/state").contains("no key picture") })
    let stats = try other.stats("vdec/1")
    #expect(stats["units_without_key"] == stats["frames_in"], "\(stats)")
    let pictures = try make(other, "a.mjpeg", ["-c:v", "mjpeg", "-f", "mjpeg"], frames: 5)
    #expect(try feed(other, pictures, "vdec/1").status == 0)
    #expect(try eventually { try other.value("vdec/1/state").contains("what is fed is mjpeg, not h264") })
  }

  /// A writer of what the one engine asked for does not decode is told, and holds up nobody who comes after.
  @Test func aCodingNobodyDecodesDoesNotHoldUpTheNextWriter() throws {
    let served = try Served(configuration: "vdec/0/backend = openh264\nvdec/0/pace = none\nvdec/0/enable = 1\n")
    let good = try make(
      served, "a.h264", ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0", "-profile:v", "baseline"], frames: 10)
    let other = try make(
      served, "b.h265", ["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none"], frames: 10)
    #expect(try feed(served, good).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 10 })
    #expect(try feed(served, other).status == 0)
    // It is said at the first picture; the last is cut when the writer is known to have closed.
    #expect(
      try eventually {
        try served.stats("vdec/0")["dropped_format_mismatch"] == 10 && served.value("vdec/0/state").contains("h265")
      })
    for round in 2...3 {
      #expect(try feed(served, good).status == 0)
      #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 10 * round })
    }
    #expect(try works(served, "vdec/0"))
    #expect(try served.stats("vdec/0")["dropped_format_mismatch"] == 10)
    // What starves has no picture, which ends no tree walk.
    #expect(try eventually { try served.value("vdec/0/state") == "starved" })
    let archive = try shell(#"tar cf /dev/null -C "$1" ."#, served.at)
    #expect(archive.status == 0, "\(archive.errors)")
  }

  @Test func whatIsNoStreamIsRefusedWithWhatToDo() throws {
    let served = try Served(configuration: "vdec/0/enable = 1\nvdec/1/codec = h264\nvdec/1/enable = 1\n")
    let stream = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]
    for (name, words) in [("a.ts", "MPEG transport stream"), ("a.mp4", "MP4"), ("a.mkv", "Matroska")] {
      let file = try make(served, name, stream, frames: 10)
      for object in ["vdec/0", "vdec/1"] {
        let outcome = try feed(served, file, object)
        #expect(outcome.status != 0 && outcome.errors.contains("Invalid argument"), "\(name): \(outcome.errors)")
        #expect(try eventually { try served.value("\(object)/state").contains(words) })
        let line = try #require(try served.errorLog().last)
        #expect(line.contains("] \(object)/feed ") && line.contains(" EINVAL(22): a container"), "\(line)")
        #expect(line.contains("ffmpeg -i IN -c copy"), "\(line)")
        #expect(try served.stats(object)["frames_in"] == 0)
      }
    }
    #expect(try feed(served, "/etc/passwd").status == 0)
    #expect(try eventually { try served.value("vdec/0/state").contains("no coded video recognised") })
    // A stream is taken all the same.
    let good = try make(served, "a.h264", stream, frames: 10)
    #expect(try feed(served, good).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] ?? 0 > 0 && works(served, "vdec/0") })
  }

  @Test func whatAStreamStatesOfItsRateIsRead() throws {
    guard Machine.hasFFmpeg else { return }
    let served = try Served(configuration: "vdec/0/enable = 1\n")
    for (name, options) in [
      ("a.h264", Self.x264 + ["bframes=2"]), ("a.h265", Self.x265 + ["log-level=none"]), ("a.ivf", ["-c:v", "libvpx"]),
    ] {
      let file = try make(served, name, options, rate: 10, frames: 12)
      #expect(try feed(served, file).status == 0)
      #expect(try eventually { try served.facts("vdec/0/active")["fps"] == "10" }, "\(name) fed")
      for object in ["vdec/1", "vi/1"] {
        _ = try run("mkdir", served.path(object))
        try served.echo("file:\(file)", to: "\(object)/input")
        try served.echo("1", to: "\(object)/enable")
        #expect(try eventually { try served.facts("\(object)/active")["fps"] == "10" }, "\(name) in \(object)")
        try served.echo("0", to: "\(object)/enable")
        #expect(try run("rmdir", served.path(object)).status == 0)
      }
    }
  }

  @Test func filesThatAreNoneAreRefusedWithTheSameErrnoByBothInputs() throws {
    guard Machine.hasFFmpeg else { return }
    let served = try Served(configuration: "vi/1/enable = 0\nvdec/0/enable = 0\n")
    let text = served.scratch + "/a.txt"
    let empty = served.scratch + "/empty.h264"
    _ = try shell(#"seq 1000 > "$1"; : > "$2""#, text, empty)
    // A picture whose headers say that it is 16384 wide and high.
    let large = served.scratch + "/large.jpg"
    let picture = try make(served, "a.jpg", ["-c:v", "mjpeg"], frames: 1)
    let script = #"""
      import sys
      data = bytearray(open(sys.argv[1], 'rb').read())
      at = data.index(b'\xff\xc0') + 5
      data[at:at + 4] = b'\x40\x00\x40\x00'
      open(sys.argv[2], 'wb').write(data)
      """#
    #expect(try python(script, picture, large).status == 0)
    for (file, errno, words) in [
      (text, "Invalid argument", "a text"), (empty, "Invalid argument", "no picture"),
      (served.scratch + "/none.mp4", "No such file", "No such file"),
    ] {
      for object in ["vi/1", "vdec/0"] {
        try served.echo("file:\(file)", to: "\(object)/input")
        let said = try served.refusal(of: "1", to: "\(object)/enable", finally: true)
        #expect(said.contains(errno), "\(object) \(file): \(said)")
        #expect(try served.errorLog().last?.contains(words) == true, "\(object) \(file)")
      }
    }
    try served.echo("file:\(large)", to: "vi/1/input")
    #expect(try served.refusal(of: "1", to: "vi/1/enable", finally: true).contains("out of range"))
    #expect(try served.errorLog().last?.contains("16384x16384; FFmpeg decodes up to") == true)
  }

  @Test func aFileThatGoesAwayIsToldTheSameByBothInputs() throws {
    guard Machine.hasFFmpeg else { return }
    let served = try Served(configuration: "vi/1/enable = 0\nvdec/0/enable = 0\n")
    for name in ["a.mp4", "a.h264"] {
      let file = try make(served, name, Self.x264 + ["bframes=0"], rate: 30, frames: 15)
      for object in ["vi/1", "vdec/0"] {
        try served.echo("file:\(file)", to: "\(object)/input")
        try served.echo("1", to: "\(object)/enable")
        #expect(try served.advances(object, "frames_out", by: 5))
      }
      _ = try run("mv", file, file + ".away")
      for object in ["vi/1", "vdec/0"] {
        #expect(
          try eventually { try served.value("\(object)/state").hasSuffix("No such file or directory") },
          "\(object) \(name)")
      }
      _ = try run("mv", file + ".away", file)
      for object in ["vi/1", "vdec/0"] {
        #expect(try eventually { try served.value("\(object)/state") == "running" }, "\(object) \(name)")
        try served.echo("0", to: "\(object)/enable")
      }
    }
  }

  @Test func largePicturesAreNoFailureWhileTheyCome() throws {
    let served = try Served(configuration: Self.fast)
    let file = served.scratch + "/large.mjpeg"
    let made = try Child.run([
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "nullsrc=s=2048x1536,geq=random(1)*255:128:128", "-frames:v", "3",
      "-q:v", "1", "-c:v", "mjpeg", "-f", "mjpeg", file,
    ])
    try #require(made.status == 0, "\(made.errors)")
    let size = try #require(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int)
    try #require(size > 6_400_000, "more than 2 MiB a picture")
    #expect(try feed(served, file).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 3 })
    #expect(try served.errorLog().isEmpty)
  }

  @Test func whatAFileEndsInIsCountedWhateverItsContainer() throws {
    guard Machine.hasFFmpeg else { return }
    let served = try Served(configuration: "vdec/0/pace = none\nvdec/0/loop = 0\n")
    let whole = try make(served, "a.mp4", Self.x264 + ["bframes=0:keyint=10", "-movflags", "+faststart"], frames: 30)
    for (name, options) in [("b.mp4", ["-movflags", "+faststart"]), ("b.mkv", []), ("b.avi", ["-write_index", "0"])] {
      let file = served.scratch + "/" + name
      let made = try Child.run(["ffmpeg", "-v", "error", "-i", whole, "-c", "copy"] + options + [file])
      try #require(made.status == 0, "\(made.errors)")
      for cut in [0, 1] {
        // Half of the last packet.
        let probe = try Child.run([
          "ffprobe", "-v", "error", "-show_entries", "packet=pos,size", "-of", "csv=p=0", file,
        ])
        let last = probe.text.split(separator: "\n").compactMap { line -> (size: Int, at: Int)? in
          let fields = line.split(separator: ",").compactMap { Int($0) }
          return fields.count == 2 ? (fields[0], fields[1]) : nil
        }.last
        let end = try #require(last)
        if cut == 1 {
          #expect(try shell(#"truncate -s "$2" "$1""#, file, "\(end.at + end.size / 2)").status == 0)
        }
        let before = try served.stats("vdec/0")
        try served.echo("file:\(file)", to: "vdec/0/input")
        try served.echo("1", to: "vdec/0/enable")
        #expect(try eventually { try served.value("vdec/0/state").contains("ended") }, "\(name)")
        let now = try served.stats("vdec/0")
        #expect((now["units_damaged"] ?? 0) - (before["units_damaged"] ?? 0) == cut, "\(name), cut: \(cut)")
        #expect((now["frames_in"] ?? 0) - (before["frames_in"] ?? 0) == 30, "\(name), cut: \(cut)")
        try served.echo("0", to: "vdec/0/enable")
      }
    }
  }

  @Test func aCutOffOrForeignPictureIsCountedAndTheOthersAreShown() throws {
    let served = try Served(configuration: Self.fast)
    let vp8 = try make(served, "a.ivf", ["-c:v", "libvpx"], frames: 20)
    #expect(try shell(#"head -c -1 "$1" > "$2""#, vp8, served.path("vdec/0/feed")).status == 0)
    #expect(try eventually { try served.stats("vdec/0")["frames_in"] == 20 })
    guard Machine.hasFFmpeg else {
      // Nothing here decodes VP8: its pictures are counted as such, and nobody looks into them.
      #expect(try eventually { try served.stats("vdec/0")["dropped_format_mismatch"] == 20 })
      return
    }
    #expect(try eventually { try served.stats("vdec/0")["frames_out"] == 20 })
    #expect(try served.stats("vdec/0")["pictures_damaged"] == 1)
    #expect(try served.stats("vdec/0")["units_damaged"] == 1)
  }
}
