// SPDX-License-Identifier: Apache-2.0
import Base
import Codecs
import Devices
import MediaCore
import NodeText
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import DebugTree
@testable import MediaRuntime
@testable import NodeFS

/// A class of objects nothing else knows: takes frames, counts every so many of them, and passes all on.
private final class NullChannel: Channel {
  static let module = ModuleClass(
    type: ObjectType("null"), numbers: 0...7, stage: 4, takesFrames: true, givesFrames: "a counter such as null/0",
    hasQueue: true, rows: rows, check: check
  ) { node, settings, environment, _ in NullChannel(node, settings, environment) }

  private static func rows(_ common: CommonRows) -> [Attribute] {
    [
      Attribute("every", .integer(1...100), default: .integer(1), unit: "frames", .live, "counts one frame of so many"),
      Attribute("most", .integer(1...100), default: .integer(50), unit: "frames", .restart, "every is at most this"),
      common.source(), CommonRows.enable("counts frames"),
      Attribute("mark", .command, "write 1: a line in the log says how many there were"),
    ] + CommonRows.reports
  }

  private static func check(_ change: inout SettingsChange) throws(MediaCore.Refusal) {
    guard let every = change.new.integer("every"), let most = change.new.integer("most"), every > most else { return }
    throw change.refusal("every", .outOfRange, "would be above most", hint: "at most \(most)")
  }

  let core: ChannelCore
  private let seen = Atomic<UInt64>(0)
  private let counted = Atomic<UInt64>(0)

  init(_ node: MediaRuntime.Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment)
    node.input.connect(core.session)
    core.session.attach(self)
    node.input.watchUpstream { [weak self] in self?.node.output.announce(self?.node.input.upstream?.format) }
  }

  /// What only it can refuse.
  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(MediaCore.Refusal) {
    guard new.integer("every") == 13 else { return }
    throw Refusal(.invalidArgument, path: "\(path)/every", reason: "brings no luck", hint: "12 or 14")
  }

  func open(_ settings: ObjectSettings) throws(Failure) -> String { "every \(settings.integer("every") ?? 1)" }

  func perform() -> Bool {
    guard let frame = node.input.queue.pop() else { return false }
    environment.room.made(in: node.input)
    let start = Clock.now()
    let wait = start - frame.stamps.queued
    session.began(at: start)
    let number = seen.add(1, ordering: .relaxed).newValue
    if number % UInt64(settings.integer("every") ?? 1) == 0 { counted.add(1, ordering: .relaxed) }
    let end = node.output.deliver(frame, at: start)
    session.ended()
    node.work.record(.done, wait: wait, run: end - start, end: end)
    return true
  }

  func perform(_ command: String, argument: String) throws(MediaCore.Refusal) {
    log(.information, "\(path): \(counted.load(ordering: .relaxed)) counted")
  }

  func activeFacts() -> [KeyValue] { state.value.isRunning ? [KeyValue(key: "counts", value: "frames")] : [] }

  func moreStatistics() -> [Statistic] {
    [Statistic("counted", .counter, metric: "counted_frames", "Frames counted.", counted.load(ordering: .relaxed))]
  }
}

/// What adding a class costs: its folder, which is this file, and its place in the list.
@Suite(.ownThread) struct NewClassTests {
  private static let modules = Modules.all + [NullChannel.module]

  private let logs = RuntimeLogs(modules: ModuleLog(modules))
  private let graph: MediaGraph
  private let runtime: Runtime
  private let debug: DebugTree

  init() throws {
    let catalogue = EngineCatalogue(
      encoders: SoftwareCodecs.encoderFactories(), scalers: SoftwareCodecs.scalerFactories(),
      sources: SoftwareCodecs.sourceFactories())
    let registry = EngineRegistry(catalogue, modules: Self.modules)
    graph = try MediaGraph(
      registry: registry, allocator: MemfdAllocator(), options: GraphOptions(starvedAfter: .milliseconds(50)),
      listener: logs)
    runtime = try Runtime(registry: registry, graph: graph, logs: logs)
    debug = try DebugTree(
      runtime: runtime, graph: graph, pages: PageTable(.rockit1432),
      identity: SystemIdentity(
        program: "mpifs", version: "0", commit: "0", buildAuthor: "",
        buildTime: CivilTime(year: 2000, month: 1, day: 1), kernel: "", processID: 1),
      startedMonotonicMicroseconds: 0)
  }

