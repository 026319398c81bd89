// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization
import SystemPackage

/// A region: an overlay, cover, mosaic or line that is drawn into the pictures of the channels it is attached to.
///
/// Settings are taken over by whoever writes them; what follows from them (a bitmap read, a text rendered, the drawings made
/// ready for the channels' pictures) is made on the ``Workbench``, and shown whole between two pictures.
///
/// Ownership: `bench` is the workbench's; what reports look at is published.
final class Region: Fitting {
  static let module = ModuleClass(
    fitting: ObjectType("rgn"), numbers: 0...127, stage: before, rows: RgnSettings.rows, check: RgnSettings.check
  ) { identity, settings, environment, _ in Region(identity, settings, environment) }

  /// Started before the inputs, so that their first picture has it.
  static let before = -1

  let path: ObjectPath
  let generation: UInt64
  let createdAt = Clock.now()
  let environment: Environment
  private let settingsNow: Published<ObjectSettings>
  private let state = Published(RunState(.stopped))
  private let opening = Opening()
  private let attachments = Published<[AttachedRegion]>([])
  private let bench: Confined<Bench>
  /// Files that were read for settings that are about to be committed.
  private let read = Mutex<FileBitmap?>(nil)
  private let shown = Published(Shown())
  private let counters = Counters()

  private struct FileBitmap: Sendable {
    let file: String
    let bitmap: RegionBitmap
  }

  /// What the workbench has of it.
  private struct Bench: ~Copyable {
    var bitmap: RegionBitmap?
    /// The file the bitmap is of; `nil` where it was written.
    var file: String?
    /// Why what was given last is not shown.
    var refused: Failure?
    var text = RegionText()
    var canvas: RegionCanvas
    /// What the canvas holds.
    var drawn: RegionBitmap?
    /// The same as it is drawn, and how that was made.
    var pixels: CanvasPixels?
    var look: RegionBitmap.Look?
    /// Who draws something of it.
    var placed: Set<ObjectPath> = []
    var isRetired = false
  }

  /// For reports.
  private struct Shown: Sendable {
    var bitmap: RegionBitmap?
    var buffer: Buffer?
    var text: String?
    var textEngine: String?
    var file: String?
    var failure: Failure?
    /// The bitmap that was refused last, where something else is shown by now too.
    var refused: Failure?
    /// When the failure came, CLOCK_MONOTONIC nanoseconds.
    var failedAt: Int64 = 0
  }

  private struct Counters: ~Copyable {
    let canvases = Atomic<UInt64>(0)
    let texts = Atomic<UInt64>(0)
    let refused = Atomic<UInt64>(0)
  }

  private init(_ identity: ObjectIdentity, _ settings: ObjectSettings, _ environment: Environment) {
    path = identity.path
    generation = identity.generation
    self.environment = environment
    settingsNow = Published(settings)
    bench = Confined(
      Bench(canvas: RegionCanvas(identity, environment)), to: environment.workbench.affinity)
  }

  // MARK: administration

  func check(_ new: ObjectSettings, changed: Set<String>, running: Bool) throws(Refusal) {}

  func commit(_ new: ObjectSettings, changed: Set<String>) {
    settingsNow.store(new)
    self.changed()
  }

  /// Reads the file that was named while it runs; it goes on with what it shows.
  func prepare(_ new: ObjectSettings, changed: Set<String>) throws(Failure) {
    if changed.contains("bitmap_file") { try readFile(new) }
  }

  func start() throws(Failure) {
    guard !state.value.isRunning else { return }
    state.store(RunState(.starting))
    do throws(Failure) {
      try readFile(settingsNow.value)
    } catch {
      state.store(RunState(.stopped))
      throw error
    }
    environment.workbench.add { [self] in bench.value.refused = nil }
    state.store(RunState(.running))
    refreshSoon()
    // Whoever hides something must not be told that it is hidden before it is.
    guard environment.workbench.settle(until: Clock.now() + environment.options.drawingPatience) else {
      state.store(RunState(.stopped))
      refreshSoon()
      throw Failure(.timedOut, "enable", on: "\(path)", "other regions are still being made ready")
    }
    log(.information, "\(path) started")
  }

