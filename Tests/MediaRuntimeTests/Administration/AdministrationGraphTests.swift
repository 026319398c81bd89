// SPDX-License-Identifier: Apache-2.0
import Codecs
import Devices
import Foundation
import MediaCore
import MediaRuntime
import Reports
import SystemPackage
import TestSupport
import Testing

/// A runtime over the real graph, the software codecs and the device factories the program registers.
private final class RealRuntime: Sendable {
  let logs = RuntimeLogs()
  let graph: MediaGraph
  let runtime: Runtime

  init() throws {
    let sources = SoftwareCodecs.sourceFactories() + [V4L2SourceFactory()]
    let engines = EngineCatalogue(
      encoders: SoftwareCodecs.encoderFactories(), scalers: SoftwareCodecs.scalerFactories(), sources: sources)
    graph = try MediaGraph(
      engines: engines, allocator: MemfdAllocator(), options: GraphOptions().patient, listener: logs)
    runtime = try Runtime(catalogue: engines, graph: graph, logs: logs, options: .patient)
  }

  deinit {
    _ = runtime.shutDown(milliseconds: 20_000)
    graph.close()
  }

  func apply(_ changes: Change...) -> Refusal? {
    let answer = Answer()
    runtime.apply(changes, reply: answer.reply)
    return answer.wait()
  }

  func load(_ text: [UInt8]) -> Refusal? {
    let answer = Answer()
    runtime.loadConfig(text, reply: answer.reply)
    return answer.wait()
  }

  /// Waits until so many pictures were coded.
  func waitForPictures(_ path: String, _ count: UInt64) -> Bool {
    eventually { (graph.objectState(path)?.statistics.framesOut ?? 0) >= count }
  }
}

/// The configuration the program starts with.
private func defaultConfiguration() throws -> [UInt8] {
  let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
  return Array(try Data(contentsOf: root.appendingPathComponent("mount/mpifs.conf")))
}

