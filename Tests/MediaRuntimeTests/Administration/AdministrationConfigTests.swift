// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import MediaRuntime
import SystemPackage
import TestSupport
import Testing

/// Numbers that are the same in every run (SplitMix64).
private struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// A valid text for an attribute.
private func value(_ attribute: Attribute, _ sources: [String], _ dice: inout Dice) -> String {
  switch attribute.type {
  case .nothing, .trigger: return ""
  case .boolean: return Bool.random(using: &dice) ? "1" : "0"
  case .integer(let range, let step, let off):
    if let off, Bool.random(using: &dice) { return off }
    return String(Int.random(in: range, using: &dice) / step * step + (range.lowerBound == 0 ? 0 : step * 16))
  case .rate: return ["30", "25", "30000/1001", "25/2", "240", "1"].randomElement(using: &dice) ?? "30"
  case .choice(let choices, _, _): return choices.randomElement(using: &dice) ?? ""
  case .input:
    return ["pattern", "file:/a b.mp4", "file:/ü\\n=#", "file:/x ", "file:/ = "].randomElement(using: &dice) ?? ""
  case .deviceFormat: return ["auto", "mjpeg", "RGGB", "Y16"].randomElement(using: &dice) ?? "auto"
  case .codedInput: return ["feed", "file:/a b.mp4", "file:/ü\\n=#", "file:/x "].randomElement(using: &dice) ?? ""
  case .rectangle: return Bool.random(using: &dice) ? "" : "2,4,640,480"
  case .part: return ["", "2,4,640,480", "125,0,750,1000 permille"].randomElement(using: &dice) ?? ""
  case .numbers(let count, let range):
    return (0..<count).map { _ in String(Int.random(in: range, using: &dice)) }.joined(separator: ",")
  case .region: return ["off", "2,4,640,480 abs 22", "0,0,16,16 rel -51"].randomElement(using: &dice) ?? "off"
  case .display(let setting):
    let values =
      switch setting {
      case .device: ["auto", "/dev/dri/card0", "/dev/dri/card12"]
      case .connector: ["auto", "HDMI-A-1", "eDP-1"]
      case .mode: ["auto", "1280x720", "1920x1080@59.94"]
      }
    return values.randomElement(using: &dice) ?? "auto"
  case .drawing(let setting):
    switch setting {
    case .color: return "#12ABEF"
    case .palette(let count): return [String](repeating: "#00FF80", count: count).joined(separator: ",")
    case .points: return Bool.random(using: &dice) ? "" : "-8,0 64,0 64,32 0,32"
    case .line: return ["", "%H:%M:%S", "ü\\n = #"].randomElement(using: &dice) ?? ""
    case .path: return ["", "/a b.png", "/ü\\n=#"].randomElement(using: &dice) ?? ""
    }
  case .pool: return ""
  case .source: return (sources + [""]).randomElement(using: &dice) ?? ""
  }
}

@Suite(.ownThread) struct AdministrationConfigTests {
  @Test(arguments: 0..<60)
  func anyConfigurationLoadsAsItPrintsIntoTheSamePipeline(seed: UInt64) throws {
    var dice = Dice(state: seed)
    let first = try FakeRuntime()
    var sources: [String] = []
    var applied = 0
    for name in ["vi/0", "vi/3", "vpss/0", "vpss/0/0", "vpss/0/3", "vpss/1", "vpss/1/2", "venc/0", "venc/1", "venc/59"]
    {
      let path = p(name)
      if Int.random(in: 0..<5, using: &dice) == 0 { continue }
      if first.apply(.create(path)) != nil { continue }
      // Several rounds, so that dependent settings are moved to and fro.
      for _ in 0..<3 {
        for attribute in first.runtime.settingsTable.settings(path.type) {
          if first.apply(.set(path, attribute.key, value(attribute, sources, &dice))) == nil { applied += 1 }
        }
      }
      if path.type == .input || path.type.part == .output { sources.append(name) }
    }
    try #require(applied > 10)

    let text = first.config
    let second = try FakeRuntime()
    #expect(second.load(text) == nil)
    #expect(second.config == text)
    #expect(second.factory.bindings.withLock { $0 } == first.factory.bindings.withLock { $0 })
    for object in first.factory.live.withLock({ $0 }) {
      let twin = try #require(second.factory.object(object.path))
      let (a, b) = (object.state.withLock { $0 }, twin.state.withLock { $0 })
      #expect(a.isRunning == b.isRunning, "\(object.path)")
      #expect(a.settings == b.settings, "\(object.path)")
    }
    // Over itself it is no change at all.
    _ = second.factory.journal.take()
    #expect(second.load(text) == nil)
    #expect(second.load("replace\n" + text) == nil)
    #expect(second.factory.journal.take() == [])
  }