  func stop() {
    guard state.value.isRunning else { return }
    state.store(RunState(.stopped))
    refreshSoon()
    environment.workbench.settle(until: Clock.now() + environment.options.drawingPatience)
    log(.information, "\(path) stopped")
  }

  func cancelStart() { opening.cancel() }

  var hasFailed: Bool { shown.value.failure != nil }

  func perform(_ command: String, argument: String) throws(Refusal) {
    throw Refusal(.noSuchFileOrDirectory, path: "\(path)/\(command)", reason: "no such command")
  }

  func retire() {
    environment.workbench.cancel(self)
    environment.workbench.add { [self] in
      for attachment in bench.value.placed { show(nil, by: attachment) }
      bench.value.canvas.clear()
      bench.value.isRetired = true
    }
  }

  func attach(_ attachment: AttachedRegion) {
    attachments.update { $0 + [attachment] }
    changed()
  }

  func detach(_ attachment: AttachedRegion) {
    attachments.update { all in all.filter { $0 !== attachment } }
    changed()
  }

  /// It, or where it lies, is other than before.
  func changed() { refreshSoon() }

  func awaits(_ what: String?, since: Int64) { awaited.store(what.map { Awaited(what: $0, since: since) }) }
  var isAwaiting: Bool { awaited.value != nil }
  private let awaited = Published<Awaited?>(nil)

  private func log(_ level: LogLevel, _ text: String) {
    environment.log(ModuleKind(path.kind), level, text)
  }

  // MARK: bitmaps

  var largestFile: Int { 4 * RgnSettings.largestBitmap }

  private func bitmap(_ bytes: [UInt8], _ settings: ObjectSettings) throws(Failure) -> RegionBitmap {
    try RegionBitmap(
      bytes, width: settings.integer("width"), height: settings.integer("height"),
      format: settings.text("format").flatMap { CanvasFormat(rawValue: $0) } ?? .argb8888,
      readers: environment.engines.pictureReaders, of: path)
  }

  /// On the control lane.
  private func readFile(_ settings: ObjectSettings) throws(Failure) {
    guard let file = settings.text("bitmap_file") else { return read.withLock { $0 = nil } }
    let (check, limit) = (environment.inputGuard.withLock { $0 }, largestFile)
    let bytes = try opening.open("open \(path.kind)\(path.number)", of: file) { () throws(Failure) in
      try check(.file(file))
      return try BitmapFile.read(file, limit: limit)
    }
    let new = FileBitmap(file: file, bitmap: try bitmap(bytes, settings))
    read.withLock { $0 = new }
  }

  /// Takes a bitmap that was written. The one before is shown until it is ready, and on where it is refused.
  func take(_ key: String, _ bytes: [UInt8]) {
    environment.workbench.add { [self] in
      do throws(Failure) {
        let new = try bitmap(bytes, settingsNow.value)
        bench.value.bitmap = new
        bench.value.file = nil
        bench.value.refused = nil
        log(.information, "\(path): \(new.width)x\(new.height) \(new.format.rawValue) taken of \(new.origin)")
      } catch {
        refuse(error)
      }
      refresh()
    }
  }

  private func refuse(_ failure: Failure) {
    counters.refused.add(1, ordering: .relaxed)
    bench.value.refused = failure
    environment.listener?.failed(path, failure)
    log(.error, "\(path): \(failure)")
  }

  // MARK: the workbench

  private func refreshSoon() { environment.workbench.add { [self] in refresh() } }

