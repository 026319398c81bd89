// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import LinuxMedia
internal import MediaCore
import Synchronization
internal import SystemPackage

/// A plane of a screen that shows one channel's frames.
///
/// Ownership of a frame: `slot` holds the newest that was given, `next` the one being committed, `flying` the one on its
/// way to the screen, `onScreen` the one that is shown; each gives up its frame when the one behind it has taken its
/// place, so that no buffer goes home while it is scanned out. All but the slot are guarded by the card's lock.
final class KMSDisplay: Display, @unchecked Sendable {
  private struct Slot: ~Copyable {
    var frame: Frame?
    var way: KMSWay?
  }

  /// Why frames are turned away at once.
  private enum Door { static let open = 0, failed = 1, released = 2 }

  let name: String
  private let card: KMSCard
  private let slot = Mutex(Slot())
  private let door = Atomic<Int>(Door.open)
  /// The device's thread has nothing to do for this display and does not look by itself.
  let isIdle = Atomic<Bool>(true)
  private let currentGeneration = Atomic<UInt64>(1)
  private let shownStatus: Published<DisplayStatus>
  private let figures = Figures()
  /// Where pictures were asked to be; held for a moment only.
  private let wantedPlace: Mutex<Rectangle?>

  // Guarded by the card's lock, as it checks.
  let screen: KMSScreen
  private var listener: (any DisplayListener)?
  /// The plane that shows, or is about to show, its pictures.
  private(set) var plane: KMSPlane?
  /// The way found last.
  private(set) var way: KMSWay?
  private var reason = ""
  private var cache = FramebufferCache()
  private var account = VblankAccount()
  private var next: Frame?
  private var nextWay: KMSWay?
  private var nextFramebuffer: Framebuffer?
  private var flying: Frame?
  private var flyingFramebuffer: Framebuffer?
  private var onScreen: Frame?
  private var onScreenFramebuffer: Framebuffer?
  private var hasFailed = false

  /// Written by the device's thread, read by reports.
  private final class Figures: Sendable {
    let flips = Atomic<UInt64>(0)
    let repeated = Atomic<UInt64>(0)
    let missed = Atomic<UInt64>(0)
    let modeSets = Atomic<UInt64>(0)
    let outages = Atomic<UInt64>(0)
    let timeouts = Atomic<UInt64>(0)
    let imports = Atomic<UInt64>(0)
  }

  init(
    _ configuration: DisplayConfiguration, on screen: KMSScreen, of card: KMSCard, listener: any DisplayListener
  ) {
    name = configuration.name
    wantedPlace = Mutex(configuration.rectangle)
    self.screen = screen
    self.card = card
    self.listener = listener
    shownStatus = Published(DisplayStatus())
  }

  // MARK: Display

  var status: DisplayStatus { shownStatus.value }
  var generation: UInt64 { currentGeneration.load(ordering: .acquiring) }
  var counters: DisplayCounters {
    var counters = DisplayCounters()
    counters.flips = figures.flips.load(ordering: .relaxed)
    counters.repeatedVblanks = figures.repeated.load(ordering: .relaxed)
    counters.missedVblanks = figures.missed.load(ordering: .relaxed)
    counters.modeSets = figures.modeSets.load(ordering: .relaxed)
    counters.outages = figures.outages.load(ordering: .relaxed)
    counters.timeouts = figures.timeouts.load(ordering: .relaxed)
    counters.imports = figures.imports.load(ordering: .relaxed)
    return counters
  }

  func show(_ frame: consuming Frame, by way: any DisplayWay) {
    let state = door.load(ordering: .acquiring)
    guard state == Door.open, let way = way as? KMSWay else {
      _ = consume frame
      listener?.dropped(state == Door.released ? .released : .failed)
      return
    }
    var given = Optional(frame)
    let replaced = slot.withLock { slot in
      let old = slot.frame.take() != nil
      slot.frame = given.take()
      slot.way = way
      return old
    }
    if replaced { listener?.dropped(.superseded) }
    if isIdle.exchange(false, ordering: .acquiringAndReleasing) { card.wake() }
  }