@Suite(.ownThread, .serialized) struct AdministrationGraphTests {
  @Test func theDefaultConfigurationRunsAndPrintsAsItStandsInItsFile() throws {
    let text = try defaultConfiguration()
    let real = try RealRuntime()
    #expect(real.load(text) == nil)
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(
      String(decoding: real.runtime.configText(), as: UTF8.self)
        == lines.filter { !$0.hasPrefix("#") }.joined(separator: "\n"))
    for path in ["venc/0", "venc/1", "venc/2"] { #expect(real.waitForPictures(path, 1), "\(path)") }
    // A machine that is short of time may have one wait for a while.
    #expect(eventually { real.graph.objectStates().allSatisfy { $0.condition == .running } })
    #expect(real.logs.errors.total == 0, "\(real.logs.errors.records)")
    #expect(!real.logs.modules.records.isEmpty)
    // The text loads over itself without a change, and stops as a whole.
    #expect(real.load(text) == nil)
    #expect(real.load(Array("replace\n# nothing\n".utf8)) == nil)
    #expect(real.runtime.objects.isEmpty && real.graph.objectStates().isEmpty)
    #expect(real.logs.errors.total == 0, "\(real.logs.errors.records)")
  }

  @Test func settingsOfARunningChannelChangeOrAreRefusedWithAReason() throws {
    let real = try RealRuntime()
    #expect(real.load(try defaultConfiguration()) == nil)
    #expect(real.waitForPictures("venc/0", 3))
    for change: Change in [
      .set(p("venc/0"), "bitrate", "1000"), .set(p("venc/0"), "gop", "30"), .set(p("venc/0"), "fps_dst", "15"),
      .set(p("venc/2"), "quality", "40"), .set(p("venc/2"), "bitrate", "100"), .set(p("venc/0"), "rc_mode", "vbr"),
      .command(p("venc/0"), "idr", Array("1\n".utf8)),
      .set(p("venc/0"), "source", "vpss/0/1"), .set(p("venc/0"), "source", ""), .set(p("venc/0"), "source", "vi/0"),
      .set(p("vpss/0"), "crop", "0,0,640,360"), .set(p("vpss/0/0"), "mirror", "1"), .set(p("vpss/0/1"), "fps", "10"),
      .set(p("venc/1"), "enable", "0"), .set(p("venc/1"), "backend", "openh264"), .set(p("venc/1"), "enable", "1"),
    ] {
      #expect(real.apply(change) == nil, "\(change)")
    }
    let before = real.runtime.configText()
    for (change, errno): (Change, Errno) in [
      (.set(p("venc/0"), "codec", "mjpeg"), .resourceBusy), (.set(p("venc/0"), "profile", "main"), .resourceBusy),
      (.set(p("vi/0"), "input", "/nowhere.mp4"), .resourceBusy), (.set(p("vpss/0/0"), "width", "320"), .resourceBusy),
      (.set(p("venc/2"), "bitrate", "1"), .outOfRange), (.set(p("venc/0"), "lost_mode", "pskip"), .notSupported),
      (.set(p("vpss/0"), "source", "vpss/0/0"), .tooManySymbolicLinkLevels), (.remove(p("vpss/0/0")), .resourceBusy),
      (.set(p("vpss/0"), "crop", "0,0,4000,4000"), .outOfRange),
    ] {
      let refusal = real.apply(change)
      #expect(refusal?.errno == errno, "\(change): \(refusal?.description ?? "taken")")
      #expect(refusal?.hint.isEmpty == false, "\(refusal?.description ?? "taken")")
    }
    #expect(real.runtime.configText() == before)
  }

  @Test(arguments: [
    ("/nowhere/clip.mp4", Errno.noSuchFileOrDirectory), ("/etc/passwd", .invalidArgument),
    ("/dev/video77", .noSuchFileOrDirectory),
    ("/dev/null", .operationNotSupportedByDevice), ("/", .isDirectory),
  ])
  func anInputThatCannotBeOpenedTakesTheWholeTransactionBack(input: String, errno: Errno) throws {
    let real = try RealRuntime()
    let text = String(decoding: try defaultConfiguration(), as: UTF8.self)
    let refusal = real.load(
      Array(text.replacingOccurrences(of: "vi/0/input = pattern", with: "vi/0/input = \(input)").utf8))
    #expect(refusal != nil)
    #expect(refusal?.path == "config")
    #expect(refusal?.reason.hasPrefix("line ") == true)
    #expect(real.runtime.objects.isEmpty && real.graph.objectStates().isEmpty)
    #expect(real.logs.errors.total == 1)
    #if FFmpeg
      #expect(refusal?.errno == errno)
    #else
      // Without the trait no file is looked at, be it there or not.
      #expect(refusal?.errno == (input.hasPrefix("/dev/") ? errno : .notSupported))
    #endif
  }

  @Test func objectsComeAndGoBesideARunningPipelineWithoutStallingIt() throws {
    let real = try RealRuntime()
    let small = """
      vi/0/width = 320
      vi/0/height = 240
      vi/0/fps = 120
      vi/0/enable = 1
      vpss/0/source = vi/0
      vpss/0/enable = 1
      vpss/0/0/width = 160
      vpss/0/0/height = 120
      vpss/0/0/enable = 1
      venc/0/source = vpss/0/0
      venc/0/enable = 1

      """
    #expect(real.load(Array(small.utf8)) == nil)
    #expect(real.waitForPictures("venc/0", 3))
    let before = real.graph.objectState("venc/0")?.statistics.framesOut ?? 0
    let kept = String(decoding: real.runtime.configText(), as: UTF8.self)

    // What writers of a shell would do, out of step with each other.
    let moves: [[Change]] = [
      [.create(p("venc/1"))], [.set(p("venc/1"), "source", "vpss/0/0")], [.set(p("venc/1"), "enable", "1")],
      [.set(p("venc/1"), "bitrate", "300")], [.command(p("venc/1"), "idr", [])], [.set(p("venc/1"), "source", "vi/0")],
      [.set(p("venc/1"), "enable", "0")], [.remove(p("venc/1"))],
      [.create(p("vpss/0/1")), .set(p("vpss/0/1"), "width", "64"), .set(p("vpss/0/1"), "height", "64")],
      [.set(p("vpss/0/1"), "enable", "1")], [.set(p("venc/1"), "source", "vpss/0/1")],
      [.set(p("vpss/0/1"), "mirror", "1")], [.set(p("venc/1"), "source", "")], [.set(p("vpss/0/1"), "enable", "0")],
      [.remove(p("vpss/0/1"))], [.set(p("venc/1"), "codec", "mjpeg")], [.set(p("venc/1"), "fps_dst", "7")],
      [.create(p("vi/1")), .set(p("vi/1"), "width", "64"), .set(p("vi/1"), "height", "64")],
      [.set(p("vi/1"), "enable", "1")], [.set(p("venc/1"), "source", "vi/1")], [.set(p("vi/1"), "enable", "0")],
      [.remove(p("vi/1"))],
    ]
    let expected: Set<Errno> = [
      .noSuchFileOrDirectory, .fileExists, .resourceBusy, .notSupported, .operationNotSupportedByDevice,
    ]
    onThreads(6, "writer") { writer in
      for round in 0..<400 {
        let answer = Answer()
        real.runtime.apply(moves[(round * (writer * 2 + 1) + writer * 5) % moves.count], reply: answer.reply)
        if let refusal = answer.wait(), !expected.contains(refusal.errno) { Issue.record("\(refusal)") }
      }
    }
    #expect(real.waitForPictures("venc/0", before + 3))
    #expect(eventually { real.graph.objectState("venc/0")?.condition == .running })
    #expect(real.load(Array(("replace\n" + kept).utf8)) == nil)
    #expect(String(decoding: real.runtime.configText(), as: UTF8.self) == kept)
    #expect(real.graph.objectStates().map(\.path) == real.runtime.objects.map(\.path.description))
    #expect(real.waitForPictures("venc/0", (real.graph.objectState("venc/0")?.statistics.framesOut ?? 0) + 3))
  }
}