  /// Makes what is drawn what the settings say.
  private func refresh() {
    let settings = settingsNow.value
    // Where no file has to be read first it is drawn, or not any more, with all else of its transaction.
    let isRunning = settings.flag("enable") && (state.value.isRunning || settings.text("bitmap_file") == nil)
    let file = read.withLock { read in
      defer { read = nil }
      return read
    }
    guard !bench.value.isRetired else { return }
    if let file, file.file == settings.text("bitmap_file") {
      bench.value.bitmap = file.bitmap
      bench.value.file = file.file
      bench.value.refused = nil
    } else if bench.value.file != nil, bench.value.file != settings.text("bitmap_file") {
      bench.value.bitmap = nil
      bench.value.file = nil
    }
    var failure = showsBitmap(settings) ? bench.value.refused : nil
    do throws(Failure) {
      try fillCanvas(&bench.value, settings, isRunning)
    } catch {
      failure = error
      if shown.value.failure != error {
        environment.listener?.failed(path, error)
        log(.error, "\(path): \(error)")
      }
    }
    place(&bench.value, settings, isRunning)
    report(bench.value, failure)
  }

  /// What was written to `bitmap` is, or would be, what is seen.
  private func showsBitmap(_ settings: ObjectSettings) -> Bool {
    switch RgnSettings.shape(settings) {
    case .overlay, .overlayExtended: settings.text("text") == nil
    case .cover, .mosaic, .line: false
    }
  }

  private func fillCanvas(_ bench: inout Bench, _ settings: ObjectSettings, _ isRunning: Bool) throws(Failure) {
    var wanted = bench.bitmap
    switch RgnSettings.shape(settings) {
    case .overlay, .overlayExtended:
      if let format = settings.text("text"), isRunning {
        wanted = try render(&bench.text, format, settings)
      } else {
        bench.text.clear()
      }
    default:
      wanted = nil
      bench.text.clear()
    }
    guard let wanted else {
      bench.canvas.clear()
      (bench.drawn, bench.pixels, bench.look) = (nil, nil, nil)
      return
    }
    let look = RegionBitmap.Look(settings, of: wanted)
    guard bench.drawn != wanted || bench.look != look else { return }
    bench.pixels = try wanted.pixels(look)
    bench.look = look
    guard bench.drawn != wanted else { return }
    try bench.canvas.show(wanted.bytes)
    bench.drawn = wanted
    counters.canvases.add(1, ordering: .relaxed)
  }

  /// The text as it is now, and again when the next second begins.
  private func render(
    _ text: inout RegionText, _ format: String, _ settings: ObjectSettings
  ) throws(Failure) -> RegionBitmap? {
    if RegionText.isTimed(format) {
      environment.workbench.add(at: RegionText.nextSecond(), for: self) { [weak self] in self?.refresh() }
    }
    let style = TextStyle(
      size: settings.integer("text_size") ?? 32,
      color: settings.color("text_color") ?? PaintColor(red: 255, green: 255, blue: 255),
      outline: settings.color("text_outline"))
    let seconds = Int(Clock.realtimeMicroseconds() / 1_000_000)
    if try text.update(format, style, at: seconds, by: environment.engines.textRenderer) {
      counters.texts.add(1, ordering: .relaxed)
    }
    return text.bitmap
  }

  /// Has every channel it is attached to draw it so.
  private func place(_ bench: inout Bench, _ settings: ObjectSettings, _ isRunning: Bool) {
    let shape = RgnSettings.shape(settings)
    let drawing = isRunning ? RgnSettings.drawing(settings, canvas: bench.pixels) : nil
    let now = attachments.value
    for old in bench.placed where !now.contains(where: { $0.path == old }) { show(nil, by: old) }
    bench.placed = Set(now.map(\.path))
    for attachment in now {
      show(
        drawing.map {
          BoardItem(placed: attachment.place($0), hides: shape == .cover || shape == .mosaic, order: path.number)
        }, by: attachment.path)
    }
  }

  private func show(_ item: BoardItem?, by attachment: ObjectPath) {
    environment.drawings.show(item, by: attachment)
  }

