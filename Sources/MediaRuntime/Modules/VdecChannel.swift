// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A decoder channel: coded pictures from a file or from its `feed` become frames for its receivers.
///
/// Ownership: a running channel owns its run (thread, input, decoder), which ends in `stop`. The queue behind `feed` lives as
/// long as the channel, so that a writer that stays gets an answer also while nothing runs.
final class VdecChannel: GraphObject {
  let node: Node
  let state = Published(RunState(.stopped))
  let tap = FrameTap()
  var session: Session? { nil }
  let feed: FeedQueue

  private let environment: Environment
  private let settings: Published<NumberedSettings>
  private let run = Mutex<VdecRun?>(nil)
  private let opening = Opening()
  /// What is in use, for reports; after `stop` the last one, for its counts.
  private let current = Published<VdecRun?>(nil)
  private let counts = RunCounts()

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    self.node = node
    self.environment = environment
    self.settings = Published(NumberedSettings(settings, version: 0))
    feed = FeedQueue(node.path)
    feed.close(notRunning("feed", .brokenPipe))
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

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    settings.store(
      NumberedSettings(new, version: settings.value.version + 1))
  }

  func start() throws(Failure) {
    if let old = run.withLock({ $0 }) {
      guard old.isFinished else {
        throw Failure(.resourceBusy, "enable", on: "\(path)", "its decoder has not come back from the last picture")
      }
      run.withLock { $0 = nil }
    }
    let new = try makeRun(settings.value.settings)
    state.store(RunState(.running))
    do throws(Failure) {
      try new.begin()
    } catch {
      state.store(RunState(.stopped))
      new.engine.close()
      throw error
    }
    if let file = new.file {
      feed.close(
        Refusal(
          .resourceBusy, path: "\(path)/feed", reason: "\(path) plays \(file.summary)",
          hint: "write feed to \(path)/input while it is stopped"))
    } else {
      feed.open()
    }
    run.withLock { $0 = new }
    counts.begin { new.counters.statistics() }
    current.store(new)
    environment.log(.decoder, .information, "\(path) started: \(new.summary)")
  }

  /// Opens what can be opened before anything has come, so that a refusal reaches whoever writes `enable`.
  private func makeRun(_ settings: ObjectSettings) throws(Failure) -> VdecRun {
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
      let source = try opening.open("open vdec\(path.number)", of: text) { () throws(Failure) in
        try check(.file(file))
        return try factory.open(file, codec: asked)
      }
      codec = source.codec
      input = .file(source)
    }
    let engine = VdecEngine(backend: settings.text("backend") ?? "auto", node: node, environment: environment)
    if let codec { try engine.open(codec) }
    let new = VdecRun(
      node, input: input, engine: engine, settings: self.settings, tap: tap, environment: environment
    ) { [weak self] kind in
      guard let self, self.state.value.isRunning else { return }
      self.state.store(RunState(kind))
    }
    new.affinity.within { new.show() }
    return new
  }

  func cancelStart() { opening.cancel() }

  func stop() {
    guard state.value.isRunning, let old = run.withLock({ $0 }) else { return }
    feed.close(notRunning("feed", .brokenPipe))
    if old.end() {
      run.withLock { $0 = nil }
    } else {
      let failure = Failure(.timedOut, "disable", on: "\(path)", "the decoder does not come back from its picture")
      environment.log(.decoder, .error, "\(failure)")
      environment.listener?.failed(path, failure)
    }
    old.shown.store(nil)
    node.output.announce(nil)
    state.store(RunState(.stopped))
    environment.log(.decoder, .information, "\(path) stopped")
  }

  func retire() {
    feed.retire()
    for binding in node.output.removeAll() { binding.port.bind(to: nil) }
    environment.slots.leave(node.user)
  }

  // MARK: reports

  /// Since when its decoder is at one picture, CLOCK_MONOTONIC nanoseconds; 0 when it is at none.
  var decodingSince: Int64 { current.value?.decodingSince ?? 0 }
  var engineName: String? { current.value?.shown.value?.engine }

  var waitingFor: String? {
    guard let run = current.value, state.value.isRunning else { return nil }
    if let file = run.file { return "input \(file.summary)" }
    return feed.bytesWaiting == 0 ? "bytes in \(path)/feed" : "its decoder\(engineName.map { " \($0)" } ?? "")"
  }

  func activeFacts() -> [KeyValue] {
    guard let run = current.value, state.value.isRunning else { return [] }
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
    add("format", used?.layout.map { "\($0.format)" })
    add("fps", used.map { "\($0.rate)" })
    add("memory", used?.memory)
    add("paced", run.isPaced ? "by time" : "by its receivers")
    add("feed", run.file == nil ? "\(path)/feed" : nil)
    add("backend_why", used?.why)
    for remark in used?.remarks ?? [] { add("differs", remark) }
    return facts
  }

  func moreStatistics() -> [Statistic] {
    let runs = counts.statistics
    return (runs.isEmpty ? VdecCounters().statistics() : runs) + [
      Statistic(
        "feed_waiting_bytes", .gauge, unit: .bytes, "Bytes written to feed and not taken yet.", feed.bytesWaiting)
    ]
  }
}