  private func name(_ text: String) throws -> ObjectPath { try #require(runtime.settingsTable.path(text)) }

  private func apply(_ changes: Change...) async -> MediaCore.Refusal? {
    await withCheckedContinuation { done in runtime.apply(changes) { done.resume(returning: $0) } }
  }

  private func load(_ text: String) async -> MediaCore.Refusal? {
    await withCheckedContinuation { done in runtime.loadConfig(Array(text.utf8)) { done.resume(returning: $0) } }
  }

  private func set(_ path: String, _ key: String, _ text: String) async throws -> MediaCore.Refusal? {
    await apply(.set(try name(path), key, text))
  }

  private func node(_ path: String) -> NodeFS.Node? {
    path.split(separator: "/").reduce(debug.tree.root as NodeFS.Node?) { ($0 as? Directory)?[String($1)] }
  }

  /// What a file reads.
  private func read(_ path: String) throws -> String {
    var buffer = TextBuffer()
    switch try #require(node(path), "\(path)").kind {
    case .text(let render), .setting(let render, _): try render(&buffer)
    default: Issue.record("\(path) has no text")
    }
    return String(decoding: UnsafeBufferPointer(start: buffer.base, count: buffer.count), as: UTF8.self)
  }

  private func lines(_ path: String, _ prefix: String) throws -> [String] {
    try read(path).split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
  }

  /// vi/0 -> null/0, running.
  private func start() async throws {
    #expect(await apply(.create(try name("vi/0")), .create(try name("null/0"))) == nil)
    #expect(try await set("vi/0", "width", "64") == nil)
    #expect(try await set("vi/0", "height", "64") == nil)
    #expect(try await set("null/0", "every", "2") == nil)
    #expect(try await set("null/0", "source", "vi/0") == nil)
    #expect(try await set("null/0", "enable", "1") == nil)
    #expect(try await set("vi/0", "enable", "1") == nil)
  }

  private func counted() throws -> Int {
    Int(try lines("null/0/stats", "counted: ").first?.dropFirst(9) ?? "") ?? 0
  }

  @Test func itTakesFramesAndIsOnEveryPage() async throws {
    try await start()
    #expect(try eventually { try counted() >= 3 })
    #expect(try read("null/0/every") == "2\n" && read("null/0/source") == "vi/0\n")
    // Three frames' time without one, which a busy machine takes now and then, and it is starved.
    #expect(try eventually { try read("null/0/state") == "running\n" })
    #expect(try read("null/0/active").contains("counts: frames\n"))
    #expect(try read("metrics").contains("# HELP mpifs_null_counted_frames_total Frames counted.\n"))
    #expect(try lines("metrics", #"mpifs_null_counted_frames_total{object="null/0"} "#).count == 1)
    #expect(try lines("metrics", #"mpifs_null_input_frames_total{object="null/0"} "#).count == 1)
    #expect(try read("vsys").contains(" null "))
    #expect(try read("report").contains("==> null/0/stats <==\n"))
    _ = runtime.shutDown(milliseconds: 10_000)
  }