  private func report(_ bench: borrowing Bench, _ failure: Failure?) {
    let before = shown.value
    var new = Shown()
    new.bitmap = bench.drawn
    new.buffer = bench.canvas.buffer
    new.text = bench.text.text
    new.textEngine = bench.text.engine
    new.file = bench.file
    new.failure = failure
    new.refused = failure ?? bench.refused
    new.failedAt = failure == nil ? 0 : before.failure == failure ? before.failedAt : Clock.now()
    shown.store(new)
  }
}

// MARK: what it has to tell

extension Region {
  var since: Int64 {
    let failedAt = shown.value.failedAt
    return failedAt == 0 ? state.value.since : failedAt
  }

  var condition: ObjectCondition? {
    let now = state.value
    if !now.isRunning, let awaited = awaited.value { return .waiting(for: awaited.what) }
    guard now.isRunning else { return .stopped }
    let shown = shown.value
    if let failure = shown.failure { return .failed(why: "\(failure)") }
    for attachment in attachments.value {
      if let failure = environment.drawings.place(attachment.target).sheet.value?.failure {
        return .failed(why: "not drawn in \(attachment.target): \(failure)")
      }
    }
    switch RgnSettings.shape(settingsNow.value) {
    case .overlay, .overlayExtended: return shown.bitmap == nil ? .waiting(for: "a bitmap") : .running
    case .cover, .mosaic, .line: return .running
    }
  }

  func activeFacts() -> [KeyValue] {
    let shown = shown.value
    var facts: [KeyValue] = []
    if let painter = environment.engines.painter { facts.append(KeyValue(key: "engine", value: painter.engine)) }
    if let bitmap = shown.bitmap {
      facts.append(
        KeyValue(
          key: "bitmap",
          value: "\(bitmap.width)x\(bitmap.height) \(bitmap.format.rawValue) of \(shown.file ?? bitmap.origin)"))
    }
    if let text = shown.text { facts.append(KeyValue(key: "text", value: text)) }
    if let engine = shown.textEngine { facts.append(KeyValue(key: "text_engine", value: engine)) }
    if let failure = shown.refused { facts.append(KeyValue(key: "refused", value: "\(failure)")) }
    for attachment in attachments.value.sorted(by: { environment.table.precedes($0.path, $1.path) }) {
      let place = "at \(attachment.x),\(attachment.y), layer \(attachment.layer)"
      facts.append(KeyValue(key: "attached", value: "\(attachment.target) \(place)"))
    }
    return facts + settingsNow.value.idle
  }

  func statistics() -> [Statistic] {
    [
      Statistic("attachments", .gauge, "Channels it is attached to.", attachments.value.count),
      Statistic(
        "canvases_shown", .counter, "Bitmaps and texts that were put into a canvas.",
        counters.canvases.load(ordering: .relaxed)),
      Statistic("texts_rendered", .counter, "Times its text was rendered.", counters.texts.load(ordering: .relaxed)),
      Statistic(
        "bitmaps_refused", .counter, "Bitmaps written to it that were none.", counters.refused.load(ordering: .relaxed)),
    ]
  }

  var regionReport: RegionReport? {
    let (settings, shown) = (settingsNow.value, shown.value)
    let shape = RgnSettings.shape(settings)
    let hasBitmap = shape == .overlay || shape == .overlayExtended
    let declared = settings.text("format").flatMap { CanvasFormat(rawValue: $0) } ?? .argb8888
    return RegionReport(
      id: path.number, shape: shape, width: settings.integer("width") ?? shown.bitmap?.width ?? 0,
      height: settings.integer("height") ?? shown.bitmap?.height ?? 0,
      format: hasBitmap ? (shown.bitmap?.format ?? declared).reported : nil,
      canvasBufferID: shown.buffer.map { Int($0.id) }, canvasReferences: shown.buffer?.references)
  }
}