  func way(for frame: borrowing Frame) throws(Failure) -> any DisplayWay {
    let buffer = frame.buffer
    let layout = frame.layout
    return try card.withDevice { (device) throws(Failure) in try self.find(buffer, layout, device) }
  }

  func place(_ rectangle: Rectangle?) {
    wantedPlace.withLock { $0 = rectangle }
    currentGeneration.add(1, ordering: .releasing)
  }

  private var rectangle: Rectangle? { wantedPlace.withLock { $0 } }

  func release() throws(Failure) { card.release() }
  func acquire() throws(Failure) { try card.acquire() }
  func close() { card.close(self) }

  // MARK: finding a way

  private func outside(_ part: Rectangle) -> Failure {
    Failure(
      .outOfRange, "rect", on: name,
      "\(part.x),\(part.y),\(part.width),\(part.height) is outside the screen of \(screen.size.width)x"
        + "\(screen.size.height)")
  }

  /// Whether the rectangle lies on the screen there is.
  func checkRectangle() throws(Failure) {
    if let rectangle, screen.isUp, !ScreenGeometry.contains(screen.size, rectangle) { throw outside(rectangle) }
  }

  private func find(_ buffer: Buffer, _ layout: FrameLayout, _ device: DRMCard) throws(Failure) -> KMSWay {
    card.assertIsLocked()
    // Before the place is read: who asks for another one meanwhile makes this way an old one.
    let generation = generation
    if let outage = screen.outage { throw outage }
    guard screen.isUp else { throw Failure(.deviceGone, "show", on: name, "\(screen.name) is off") }
    try checkRectangle()
    let size = screen.size
    let target =
      rectangle ?? ScreenGeometry.fit(width: Int(layout.width), height: Int(layout.height), screen: size)
    let planes = screen.planes(for: self, besides: card.planesInUse(besides: screen))
    let isShared = (0..<buffer.memoryCount).allSatisfy { buffer.memory($0).isDMABuf }
    let candidates = PlaneChoice.candidates(
      frame: layout, canImport: isShared && device.importsBuffers, rectangle: target, screen: size,
      planes: planes.map(\.traits))
    var refusals: [String] = []
    if !isShared { refusals.append("\(buffer.memory.exporter) memory cannot be shared with a device") }
    if !planes.contains(where: { plane in
      PlaneChoice.scannedOut(layout.format).map(plane.formats.contains) ?? false
    }) {
      refusals.append("no plane takes \(layout.format)")
    }
    for candidate in candidates {
      let plane = planes[candidate.plane]
      if candidate.picture == .frame, !layout.format.isRGB, !plane.colors.know(layout.color) {
        refusals.append("\(plane.name) does not know \(layout.color)")
        continue
      }
      do throws(Failure) {
        let found = try attempt(candidate, plane, buffer, layout, target, generation, device)
        way = found
        reason = candidate.picture == .frame ? "" : refusals.joined(separator: "; ")
        publish(place: target)
        return found
      } catch {
        let what = candidate.picture == .frame ? "the frame" : "\(candidate.picture)"
        refusals.append("\(plane.name) refused \(what): \(error.errno)")
      }
    }
    throw Failure(
      planes.contains { $0.kind != .cursor } ? .notSupported : .resourceBusy, "show", on: name,
      candidates.isEmpty ? "no plane of \(screen.name) is free" : refusals.joined(separator: "; "))
  }

  /// Has the device test one way.
  private func attempt(
    _ candidate: PlaneCandidate, _ plane: KMSPlane, _ buffer: Buffer, _ layout: FrameLayout, _ target: Rectangle,
    _ generation: UInt64, _ device: DRMCard
  ) throws(Failure) -> KMSWay {
    let scanned: FrameLayout
    let picture: DisplayPicture?
    let framebuffer: Framebuffer
    switch candidate.picture {
    case .frame:
      (scanned, picture) = (layout, nil)
      let way = KMSWay(
        generation: generation, picture: nil, plane: plane, scanned: layout, place: candidate.place)
      framebuffer = try cache.framebuffer(buffer, layout, isLinear: way.isLinear, on: device)
      figures.imports.store(cache.imports, ordering: .relaxed)
    case .made(let format, let width, let height):
      (scanned, framebuffer) = try sample(format, width, height, device)
      picture = self.picture(scanned, scanned, device)
    case .composed(let format):
      (scanned, framebuffer) = try sample(format, screen.size.width, screen.size.height, device)
      picture = self.picture(DisplayFormat.part(scanned, target), scanned, device)
    }
    let way = KMSWay(
      generation: generation, picture: picture, plane: plane, scanned: scanned, place: candidate.place)
    let result = screen.test(framebuffer, way, for: self)
    guard result == 0 else {
      throw Failure(.init(rawValue: -result), "DRM_IOCTL_MODE_ATOMIC", on: device.path, "test of \(plane.name)")
    }
    return way
  }