  @Test func theTextIsInCanonicalOrderWithEverySetting() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("venc/1/gop=30\nvenc/0/source = vi/0\n  vi/0/fps=29.97\nvi/0/input = /clips/a\\\\b.mp4\n") == nil)
    let lines = fake.config.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    #expect(
      Array(lines.prefix(8)) == [
        "create", #"vi/0/input = file:/clips/a\\b.mp4"#, "vi/0/width = auto", "vi/0/height = auto",
        "vi/0/format = auto",
        "vi/0/fps = 30000/1001", "vi/0/pool =", "vi/0/enable = 0",
      ])
    #expect(lines.contains("venc/0/source = vi/0"))
    #expect(lines.contains("venc/1/source ="))
    #expect(lines.last == "")
    let count = fake.runtime.objects.reduce(0) { $0 + fake.runtime.settingsTable.settings($1.path.type).count }
    #expect(lines.count == count + 2)
  }

  @Test(arguments: [
    ("venc/0/bitrate = 1", Errno.outOfRange, "line 7: venc/0/bitrate: is out of range"),
    ("venc/0/bitrate = 2M", .invalidArgument, "line 7: venc/0/bitrate: has a unit"),
    ("venc/0/nothing = 1", .noSuchFileOrDirectory, "line 7: venc/0/nothing: no such attribute"),
    ("venc/0/idr = 1", .invalidArgument, "line 7: venc/0/idr: is a command"),
    ("venc/0/state = running", .permissionDenied, "line 7: venc/0/state: is only read"),
    ("venc/64/gop = 1", .outOfRange, "line 7: venc/64 is out of range"),
    ("vpss/0/4/width = 64", .outOfRange, "line 7: vpss/0/4 is out of range"),
    ("venc/064/gop = 1", .noSuchFileOrDirectory, "line 7: names no attribute"),
    ("venc/60/gop = 1", .noSpace, "line 7: venc/60: no more channels"),
    ("rgn/0/color = 1", .notSupported, "line 7: rgn/0: this build makes no rgn objects"),
    ("venc/0/source = vi/9", .noSuchFileOrDirectory, "line 7: venc/0/source: there is no vi/9"),
    ("vpss/0/source = vpss/0/0", .tooManySymbolicLinkLevels, "line 7: vpss/0/source: would make a loop"),
    ("vi/0/width = 640", .invalidArgument, "line 7: vi/0/width stands in line 4 already"),
    ("venc/0/codec = h265", .notSupported, "line 7: venc/0/codec: is not available here"),
    ("venc/0", .invalidArgument, "line 7: has no ="),
    ("vi/0/input = /a\\b", .invalidArgument, "line 7: has an unknown escape"),
    ("vi/0/input = /a\\", .invalidArgument, "line 7: ends inside an escape"),
    ("vi/0/input = /a\\nb", .invalidArgument, "line 7: vi/0/input: is more than one line"),
    ("replace", .invalidArgument, "line 7: has no ="),
    ("vi/0/fps = 2\r5", .invalidArgument, "line 7: vi/0/fps: contains a carriage return"),
  ])
  func aFailingLineIsNamedAndNothingChanges(line: String, errno: Errno, reason: String) throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/width = 640\nvi/1/enable = 1\nvenc/0/gop = 12\n") == nil)
    let before = fake.picture
    let commits = fake.factory.journal.take().count
    let text = """
      # a comment

      replace
      vi/0/width = 1280
      vpss/0/crop =
      vpss/0/0/enable = 1
      \(line)
      venc/0/enable = 1

      """
    let refusal = fake.load(text)
    #expect(refusal?.errno == errno)
    #expect(refusal?.reason.hasPrefix(reason) == true, "\(refusal?.reason ?? "taken")")
    #expect(fake.picture == before)
    #expect(commits > 0)
    #expect(fake.factory.journal.take().allSatisfy { $0.hasPrefix("retire") })
    #expect(fake.runtime.errorLog.records.last?.reason == refusal?.reason)
  }

  @Test func aDeviceThatRefusesLateTakesTheWholeConfigurationBack() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vi/0/enable = 1\nvi/1/enable = 1\nvenc/0/source = vi/0\nvenc/0/enable = 1\n") == nil)
    let before = fake.picture
    fake.factory.failures.withLock { $0[p("vi/2")] = Failure(.permissionDenied, "open", on: "/dev/video2") }
    var lines = ["replace", "vi/0/width = 640", "vi/0/enable = 1", "venc/0/source = vi/2", "venc/0/enable = 0"]
    lines += ["vi/2/width = 640", "vi/2/enable = 1", "venc/7/enable = 1"]
    let refusal = fake.load(lines.joined(separator: "\n") + "\n")
    #expect(refusal?.errno == .permissionDenied)
    #expect(refusal?.reason.hasPrefix("line 7: vi/2/enable: open /dev/video2") == true, "\(refusal?.reason ?? "")")
    #expect(refusal?.hint == "this program may not open it: check owner and mode")
    #expect(fake.picture == before)
    #expect(fake.factory.object(p("vi/1"))?.state.withLock { $0.isRunning } == true)
    #expect(fake.factory.object(p("venc/0"))?.state.withLock { $0.isRunning } == true)
  }

  @Test func onlyATextThatSaysSoMakesObjects() throws {
    let fake = try FakeRuntime()
    func load(_ text: String) -> Refusal? {
      let answer = Answer()
      fake.runtime.loadConfig(Array(text.utf8), creates: false, reply: answer.reply)
      return answer.wait()
    }
    #expect(load("create\nvi/0/width = 640\n") == nil)
    let mistyped = load("vi/0/width = 320\nvi/9/height = 240\n")
    #expect(mistyped?.errno == .noSuchFileOrDirectory)
    #expect(mistyped?.reason == "line 2: vi/9/height: there is no vi/9")
    #expect(mistyped?.hint == "mkdir makes one, and so does a text whose first line is create")
    #expect(fake.runtime.objects.map(\.path) == [p("vi/0")])
    #expect(fake.runtime.setting(p("vi/0"), "width") == "640")
    #expect(load("vi/0/width = 320\ncreate\n")?.errno == .invalidArgument, "only as the first line")
    #expect(load("# saved yesterday\ncreate\nvi/1/width = 640\n") == nil)
    // What it prints brings back what was removed meanwhile, and so does what people make of it.
    let saved = fake.config
    #expect(fake.apply(.remove(p("vi/1"))) == nil)
    #expect(load(saved) == nil && fake.config == saved)
    #expect(fake.apply(.remove(p("vi/1"))) == nil)
    #expect(load("replace\n" + saved) == nil && fake.config == saved)
    #expect(load("replace\nvi/1/width = 640\n") == nil)
    #expect(fake.runtime.objects.map(\.path) == [p("vi/1")])
    // A shell that writes line by line does no harm.
    #expect(load("create\n") == nil)
  }

  @Test func whatEditorsLeaveAtTheEndOfLinesIsNoPartOfThem() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("create \r\nvi/0/width = 640 \t\r\n\r\nvi/0/input = /a b.mp4 \r\nvi/0/height\t= 480\r\n") == nil)
    #expect(fake.runtime.setting(p("vi/0"), "width") == "640")
    #expect(fake.runtime.setting(p("vi/0"), "height") == "480")
    #expect(fake.runtime.setting(p("vi/0"), "input") == "file:/a b.mp4")
    #expect(fake.apply(.set(p("vi/0"), "fps", "25 \r\n")) == nil)
    #expect(fake.runtime.setting(p("vi/0"), "fps") == "25")
    #expect(fake.apply(.set(p("vi/0"), "fps", " 25"))?.errno == .invalidArgument)
  }

  @Test func whatMeansNothingNowIsKeptUntilItDoes() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("venc/0/codec = mjpeg\nvenc/0/bitrate = 4000\nvenc/0/gop = 15\n") == nil)
    #expect(fake.runtime.setting(p("venc/0"), "bitrate") == "4000")
    #expect(fake.config.contains("venc/0/bitrate = 4000\n"))
    let object = try #require(fake.factory.object(p("venc/0")))
    let given = object.state.withLock { $0.settings }
    #expect(given.integer("bitrate") == 2000 && given.integer("gop") == 60)
    #expect(
      given.idle.map(\.value) == [
        "gop: mjpeg has no groups", "bitrate: fixqp holds no bitrate; its size follows quality",
      ])
    #expect(fake.apply(.set(p("venc/0"), "bitrate", "5000")) == nil)
    #expect(fake.apply(.set(p("venc/0"), "codec", "h264")) == nil)
    let then = object.state.withLock { $0.settings }
    #expect(then.integer("bitrate") == 5000 && then.integer("gop") == 15 && then.idle == [])
    // What cannot be while it means something is refused all the same.
    #expect(fake.apply(.set(p("venc/0"), "bitrate", "1"))?.errno == .outOfRange)
  }

  @Test func replaceRemovesWhatIsNotNamedAndOnlyThat() throws {
    let fake = try FakeRuntime()
    #expect(
      fake.load(
        "vi/0/enable = 1\nvpss/0/source = vi/0\nvpss/0/0/enable = 1\nvenc/0/source = vpss/0/0\nvenc/0/enable = 1\n")
        == nil)
    #expect(fake.load("vi/1/width = 640\n") == nil)
    #expect(fake.runtime.objects.count == 5)
    // A receiver that stays must not lose its source behind its back.
    let refusal = fake.load("replace\nvenc/0/gop = 30\n")
    #expect(refusal?.errno == .resourceBusy)
    #expect(fake.runtime.objects.count == 5)
    #expect(fake.load("# only the output\nreplace\nvpss/0/source =\nvpss/0/0/fps = 10\n") == nil)
    #expect(fake.runtime.objects.map(\.path) == [p("vpss/0"), p("vpss/0/0")])
    #expect(fake.runtime.setting(p("vpss/0/0"), "enable") == "1")
  }

  @Test func namingAnOutputMakesItsGroup() throws {
    let fake = try FakeRuntime()
    #expect(fake.load("vpss/3/2/width = 640\n") == nil)
    #expect(fake.runtime.objects.map(\.path) == [p("vpss/3"), p("vpss/3/2")])
  }

  @Test func textsThatAreNotWholeAreRefused() throws {
    let fake = try FakeRuntime()
    let cut = fake.load("vi/0/width = 640\nvi/0/hei")
    #expect(cut?.errno == .invalidArgument)
    #expect(cut?.hint.contains("here-document") == true)
    let long = fake.load(String(repeating: "# ........\n", count: 24_000))
    #expect(long?.errno == .argListTooLong)
    #expect(fake.load("\u{0}\n")?.errno == .invalidArgument)
    #expect(fake.runtime.objects.isEmpty)
    #expect(fake.load("") == nil)
    #expect(fake.load("# nothing\n\n \t\n") == nil)
    #expect(fake.load("replace\n# nothing\n") == nil)
  }

  @Test func anOptionTakesThePlaceOfTheTextsValue() throws {
    let fake = try FakeRuntime()
    let answer = Answer()
    fake.runtime.loadConfig(
      Array("vi/0/input = pattern\nvi/0/enable = 1\n".utf8), name: "default.conf",
      overriding: [.set(p("vi/0"), "input", "/clip.avi")], reply: answer.reply)
    #expect(answer.wait() == nil)
    #expect(fake.runtime.setting(p("vi/0"), "input") == "file:/clip.avi")
    let bad = Answer()
    fake.runtime.loadConfig(
      Array("vi/0/input = pattern\n".utf8), name: "default.conf",
      overriding: [.set(p("vi/0"), "input", "clip.avi")], reply: bad.reply)
    let refusal = bad.wait()
    #expect(refusal?.path == "vi/0/input" && refusal?.reason == "names no input")
  }

  @Test func valuesThatNameOurOwnTreeAreRefused() throws {
    let base = FileManager.default.temporaryDirectory.appendingPathComponent("own-\(UUID().uuidString)")
    let mount = base.appendingPathComponent("mpi")
    try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: base) }
    // Whatever leads in by links is only seen on the way to opening it.
    for (name, target) in [
      ("absolute", mount.path + "/venc/0/stream"), ("relative", "mpi/x"), ("directory", "."), ("chain", "absolute"),
      ("other", "/etc/passwd"), ("loop", "loop"), ("self", "/proc/self/root" + mount.path),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: base.appendingPathComponent(name).path, withDestinationPath: target)
    }
    let fake = try FakeRuntime(mountPoint: mount.path + "/")
    #expect(fake.apply(.create(p("vi/0"))) == nil)
    for text in [
      "\(mount.path)", "\(mount.path)/venc/0/stream", "file:\(base.path)/./x/..//mpi/a", "/../\(mount.path)",
    ] {
      let refusal = fake.apply(.set(p("vi/0"), "input", text))
      #expect(refusal?.errno == .tooManySymbolicLinkLevels, "\(text)")
    }
    #expect(fake.runtime.setting(p("vi/0"), "input") == "pattern")
    for name in [
      "absolute", "relative", "directory/mpi/y", "chain", "self", "directory/../\(base.lastPathComponent)/mpi",
    ] {
      let refusal = fake.apply(.set(p("vi/0"), "input", "\(base.path)/\(name)"), .set(p("vi/0"), "enable", "1"))
      #expect(refusal?.errno == .tooManySymbolicLinkLevels, "\(name): \(refusal?.description ?? "taken")")
      #expect(refusal?.path == "vi/0/input")
    }
    #expect(fake.runtime.setting(p("vi/0"), "input") == "pattern")
    // A name that only starts alike, and links that lead elsewhere, are other files; opening them says the rest.
    for name in ["mpi2/a", "other", "loop"] {
      #expect(fake.apply(.set(p("vi/0"), "input", "\(base.path)/\(name)"), .set(p("vi/0"), "enable", "1")) == nil)
      #expect(fake.apply(.set(p("vi/0"), "enable", "0")) == nil)
    }
    #expect(fake.apply(.set(p("vi/0"), "input", "/dev/video0"))?.errno == .notSupported)
  }
}
