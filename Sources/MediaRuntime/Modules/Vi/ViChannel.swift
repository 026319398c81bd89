// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// An input channel: its own thread takes frames from a source, paces them and gives them to the receivers.
///
/// Ownership: a run owns its source. What the source's pool lent out is kept alive by the frames themselves.
final class ViChannel: Channel {
  static let module = ModuleClass(
    type: ObjectType("vi"), stage: 0, givesFrames: "an input such as vi/0", takesRegions: true, rows: ViSettings.rows,
    check: ViSettings.check, controlled: ViSettings.controlled
  ) { node, settings, environment, _ in ViChannel(node, settings, environment) }

  let core: ChannelCore
  private let opening = Opening()
  /// What is in use, for reports.
  private let current = Published<ViRun?>(nil)
  private let run: Confined<ViRun?>

  init(_ node: Node, _ settings: ObjectSettings, _ environment: Environment) {
    core = ChannelCore(node, settings, environment, host: .ownThread)
    run = Confined(nil, to: core.session.affinity)
    core.session.attach(self)
  }

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {
    if changed.contains("input"), let text = new.text("input") {
      guard let input = InputSpecification(text) else {
        throw Refusal(
          .invalidArgument, path: "\(path)/input", value: Array(text.utf8), reason: "names no input",
          hint: "pattern, file:/path or /dev/videoN")
      }
      guard environment.engines.sources.contains(where: { $0.handles(input) }) else {
        throw Refusal(
          .notSupported, path: "\(path)/input", value: Array(text.utf8), reason: "this build reads no such input",
          hint: "pattern")
      }
    }
  }

  func open(_ settings: ObjectSettings) throws(Failure) -> String {
    let text = settings.text("input") ?? "pattern"
    guard let input = InputSpecification(text) else {
      throw Failure(.invalidArgument, "input", on: text, "names no input")
    }
    guard let factory = environment.engines.sources.first(where: { $0.handles(input) }) else {
      throw Failure(.notSupported, "input", on: text, "this build reads no such input")
    }
    let request = try request(settings)
    let check = environment.inputGuard.withLock { $0 }
    let source = try opening.open("open vi\(path.number)", of: text) { () throws(Failure) in
      try check(input)
      return try factory.open(input, request)
    }
    let new = try ViRun(self, source: source, wanted: request.format)
    run.value = new
    if let pool = source.pool {
      try environment.pools.add(
        pool, creator: node.creator, user: node.user, isLent: pool.memoryKind != environment.allocator.name)
    }
    node.output.announce(StreamFormat(layout: new.layout, rate: source.frameRate))
    core.counts.begin { new.statistics() }
    current.store(new)
    return source.summary
  }

  private func request(_ settings: ObjectSettings) throws(Failure) -> SourceRequest {
    let format = PixelFormat(named: settings.text("format"))
    let deviceFormat = settings.text("device_format").flatMap { $0 == "auto" ? nil : PixelFormat(deviceName: $0) }
    return SourceRequest(
      width: settings.integer("width") ?? 0, height: settings.integer("height") ?? 0,
      format: format ?? environment.engines.inputFormats.first ?? .i420, isFormatOpen: format == nil,
      frameRate: settings.rate("fps") ?? .thirty,
      allocator: environment.allocator, user: node.user, poolName: "vi\(path.number)",
      // Full HD is 3 MB a buffer: no more than can be in use.
      bufferCount: environment.sourceBuffers, memory: settings.text("memory") ?? "auto",
      controls: settings.controls, deviceFormat: deviceFormat, pool: try environment.sharedPool(settings))
  }

  func opened() {
    if let source = current.value?.source { reportControls(of: source) }
  }

  func cancelStart() { opening.cancel() }

  func interrupt() { current.value?.interrupt() }

  func perform() -> Bool { run.value?.turn() ?? false }

  func close() {
    run.value?.close()
    run.value = nil
  }

  func ended(cameBack: Bool) {
    guard let old = current.exchange(nil) else { return }
    node.work.copied(Int(clamping: old.source.counters.bytesCopied))
    if let pool = old.source.pool { environment.pools.giveUp(pool, user: node.user, path: node.creator.path) }
    if old.source.controls != nil { environment.controlsChanged(path) }
  }

  var worker: String { "input" }

  // MARK: controls

  var controls: (any ControlSurface)? { current.value?.source.controls }