  /// Memory as the pictures will have it, to test with and to learn the length of its lines.
  private func sample(
    _ format: PixelFormat, _ width: Int, _ height: Int, _ device: DRMCard
  ) throws(Failure) -> (FrameLayout, Framebuffer) {
    let extent = DisplayFormat.extent(format, width: width, height: height)
    return try asFailure("display memory") { () throws(KernelError) in
      let memory = try device.dumbBuffer(width: extent.width, lines: extent.lines, bitsPerPixel: extent.bits)
      let layout = DisplayFormat.layout(format, width: width, height: height, pitch: memory.pitch)
      let descriptor = memory.take()
      let planes = [layout.plane0, layout.plane1].prefix(layout.planeCount).map {
        FramebufferLayout.Plane(descriptor: descriptor.raw, pitch: UInt32($0.stride), offset: UInt32($0.offset))
      }
      let code = DisplayFormat.fourcc(format) ?? format.rawValue
      let framebuffer = try device.framebuffer(
        FramebufferLayout(width: UInt32(width), height: UInt32(height), format: code, planes: Array(planes)))
      return (layout, framebuffer)
    }
  }

  private func picture(_ layout: FrameLayout, _ whole: FrameLayout, _ device: DRMCard) -> DisplayPicture {
    let extent = DisplayFormat.extent(whole.format, width: Int(whole.width), height: Int(whole.height))
    return DisplayPicture(
      layout: layout, bufferSize: whole.byteCount, allocator: DumbAllocator(device, extent: extent))
  }

  // MARK: on the way to the screen, under the card's lock

  /// The newest frame with its framebuffer, if there is one to be shown.
  func prepareNext(on device: DRMCard) -> (Framebuffer, KMSWay)? {
    card.assertIsLocked()
    var frame: Frame?
    let found: KMSWay? = slot.withLock { slot in
      guard slot.frame != nil else { return nil }
      frame = slot.frame.take()
      return slot.way
    }
    if let found {
      if next != nil {
        next = nil
        listener?.dropped(.superseded)
      }
      next = frame.take()
      nextWay = found
      nextFramebuffer = nil
    }
    guard next != nil, let way = nextWay else { return nil }
    if let ready = nextFramebuffer { return (ready, way) }
    guard way.generation == generation else {
      // Found for another mode or place; the next frame comes by a new one.
      dropNext(.flushed)
      return nil
    }
    do throws(Failure) {
      guard let buffer = next?.ref.buffer else { return nil }
      let framebuffer = try cache.framebuffer(buffer, way.scanned, isLinear: way.isLinear, on: device)
      figures.imports.store(cache.imports, ordering: .relaxed)
      nextFramebuffer = framebuffer
      return (framebuffer, way)
    } catch {
      refused(error)
      return nil
    }
  }

  private func dropNext(_ cause: DisplayDrop) {
    card.assertIsLocked()
    nextFramebuffer = nil
    nextWay = nil
    guard next != nil else { return }
    next = nil
    listener?.dropped(cause)
  }

  /// The device would not show the frame: another way must be found.
  func refused(_ failure: Failure) {
    card.assertIsLocked()
    guard next != nil else { return }
    dropNext(.failed)
    currentGeneration.add(1, ordering: .releasing)
    failed(failure)
  }

  private func failed(_ failure: Failure) {
    hasFailed = true
    listener?.changed(.failed(failure))
  }

