// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A decoder channel: coded pictures from a file or from its `feed` become frames for its receivers.
///
/// Ownership: a run owns its input and decoder. The queue behind `feed` lives as long as the channel, so that a writer that
/// stays gets an answer also while nothing runs.
final class VdecChannel: Channel {
  static let module = ModuleClass(
    type: ObjectType("vdec"), stage: 1, givesFrames: "a decoder such as vdec/0", rows: VdecSettings.rows,
    check: VdecSettings.check
  ) { node, settings, environment, _ in VdecChannel(node, settings, environment) }

  let core: ChannelCore
  let feed: FeedQueue
  private let opening = Opening()
  /// What is in use, for reports.
  private let current = Published<VdecRun?>(nil)
  private let run: Confined<VdecRun?>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment, host: .ownThread)
    let session = core.session
    feed = FeedQueue(node.path) { session.schedule() }
    run = Confined(nil, to: session.affinity)
    let current = current
    session.alarm = { current.value?.engine.wake() }
    feed.close(notRunning("feed", .brokenPipe))
    core.session.attach(self)
  }

  // MARK: administration

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    if changed.contains("input"), let text = new.text("input"), case .file? = CodedInput(text),
      environment.engines.packetSources.isEmpty
    {
      throw Refusal(
        .notSupported, path: "\(path)/input", value: Array(text.utf8), reason: "this build reads no coded files",
        hint: "feed")
    }
  }

  func changed(_ keys: Set<String>, from old: ObjectSettings, to new: ObjectSettings) {
    // A file that has come to its end is played again.
    if keys.contains("loop"), new.flag("loop"), hasFailed { session.schedule() }
  }

  /// Opens what can be opened before anything has come, so that a refusal reaches whoever writes `enable`.
  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    let text = settings.text("input") ?? CodedInput.feed.description
    let asked = settings.text("codec").flatMap(Codec.init(rawValue:))
    guard let named = CodedInput(text) else {
      throw Failure(.invalidArgument, "input", on: text, "names no coded input")
    }
    let input: VdecRun.Input
    var codec = asked
    switch named {
    case .feed: input = .feed(feed)
    case .file(let file):
      guard let factory = environment.engines.packetSources.first else {
        throw Failure(.notSupported, "input", on: text, "this build reads no coded files")
      }
      let check = environment.inputGuard.withLock { $0 }
      let opened = try opening.open("open vdec\(path.number)", of: text) { () throws(Failure) in
        try VdecFile { () throws(Failure) in
          try check(.file(file))
          return try factory.open(file, codec: asked)
        }
      }
      codec = opened.source.codec
      input = .file(opened)
    }
    let engine = VdecEngine(
      backend: settings.text("backend") ?? "auto", pool: try environment.sharedPool(settings), node: node,
      environment: environment)
    let new = VdecRun(self, input: input, engine: engine)
    run.value = new
    if let codec { try engine.open(codec) }
    new.show()
    current.store(new)
    core.counts.begin { new.counters.statistics() }
    return new.summary
  }

  func opened() {
    guard let run = current.value else { return }
    if let file = run.file {
      feed.close(
        Refusal(
          .resourceBusy, path: "\(path)/feed", reason: "\(path) plays \(file.source.summary)",
          hint: "write feed to \(path)/input while it is stopped"))
    } else {
      feed.open()
    }
  }

  func cancelStart() { opening.cancel() }

  func interrupt() {
    feed.close(notRunning("feed", .brokenPipe))
    current.value?.interrupt()
  }

  func perform() -> Bool { run.value?.turn() ?? false }

  func close() {
    run.value?.close()
    run.value = nil
  }

  func ended(cameBack: Bool) { current.store(nil) }

  func removed() { feed.retire() }

  /// Between two pictures it is at its input.
  var worker: String { session.runningSince == 0 ? "input" : "decoder" }

  // MARK: reports

  var intake: FeedQueue? { feed }
  var lostPaceAt: Int64 { current.value?.counters.pace.lostAt ?? 0 }
  var engineName: String? { current.value?.shown.value?.engine }

  var waitingFor: String? {
    guard let run = current.value else { return nil }
    if let file = run.file { return "input \(file.source.summary)" }
    return feed.bytesWaiting == 0 ? "bytes in \(path)/feed" : "its decoder\(engineName.map { " \($0)" } ?? "")"
  }

  func activeFacts() -> [KeyValue] {
    guard let run = current.value else { return [] }
    var facts: [KeyValue] = []
    func add(_ key: String, _ value: String?) {
      if let value, !value.isEmpty { facts.append(KeyValue(key: key, value: value)) }
    }
    let used = run.shown.value
    add("backend", used?.backend)
    add("engine", used?.engine)
    add("input", run.summary)
    add("codec", used?.codec?.rawValue)
    add("profile", used?.syntax?.profileName)
    add("coded_width", used?.syntax.map { "\($0.width)" })
    add("coded_height", used?.syntax.map { "\($0.height)" })
    add("width", used?.layout.map { "\($0.width)" })
    add("height", used?.layout.map { "\($0.height)" })
    if let coded = used?.syntax, let layout = used?.layout {
      let column = coded.width - Int(layout.width) == 1 ? "its last column" : nil
      let line = coded.height - Int(layout.height) == 1 ? "its last line" : nil
      add("left_off", [column, line].compactMap { $0 }.joined(separator: " and "))
    }
    add("format", used?.layout.map { "\($0.format)" })
    facts += used?.layout?.meaningFacts ?? []
    facts += run.file?.source.facts.map { KeyValue(key: $0.key, value: $0.value) } ?? []
    add("fps", used.map { "\($0.rate)" })
    add("memory", used?.memory)
    add("paced", run.isPaced ? "by time" : "by its receivers")
    add("feed", run.file == nil ? "\(path)/feed" : nil)
    add("backend_why", used?.why)
    for remark in used?.remarks ?? [] { add("differs", remark) }
    return facts
  }

  func moreStatistics() -> [Statistic] {
    let runs = core.counts.statistics
    return (runs.isEmpty ? VdecCounters().statistics() : runs) + [
      Statistic(
        "feed_waiting_bytes", .gauge, unit: .bytes, "Bytes written to feed and not taken yet.", feed.bytesWaiting),
      Statistic(
        "feed_lag_us", .gauge, unit: .microseconds,
        "How long after the last of its bytes had come to feed the last picture was given.",
        current.value?.counters.lagMicroseconds ?? 0),
    ]
  }
}
