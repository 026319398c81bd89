// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
internal import LinuxMedia
internal import MediaCore
import Synchronization
internal import SystemPackage

/// One DRM card and all displays on it: only one open file may set modes, so they share it, and one thread waits for its
/// events and puts frames on their way.
///
/// Ownership: the card owns the open file, the screens and, until it ends, its thread. It exists as long as a display of
/// it is open. The lock guards all of it and is held for ioctls; reports never take it, the frame path only to find a
/// way.
final class KMSCard: @unchecked Sendable {
  /// Stands for "let go by hand" in a failure.
  static let released = Errno.canceled
  static let gone = ENODEV
  /// How often connectors are looked at although nothing was announced, and a lost card or screen is asked for again,
  /// nanoseconds. Not every driver announces.
  private static let pace = Int64.seconds(1)
  /// How often a card that is another's is asked for again when somebody waits for it, each 20 ms.
  private static let repeats = 15

  let path: String
  private let kernel: any Kernel
  /// The hardware has so long to say that a picture is on a screen, nanoseconds.
  private let patience: Int64
  /// Called when a monitor came or went.
  private let changed: @Sendable () -> Void
  /// Around state that is spread over several objects and so cannot lie inside it.
  private let lock = Monitor(0)
  private let wakeUp: WakeUp
  private let ended: WakeUp
  private let uevents: Uevents?
  private let thread = Affinity()
  // Of the thread.
  private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)

  // Guarded by the lock, as `assertIsLocked` checks.
  private var device: DRMCard?
  private(set) var driver = ""
  private(set) var isMaster = false
  private var isReleased = false
  private var screens: [KMSScreen] = []
  private var isEnding = false
  private var hasThread = false
  private var lookAt: Int64 = 0
  /// Files, pipes and framebuffers given up; let go outside the lock, since that may wait for the hardware: 10 s for
  /// each picture of a card whose flips do not end.
  private var remains: [AnyObject] = []

  init(
    _ path: String, kernel: any Kernel, patience: Int64, changed: @escaping @Sendable () -> Void
  ) throws(Failure) {
    self.path = path
    self.patience = patience
    self.changed = changed
    self.kernel = kernel
    do throws(KernelError) {
      wakeUp = try WakeUp(kernel: kernel)
      ended = try WakeUp(kernel: kernel)
    } catch {
      throw Failure(error)
    }
    // Without announcements the connectors are looked at every second all the same.
    uevents = try? Uevents(kernel: kernel)
  }

  deinit { scratch.deallocate() }

  func wake() { wakeUp.signal() }
  func withLock<Result, Thrown: Error>(_ body: () throws(Thrown) -> Result) throws(Thrown) -> Result {
    try lock.withLock { (_) throws(Thrown) in try body() }
  }

  /// For what is touched under the lock, here and in the screens and displays.
  func assertIsLocked(file: StaticString = #fileID, line: UInt = #line) { lock.assertIsHeld(file: file, line: line) }

  /// Runs with the open file.
  func withDevice<Result>(_ body: (DRMCard) throws(Failure) -> Result) throws(Failure) -> Result {
    try withLock { () throws(Failure) -> Result in
      guard let device else { throw Failure(.deviceGone, "show", on: path, "the card is gone") }
      return try body(device)
    }
  }

  /// Planes of other screens; asked with the open file at hand.
  func planesInUse(besides screen: KMSScreen) -> Set<UInt32> {
    assertIsLocked()
    return Set(screens.lazy.filter { $0 !== screen }.flatMap(\.planesInUse))
  }

  var isUnused: Bool { withLock { screens.isEmpty } }

  // MARK: the control lanes'

  /// Opens a display.
  func add(
    _ configuration: DisplayConfiguration, listener: any DisplayListener
  ) throws(Failure) -> KMSDisplay {
    try withLock { () throws(Failure) -> KMSDisplay in
      if isReleased {
        throw Failure(.resourceBusy, "enable", on: path, "it was let go by hand; acquire it first")
      }
      try openDevice(patiently: true)
      do throws(Failure) {
        let display = try place(configuration, listener)
        try startThread()
        wake()
        return display
      } catch {
        giveUpUnused()
        throw error
      }
    }
  }

  private func place(
    _ configuration: DisplayConfiguration, _ listener: any DisplayListener
  ) throws(Failure) -> KMSDisplay {
    assertIsLocked()
    let found = try connector(configuration)
    let screen: KMSScreen
    if let shared = screens.first(where: { $0.name == found.name }) {
      if let mode = shared.pipe?.mode, configuration.mode != .preferred,
        ScreenGeometry.choose(configuration.mode, among: found.modes) != mode
      {
        throw Failure(
          .resourceBusy, "mode", on: "\(path) \(found.name)",
          "it shows \(mode) for \(shared.layers.map(\.name).joined(separator: " "))")
      }
      screen = shared
    } else {
      screen = KMSScreen(found.name, wanted: configuration.mode)
      if found.status == .disconnected {
        screen.fail(Failure(.deviceGone, "show", on: path, "\(found.name) is not connected"))
      } else {
        try light(screen, found)
      }
    }
    let display = KMSDisplay(configuration, on: screen, of: self, listener: listener)
    do throws(Failure) {
      try display.checkRectangle()
    } catch {
      if screen.layers.isEmpty { screen.darken() }
      throw error
    }
    if !screens.contains(where: { $0 === screen }) { screens.append(screen) }
    screen.add(display)
    display.publish()
    return display
  }

  /// The connector that was named, else the first with a monitor: one nobody else has, or one that can be shared.
  private func connector(_ configuration: DisplayConfiguration) throws(Failure) -> DRMConnector {
    guard let device else { throw Failure(.deviceGone, "enable", on: path) }
    let all = try asFailure { () throws(KernelError) in try device.connectors(probe: true) }.filter { !$0.isWriteback }
    if configuration.connector != "auto" {
      if let named = all.first(where: { $0.name == configuration.connector }) { return named }
      throw Failure(
        .deviceGone, "connector", on: path,
        "it has no \(configuration.connector)\(all.isEmpty ? "" : ", but \(all.map(\.name).joined(separator: " "))")")
    }
    let lit = all.filter { $0.status != .disconnected && !$0.modes.isEmpty }
    guard let first = lit.first(where: { found in !screens.contains { $0.name == found.name } }) ?? lit.first else {
      throw Failure(.deviceGone, "enable", on: path, "no connector has a monitor")
    }
    return first
  }

  private func light(_ screen: KMSScreen, _ found: DRMConnector) throws(Failure) {
    guard let device else { throw Failure(.deviceGone, "enable", on: path) }
    try screen.light(found, on: device, taken: screens.compactMap { $0 === screen ? nil : $0.crtc })
  }

  /// Opens the file and becomes its master.
  /// - Parameter patiently: whoever looks at the card is its master for a moment, this program's list of devices
  ///   included: not given up at once.
  private func openDevice(patiently: Bool) throws(Failure) {
    assertIsLocked()
    guard device == nil || !isMaster else { return }
    let opened: DRMCard
    do throws(KernelError) {
      if let device { opened = device } else { opened = try DRMCard(path, kernel: kernel) }
    } catch {
      throw Failure(error)
    }
    do throws(KernelError) {
      try opened.enableAtomic()
    } catch {
      throw Failure(.notSupported, error.operation, on: path, "its driver has no atomic mode setting")
    }
    var left = patiently ? KMSCard.repeats : 0
    while true {
      do throws(KernelError) {
        try opened.becomeMaster()
        break
      } catch {
        guard error.errno == .resourceBusy, left > 0 else {
          throw Failure(.resourceBusy, error.operation, on: path, otherMaster())
        }
      }
      left -= 1
      usleep(20_000)
    }
    (device, driver, isMaster) = (opened, opened.driver, true)
  }

  private func otherMaster() -> String {
    "another program has the card\(DRMClients.master(of: path, kernel: kernel).map { ": \($0)" } ?? "")"
  }

  private func giveUpUnused() {
    assertIsLocked()
    guard screens.isEmpty, !hasThread else { return }
    device?.dropMaster()
    (device, isMaster) = (nil, false)
  }

  /// Takes a display away. With the last one the file is closed when this returns, unless the device hangs.
  func close(_ display: KMSDisplay) {
    let isLast = withLock {
      let screen = display.screen
      if screen.layers.count == 1, screen.layers[0] === display {
        screen.darken()
        screen.remove(display)
        screens.removeAll { $0 === screen }
      } else {
        screen.remove(display)
      }
      display.silence()
      isEnding = screens.isEmpty
      return isEnding && hasThread
    }
    guard isLast else { return }
    wake()
    _ = try? ended.wait(timeoutMilliseconds: 2000)
    let gone = withLock {
      device?.dropMaster()
      (device, isMaster) = (nil, false)
      defer { remains = [] }
      return remains
    }
    _ = gone
  }

  /// Lets all screens go as they were, and others set modes.
  func release() {
    withLock {
      isReleased = true
      for screen in screens {
        if isMaster { screen.darken() } else { screen.abandon() }
        screen.fail(
          Failure(KMSCard.released, "release", on: path, "let go by hand; write 1 to acquire to have it back"))
      }
      device?.dropMaster()
      isMaster = false
      publish()
    }
  }

  /// - Throws: EBUSY another program has it.
  func acquire() throws(Failure) {
    try withLock { () throws(Failure) in
      try openDevice(patiently: true)
      isReleased = false
      lookAt = 0
      look(probe: true)
      publish()
    }
    wake()
  }

  private func publish() {
    assertIsLocked()
    for screen in screens { for layer in screen.layers { layer.publish() } }
  }

  // MARK: the thread

  private func startThread() throws(Failure) {
    guard !hasThread else { return }
    do throws(Errno) { _ = try Thread("display") { self.run() } } catch {
      throw Failure(error, "pthread_create", on: path)
    }
    hasThread = true
  }

  private func run() {
    thread.within { while turn() {} }
    ended.signal()
  }

  /// Waits for something to happen and deals with it.
  /// - Returns: false when there is nothing to wait for any more.
  private func turn() -> Bool {
    let waiting: (DRMCard?, Int32)? = withLock { isEnding ? nil : (device, pause(Clock.now())) }
    guard let (device, pause) = waiting else { return false }
    var (events, announced) = (PollResult(events: 0, woken: false), false)
    do throws(KernelError) {
      if let device {
        (events, announced) = try device.wait(
          orWake: wakeUp, other: uevents?.raw ?? -1, timeoutMilliseconds: pause)
      } else {
        events.woken = try wakeUp.wait(timeoutMilliseconds: pause)
      }
    } catch {
      // Waiting itself fails: not in a circle at full speed.
      usleep(100_000)
    }
    if events.woken { wakeUp.clear() }
    let isHot = announced && (uevents?.takeDisplayChanges() ?? false)
    let gone = withLock {
      if !isEnding { work(device, events, isHot: isHot) }
      defer { remains = [] }
      return remains
    }
    _ = gone
    return true
  }

  /// Milliseconds until something is due by itself.
  private func pause(_ now: Int64) -> Int32 {
    assertIsLocked()
    var due = max(lookAt, now)
    for screen in screens {
      if screen.deadline != 0 { due = min(due, screen.deadline) }
      if screen.retryAt != 0 { due = min(due, screen.retryAt) }
    }
    return max(0, due - now).pollMilliseconds
  }

  private func work(_ waited: DRMCard?, _ events: PollResult, isHot: Bool) {
    assertIsLocked()
    let now = Clock.now()
    if let device, device === waited {
      if events.readable { read(device) }
      if events.failed { giveUp(Failure(.deviceGone, "poll", on: path, "the card is gone")) }
    }
    // The flip may have happened since the wait ended: another thread can hold the lock for long, asking a monitor.
    if let device, screens.contains(where: { $0.isOverdue(now) }) { read(device) }
    for screen in screens where screen.isOverdue(now) {
      remains += screen.holdings
      screen.timeOut()
      let time = patience / .milliseconds(1)
      giveUp(Failure(.timedOut, "flip", on: path, "no picture came onto \(screen.name) within \(time) ms"))
      // It is opened anew at the next turn.
      lookAt = now
      break
    }
    if isHot || now >= lookAt {
      lookAt = now + KMSCard.pace
      look(probe: isHot)
    }
    for screen in screens {
      // The look may have taken long, which is not the next picture's fault.
      switch screen.commit(now: Clock.now(), patience: patience) {
      case .done: continue
      case .masterLost: loseMaster()
      case .cardGone: giveUp(Failure(.deviceGone, "DRM_IOCTL_MODE_ATOMIC", on: path, "the card is gone"))
      }
    }
    for screen in screens { screen.rest() }
  }

  private func read(_ device: DRMCard) {
    assertIsLocked()
    thread.assertIsCurrent()
    do throws(KernelError) {
      try device.readEvents(scratch) { event in
        for screen in screens where screen.crtc.map(UInt64.init) == event.userData { screen.flipped(event) }
      }
    } catch {
      giveUp(Failure(error))
    }
  }

  private func loseMaster() {
    assertIsLocked()
    isMaster = false
    let failure = Failure(.resourceBusy, "show", on: path, otherMaster())
    for screen in screens {
      remains += screen.holdings
      screen.abandon()
      screen.fail(failure)
    }
    publish()
  }

  /// The file is of no use any more; another one is opened as soon as that is possible.
  private func giveUp(_ failure: Failure) {
    assertIsLocked()
    for screen in screens {
      remains += screen.holdings
      screen.abandon()
      screen.fail(failure)
    }
    if let device { remains.append(device) }
    (device, isMaster) = (nil, false)
    publish()
  }

  /// Sees whether monitors came or went, and takes back what was lost.
  private func look(probe: Bool) {
    assertIsLocked()
    guard !isReleased else { return }
    if device == nil || !isMaster {
      // The old file must be closed first, or it would be the master.
      guard remains.isEmpty, (try? openDevice(patiently: false)) != nil else { return }
    }
    guard let device else { return }
    do throws(KernelError) {
      // Each is asked once, however many displays there are: a probe takes its time.
      let connectors = try device.connectors(probe: probe)
      for screen in screens {
        screen.forgetGone()
        look(screen, connectors.first { $0.name == screen.name }, device)
      }
    } catch {
      if error.errno == .deviceGone { giveUp(Failure(error, "the card is gone")) }
    }
  }

  private func look(_ screen: KMSScreen, _ found: DRMConnector?, _ device: DRMCard) {
    guard let found, found.status != .disconnected else {
      if screen.isUp {
        screen.darken(turningOff: true)
        changed()
      }
      screen.fail(Failure(.deviceGone, "show", on: path, "\(screen.name) is not connected"))
      return
    }
    if let mode = screen.pipe?.mode {
      // Another monitor may hang on it now.
      guard !found.modes.contains(mode) else { return }
      screen.darken(turningOff: true)
    }
    do throws(Failure) {
      // The kernel knows the modes of a monitor that has just come only after asking it.
      try light(screen, (try? device.connector(found.id, probe: true)) ?? found)
      publish()
      changed()
    } catch {
      screen.fail(error)
    }
  }
}