  /// The frame is on its way.
  func committed() {
    card.assertIsLocked()
    guard next != nil else { return }
    flying = next.take()
    flyingFramebuffer = nextFramebuffer
    plane = nextWay?.plane
    nextFramebuffer = nil
    nextWay = nil
  }

  func flipped(_ event: FlipEvent) {
    card.assertIsLocked()
    guard let pts = flying?.pts else { return }
    onScreen = flying.take()
    onScreenFramebuffer = flyingFramebuffer
    flyingFramebuffer = nil
    account.shown(sequence: event.sequence, pts: pts, interval: screen.interval)
    figures.flips.add(1, ordering: .relaxed)
    figures.repeated.store(account.repeated, ordering: .relaxed)
    figures.missed.store(account.missed, ordering: .relaxed)
    if let frame = onScreen.take() {
      listener?.shown(frame, at: event.time)
      onScreen = consume frame
    }
    if hasFailed {
      hasFailed = false
      listener?.changed(.works)
    }
  }

  func timedOut() {
    card.assertIsLocked()
    guard flying != nil else { return }
    flying = nil
    flyingFramebuffer = nil
    figures.timeouts.add(1, ordering: .relaxed)
    listener?.dropped(.timedOut)
  }

  /// Whether a frame waits for its turn.
  var isWaiting: Bool { next != nil || slot.withLock { $0.frame != nil } }

  /// Lets go what is not on the screen yet.
  func flush(_ cause: DisplayDrop = .flushed) {
    card.assertIsLocked()
    let waited = slot.withLock { slot in
      slot.way = nil
      return slot.frame.take() != nil
    }
    if waited { listener?.dropped(cause) }
    dropNext(cause)
    if flying != nil {
      flying = nil
      flyingFramebuffer = nil
      listener?.dropped(cause)
    }
  }

  /// What it showed is no longer scanned out.
  func leaveScreen() {
    card.assertIsLocked()
    onScreen = nil
    onScreenFramebuffer = nil
    plane = nil
    way = nil
    cache.removeAll()
    account.restart()
    currentGeneration.add(1, ordering: .releasing)
  }

  var framebuffers: [Framebuffer] {
    cache.framebuffers + [nextFramebuffer, flyingFramebuffer, onScreenFramebuffer].compactMap { $0 }
  }

  /// Buffers that are gone need no framebuffer.
  func forgetGone() {
    card.assertIsLocked()
    cache.forgetGone()
  }

  // MARK: what becomes of the screen, under the card's lock

  func screenFailed(_ failure: Failure) {
    card.assertIsLocked()
    door.store(failure.errno == KMSCard.released ? Door.released : Door.failed, ordering: .releasing)
    flush(failure.errno == KMSCard.released ? .released : .failed)
    figures.outages.add(1, ordering: .relaxed)
    publish()
    failed(failure)
  }

  func screenCame() {
    card.assertIsLocked()
    flush()
    figures.modeSets.add(1, ordering: .relaxed)
    currentGeneration.add(1, ordering: .releasing)
    door.store(Door.open, ordering: .releasing)
    publish()
    if let mode = screen.pipe?.mode { listener?.noted("\(screen.name) is lit, \(mode)") }
    guard hasFailed else { return }
    hasFailed = false
    listener?.changed(.works)
  }

  /// No call to the listener from now on.
  func silence() {
    card.assertIsLocked()
    listener = nil
  }

  /// Makes the status anew.
  func publish(place: Rectangle? = nil) {
    card.assertIsLocked()
    var status = DisplayStatus()
    status.device = card.path
    status.driver = card.driver
    status.connector = screen.name
    status.monitor = screen.pipe?.monitor
    status.isMaster = card.isMaster
    if let mode = screen.pipe?.mode {
      status.mode = "\(mode)"
      (status.width, status.height) = (mode.width, mode.height)
    }
    if let way {
      status.plane = way.plane.name
      status.rectangle = place ?? rectangle
      if let picture = way.picture {
        let layout = picture.layout
        status.way = "made \(layout.format) \(layout.width)x\(layout.height) in \(picture.allocator.name)"
      } else {
        status.way = "imported"
      }
      status.reason = reason
    }
    shownStatus.store(status)
  }
}