  @Test func helpAndConfigurationFollowFromItsRowsAndItsPlace() async throws {
    let help = try read("help")
    #expect(try lines("help", "null/N/").count == 8)
    #expect(help.contains("counts one frame of so many") && help.contains("1..100"))
    // Whoever takes frames takes them from it too.
    let sources = runtime.help().filter { $0.path.hasSuffix("/source") }
    #expect(sources.map(\.path) == ["vpss/N/source", "venc/N/source", "vda/N/source", "null/N/source"])
    #expect(sources.allSatisfy { $0.range == "vi/N, vpss/N/M, vdec/N, null/N, or empty" })

    #expect(await load("null/1/every = 3\nvenc/0/source = null/1\nvi/0/fps = 25\n") == nil)
    let config = try read("config")
    #expect(
      try lines("config", "null/1/") == [
        "null/1/every = 3", "null/1/most = 50", "null/1/source =", "null/1/enable = 0",
      ])
    #expect(runtime.objects.map(\.path.description) == ["vi/0", "venc/0", "null/1"])
    #expect(await load(config) == nil)
    #expect(try read("config") == config)
    #expect(await load("replace\n# nothing\n") == nil)
    #expect(runtime.objects.isEmpty && node("null/1") == nil && (node("null") as? Directory)?.names == [])
  }

  @Test func whatItRefusesIsRefusedWithItsReason() async throws {
    #expect(await apply(.create(try name("null/0"))) == nil)
    let cases: [(String, String, Errno, String, String)] = [
      ("every", "0", .outOfRange, "is out of range", "a whole decimal number of frames, 1..100"),
      ("every", "51", .outOfRange, "would be above most", "at most 50"),
      ("every", "13", .invalidArgument, "brings no luck", "12 or 14"),
      ("most", "two", .invalidArgument, "is not a number", "a whole decimal number of frames, 1..100"),
      ("source", "null/8", .outOfRange, "is out of range", "objects of null are numbered 0 to 7"),
      ("source", "null/0/0", .invalidArgument, "names no object", "one of: vi/N, vpss/N/M, vdec/N, null/N, or empty"),
      (
        "source", "null/0", .tooManySymbolicLinkLevels, "would make a loop: null/0 <- null/0",
        "a source must not get its frames from its own receiver"
      ),
      (
        "nothing", "1", .noSuchFileOrDirectory, "no such attribute",
        "there are, the nearest first: most active state stats source enable mark every"
      ),
      (
        "controls/zoom", "1", .noSuchFileOrDirectory, "no such attribute",
        "there are, the nearest first: most stats source enable mark active every state"
      ),
    ]
    for (key, text, errno, reason, hint) in cases {
      let refusal = try await set("null/0", key, text)
      let wanted = MediaCore.Refusal(
        errno, path: "null/0/\(key)", value: Array(text.utf8), reason: reason, hint: hint)
      #expect(refusal == wanted, "\(key) = \(text)")
      #expect(logs.errors.records.last?.reason == reason)
    }
    #expect(runtime.settingsTable.path("null/8") == nil)
    let many = await apply(.create(try #require(ObjectPath("null/8"))))
    #expect(many?.errno == .outOfRange && many?.hint == "objects of null are numbered 0 to 7")
    #expect(await load("null/8/every = 1\n")?.reason == "line 1: null/8 is out of range")
  }

  @Test func whatChangesOnlyWhileItStandsIsRefusedWhileItRuns() async throws {
    try await start()
    #expect(try await set("null/0", "every", "1") == nil)
    #expect(try await set("null/0", "most", "9")?.errno == .resourceBusy)
    #expect(await apply(.remove(try name("null/0")))?.errno == .resourceBusy)
    #expect(await apply(.remove(try name("vi/0")))?.hint == "stop it first: echo 0 > vi/0/enable")
    #expect(try await set("null/0", "enable", "0") == nil)
    #expect(try await set("null/0", "most", "9") == nil)
    #expect(await apply(.remove(try name("null/0"))) == nil)
    #expect(node("null/0") == nil && node("vi/0") != nil)
    _ = runtime.shutDown(milliseconds: 10_000)
  }

  @Test func itsLinesInTheLogHaveItsNameAndItsLevel() async throws {
    try await start()
    #expect(try read("vlog").contains("[null][inf]"))
    #expect(try read("vlog").contains("null/0 started: every 2"))
    // Others write there, too.
    func marks() -> Int {
      logs.modules.records.count { $0.module == ModuleKind("null") && $0.text.hasSuffix(" counted") }
    }
    try runtime.logCommand(Array("null=2".utf8))
    #expect(await apply(.command(try name("null/0"), "mark", Array("1".utf8))) == nil)
    #expect(marks() == 0)
    try runtime.logCommand(Array("null=4".utf8))
    #expect(await apply(.command(try name("null/0"), "mark", Array("1".utf8))) == nil)
    #expect(marks() == 1)
    #expect(throws: MediaCore.Refusal.self) { try runtime.logCommand(Array("nil=4".utf8)) }
    #expect(logs.errors.records.last?.hint?.contains("names: all vi vpss venc vdec vo vda rgn vb null mb sys;") == true)
    _ = runtime.shutDown(milliseconds: 10_000)
  }

  @Test func healthSaysWhatItWaitsForAndDropsWhatItLost() async throws {
    #expect(await load("null/2/enable = 1\n") == nil)
    #expect(try eventually { try read("health").contains("null/2") })
    #expect(try lines("health", "null/2").first?.contains("a source: none is bound") == true)
    // Stopped, it counts what comes as dropped.
    #expect(await load("null/3/source = vi/1\nvi/1/width = 64\nvi/1/height = 64\nvi/1/enable = 1\n") == nil)
    #expect(try eventually { try read("drops").contains("null/3") })
    _ = runtime.shutDown(milliseconds: 10_000)
  }

  @Test func itGivesFramesToOthers() async throws {
    #expect(
      await load(
        """
        vi/0/width = 64
        vi/0/height = 64
        null/0/source = vi/0
        null/0/enable = 1
        null/1/source = null/0
        null/1/enable = 1
        vi/0/enable = 1

        """) == nil)
    #expect(try eventually { (try lines("null/1/stats", "counted: ").first) != "counted: 0" })
    #expect(await apply(.remove(try name("null/0")))?.errno == .resourceBusy)
    let refusal = try await set("null/0", "source", "venc/0")
    #expect(refusal?.reason == "gives nothing this can receive")
    _ = runtime.shutDown(milliseconds: 10_000)
  }
}