  /// The device was opened, or is back: its controls may be others, and some may not have taken what was set before.
  func reportControls(of source: any Source) {
    guard let controls = source.controls else { return }
    for problem in controls.takeProblems() {
      let file = "\(path)/\(ControlKey.key(problem.name))"
      environment.listener?.refused(
        Refusal(problem.errno, path: file, value: Array(problem.text.utf8), reason: "not set: \(problem.reason)"))
      log(.warning, "\(file) = \(problem.text): \(problem.reason)")
    }
    environment.controlsChanged(path)
  }

  func setControl(_ name: String, _ value: ControlValue, written: [UInt8], isKept: Bool) throws(Refusal) {
    let file = "\(path)/\(ControlKey.key(name))"
    guard let controls, let control = controls.control(name) else {
      throw Refusal(
        .noSuchFileOrDirectory, path: file, value: written, reason: "there is no such control now",
        hint: "a device's controls are there while it runs")
    }
    let real: ControlValue?
    do throws(Failure) {
      real = try controls.set(name, value)
    } catch {
      let state =
        control.isGrabbed ? "it cannot be set now; " : control.isInactive ? "another control decides it now; " : ""
      throw Refusal(error, path: file, value: written, hint: state + control.expectation)
    }
    if !isKept { controls.forget(name) }
    let asked = control.text(value)
    log(.information, "\(file) = \(control.isButton ? "pressed" : asked)")
    guard let real, !control.isButton else { return }
    if real != value, !control.isVolatile {
      note(file, written, "taken, but the device made \(control.text(real)) of it", control.expectation)
    } else if controls.control(name)?.isInactive ?? false {
      note(file, written, "taken, but without effect now", "another control of the device decides it")
    }
  }

  /// No refusal, and yet not what was asked: an echo never lies.
  private func note(_ file: String, _ written: [UInt8], _ reason: String, _ hint: String) {
    environment.listener?.refused(
      Refusal(Errno(rawValue: 0), path: file, value: written, reason: reason, hint: hint))
    log(.warning, "\(file): \(reason)")
  }

  var waitingFor: String? {
    current.value.map { "input \($0.source.summary)" }
  }

  func activeFacts() -> [KeyValue] {
    guard let run = current.value else { return [] }
    let source = run.source
    let layout = run.layout
    let backend = source.device ?? settings.text("input") ?? ""
    var facts = [
      KeyValue(key: "backend", value: backend), KeyValue(key: "input", value: source.summary),
      KeyValue(key: "memory", value: source.memoryKind),
      KeyValue(key: "width", value: "\(layout.width)"), KeyValue(key: "height", value: "\(layout.height)"),
      KeyValue(key: "format", value: "\(layout.format)"), KeyValue(key: "fps", value: "\(source.frameRate)"),
      KeyValue(key: "paced", value: source.isLive ? "by the device" : run.isPaced ? "by time stamps" : "no"),
    ]
    facts += layout.meaningFacts
    facts += source.facts.map { KeyValue(key: $0.key, value: $0.value) }
    if let conversion = run.conversion {
      facts.append(KeyValue(key: "conversion", value: conversion.summary))
      facts.append(KeyValue(key: "conversion_memory", value: conversion.memory))
    }
    // A source that says itself where it differs knows why; for the others the difference is found here.
    facts += source.remarks.map { KeyValue(key: "differs", value: $0) }
    guard source.remarks.isEmpty else { return facts }
    let asked = settings
    for (key, given) in [("width", layout.width), ("height", layout.height)] {
      guard let wanted = asked.integer(key), wanted != Int(given) else { continue }
      facts.append(KeyValue(key: "\(key)_differs", value: "asked for \(wanted), the input gives its own"))
    }
    if let fps = asked.rate("fps"), fps != source.frameRate {
      facts.append(KeyValue(key: "fps_differs", value: "asked for \(fps), the input gives its own"))
    }
    return facts
  }

  var isLive: Bool { current.value?.source.isLive ?? false }
  var lostPaceAt: Int64 { current.value?.lostPaceAt ?? 0 }

  func moreStatistics() -> [Statistic] { core.counts.statistics }

  var moreBytesCopied: UInt64 { current.value?.source.counters.bytesCopied ?? 0 }
}

extension PixelFormat {
  /// From the tree's name for it.
  init?(named name: String?) {
    guard let name, let known = PixelFormat.named.first(where: { $0.name == name }) else { return nil }
    self = known.format
  }
}
