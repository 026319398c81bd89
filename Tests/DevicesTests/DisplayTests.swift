// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// A display on a card that is not there.
@Suite(.ownThread) struct DisplayTests {
  private let card = FakeCard()
  private let audience = Audience()

  private func configuration(
    mode: DisplayMode = .preferred, rectangle: Rectangle? = nil, connector: String = "auto", name: String = "vo/0"
  ) -> DisplayConfiguration {
    DisplayConfiguration(
      device: FakeCard.path, connector: connector, mode: mode, rectangle: rectangle, name: name)
  }

  private func open(_ configuration: DisplayConfiguration? = nil) throws -> any Display {
    try KMSDisplayFactory(kernel: card).open(configuration ?? self.configuration(), listener: audience)
  }

  /// On a card that may take its time to show a picture.
  private func openPatiently() throws -> any Display {
    try KMSDisplayFactory(in: "/dev", kernel: card, patience: .seconds(3600)).open(configuration(), listener: audience)
  }

  private func show(_ pts: Int64, _ frames: TestFrames, on display: any Display) throws {
    let frame = try frames.frame(pts: pts)
    let way = try display.way(for: frame)
    display.show(frame, by: way)
  }

  private func frames(_ width: Int = 640, _ height: Int = 480, dmabuf: Bool = true) throws -> TestFrames {
    try TestFrames(.xrgb8888, width, height, dmabuf: dmabuf)
  }

  @Test("a frame the card can reach is scanned out where it lies, until the next one is on the screen")
  func imported() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    try show(1, frames, on: display)
    #expect(eventually { audience.now.shown == [1] })
    #expect(display.status.way == "imported")
    #expect(display.status.plane == "primary 30")
    // It is on the screen: its buffer is not free.
    #expect(frames.pool.free == 1)
    try show(2, frames, on: display)
    #expect(eventually { audience.now.shown == [1, 2] })
    #expect(eventually { frames.pool.free == 1 })
    #expect(display.counters.flips == 2)
    // Both buffers went home to their places in the cache: each is imported once.
    for pts in 3..<9 {
      try show(Int64(pts), frames, on: display)
      #expect(eventually { audience.now.shown.last == Int64(pts) && frames.pool.free == 1 })
    }
    #expect(display.counters.imports == 2)
    card.with { state in
      #expect(state.handles.isEmpty)
      #expect(state.doubleCloses == 0)
    }
  }

  @Test("the newest frame wins while one is on its way")
  func newestWins() throws {
    let display = try openPatiently()
    defer { display.close() }
    let frames = try TestFrames(.xrgb8888, 640, 480, dmabuf: true, count: 4)
    card.with { $0.isStuck = true }
    try show(1, frames, on: display)
    #expect(eventually { card.with { $0.waiting.count } == 1 })
    try show(2, frames, on: display)
    try show(3, frames, on: display)
    #expect(eventually { audience.now.dropped == [.superseded] })
    card.unstick()
    #expect(eventually { audience.now.shown == [1, 3] })
  }

  @Test("memory nobody can share is copied into the card's, and why stands beside it")
  func copied() throws {
    let display = try open()
    defer { display.close() }
    let frame = try frames(dmabuf: false).frame()
    let way = try display.way(for: frame)
    let picture = try #require(way.picture)
    #expect(picture.layout.width == 640)
    #expect(picture.layout.plane0.stride == 2560)
    #expect(picture.allocator.name == "drm:card77")
    #expect(display.status.reason.contains("memfd memory cannot be shared"))
    let memory = try picture.allocator.allocate(size: picture.bufferSize, label: "vo0-0")
    #expect(memory.size >= picture.bufferSize)
  }

  @Test("a picture of another shape gets a plane of its own, with black behind it")
  func letterbox() throws {
    let display = try open(configuration(rectangle: Rectangle(x: 64, y: 32, width: 320, height: 240)))
    defer { display.close() }
    let frames = try frames(320, 240)
    try show(1, frames, on: display)
    #expect(eventually { audience.now.shown == [1] })
    #expect(card.value(FakeCard.overlay, "CRTC_X") == 64)
    #expect(card.value(FakeCard.overlay, "CRTC_W") == 320)
    #expect(card.value(FakeCard.primary, "CRTC_W") == 640)
    #expect(card.value(FakeCard.primary, "FB_ID") != card.value(FakeCard.overlay, "FB_ID"))
    // On the whole screen it cannot stay there: this card scales nothing.
    display.place(nil)
    let frame = try frames.frame(pts: 2)
    #expect(try display.way(for: frame).picture?.layout.width == 640)
  }

  @Test("two on one screen have a plane each and share the file; a third finds none")
  func two() throws {
    let factory = KMSDisplayFactory(kernel: card)
    let first = try factory.open(configuration(), listener: audience)
    let other = Audience()
    let second = try factory.open(
      configuration(rectangle: Rectangle(x: 0, y: 0, width: 320, height: 240), name: "vo/1"), listener: other)
    try show(1, try frames(), on: first)
    try show(2, try frames(320, 240), on: second)
    #expect(eventually { audience.now.shown == [1] && other.now.shown == [2] })
    #expect(card.with { $0.opened } == 1)
    #expect(first.status.plane != second.status.plane)
    let third = try factory.open(configuration(name: "vo/2"), listener: Audience())
    let frame = try frames().frame()
    #expect(throws: Failure.self) { try third.way(for: frame) }
    third.close()
    #expect(throws: Failure.self) {
      try factory.open(
        configuration(mode: .size(width: 320, height: 240, milliHertz: nil), name: "vo/3"), listener: Audience())
    }
    second.close()
    try show(3, try frames(), on: first)
    #expect(eventually { audience.now.shown == [1, 3] })
    #expect(card.value(FakeCard.overlay, "FB_ID") == 0)
    first.close()
    // The card's thread, which a close waits for two seconds at most, lets go of it.
    #expect(eventually { card.with { $0.files.isEmpty } })
  }

  @Test("a card that does not say that a picture is shown is opened anew, and the next pictures are shown")
  func timeOut() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    card.with { $0.isStuck = true }
    try show(1, frames, on: display)
    #expect(eventually { audience.now.dropped == [.timedOut] })
    #expect(eventually { audience.lastFailure?.errno == .timedOut })
    #expect(eventually { display.counters.timeouts == 1 })
    #expect(eventually { frames.pool.free == 2 })
    card.unstick()
    #expect(eventually { audience.now.conditions.last == .works })
    #expect(card.with { $0.opened } == 2)
    try show(2, frames, on: display)
    #expect(eventually { audience.now.shown == [2] })
  }

  @Test("a picture that came while the card was busy with a monitor is no time-out")
  func lateLook() throws {
    // On a machine that takes half a second to have the monitor asked, the picture's time is over before: another try.
    #expect(try eventually { try looksLate(FakeCard(), Audience()) })
  }

  /// - Returns: whether the card was busy before the picture's time was over.
  private func looksLate(_ card: FakeCard, _ audience: Audience) throws -> Bool {
    let factory = KMSDisplayFactory(kernel: card)
    let display = try factory.open(configuration(), listener: audience)
    defer { display.close() }
    let frames = try frames()
    card.with { ($0.isStuck, $0.holdsProbes) = (true, true) }
    let start = ContinuousClock.now
    try show(1, frames, on: display)
    #expect(eventually { card.with { $0.waiting.count } == 1 })
    // Asking the monitor for another display keeps the card's lock past the deadline.
    let (other, second) = (Audience(), configuration(name: "vo/1"))
    let asking = Background {
      let opened = try? factory.open(second, listener: other)
      opened?.close()
    }
    #expect(eventually { card.with { $0.isProbing } })
    // From here on the card's lock is taken.
    let isInTime = audience.now.dropped.isEmpty
    if isInTime {
      #expect(eventually { card.with { $0.polls } == 0 && ContinuousClock.now - start > .milliseconds(600) })
    }
    card.unstick()
    card.with { $0.holdsProbes = false }
    try asking.value
    guard isInTime else { return false }
    #expect(eventually { !audience.now.shown.isEmpty || !audience.now.dropped.isEmpty })
    #expect(audience.now.shown == [1])
    #expect(display.counters.timeouts == 0)
    #expect(card.with { $0.opened } == 1)
    return true
  }

  @Test("pictures of a card that hangs are let go without keeping the display from answering")
  func hanging() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    try show(1, frames, on: display)
    #expect(eventually { audience.now.shown == [1] })
    try show(2, frames, on: display)
    #expect(eventually { audience.now.shown == [1, 2] && frames.pool.free == 1 })
    let frame = try frames.frame(pts: 3)
    let way = try display.way(for: frame)
    card.with { ($0.isStuck, $0.holdsRemovals) = (true, true) }
    display.show(frame, by: way)
    #expect(eventually { card.with { $0.isRemoving } })
    // Takes the card's lock.
    let asking = Background { #expect(throws: Failure.self) { try display.acquire() } }
    _ = try asking.value
    card.with { $0.holdsRemovals = false }
    card.unstick()
    #expect(eventually { audience.now.conditions.last == .works })
    try show(4, frames, on: display)
    #expect(eventually { audience.now.shown == [1, 2, 4] })
  }

  @Test("what another program takes is taken back when it lets go")
  func masterLost() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    card.with { $0.refusal = (EACCES, 1) }
    try show(1, frames, on: display)
    #expect(eventually { audience.lastFailure?.errno == .resourceBusy })
    #expect(eventually { audience.now.dropped == [.failed] })
    #expect(eventually { !display.status.isMaster })
    // Turned away at the door while there is no screen.
    let frame = try frames.frame(pts: 2)
    #expect(throws: Failure.self) { try display.way(for: frame) }
    card.with { $0.isTaken = false }
    #expect(eventually { audience.now.conditions.last == .works })
    try show(3, frames, on: display)
    #expect(eventually { audience.now.shown == [3] })
    #expect(display.counters.outages == 1)
  }

  @Test("a card that goes is waited for")
  func gone() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    card.with { $0.isPresent = false }
    let frame = try frames.frame(pts: 1)
    #expect(throws: Failure.self) { try display.way(for: frame) }
    #expect(eventually { audience.lastFailure?.errno == .deviceGone })
    card.with { $0.isPresent = true }
    #expect(eventually { audience.now.conditions.last == .works })
    try show(2, frames, on: display)
    #expect(eventually { audience.now.shown == [2] })
  }

  @Test("a picture the driver refuses is dropped, and another way is looked for")
  func refused() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    let generation = display.generation
    card.with { $0.refusal = (EINVAL, 1) }
    try show(1, frames, on: display)
    #expect(eventually { audience.now.dropped == [.failed] })
    #expect(eventually { display.generation != generation })
    try show(2, frames, on: display)
    #expect(eventually { audience.now.shown == [2] && audience.now.conditions.last == .works })
  }

  @Test("a monitor that is unplugged is taken back; one that is named is waited for")
  func hotPlug() throws {
    card.with { $0.isConnected = false }
    #expect(throws: Failure.self) { try open() }
    #expect(card.with { $0.files.isEmpty })
    let display = try open(configuration(connector: "HDMI-A-1"))
    defer { display.close() }
    #expect(eventually { audience.lastFailure?.detail.contains("HDMI-A-1 is not connected") == true })
    card.with { $0.isConnected = true }
    #expect(eventually { audience.now.conditions.last == .works })
    let frames = try frames()
    try show(1, frames, on: display)
    #expect(eventually { audience.now.shown == [1] })
    card.with { $0.isConnected = false }
    #expect(eventually { audience.lastFailure?.errno == .deviceGone })
    #expect(eventually { card.value(FakeCard.crtc, "ACTIVE") == 0 })
    // Nothing is scanned out any more, so nothing is held.
    #expect(eventually { frames.pool.free == 2 })
  }

  @Test("the screen is given back as it was, and nothing stays open")
  func restored() throws {
    // A console's picture.
    card.showConsole(on: FakeCard.primary)
    let display = try open(configuration(mode: .size(width: 320, height: 240, milliHertz: nil)))
    let frames = try frames(320, 240)
    try show(1, frames, on: display)
    #expect(eventually { audience.now.shown == [1] })
    #expect(card.value(FakeCard.primary, "CRTC_W") == 320)
    display.close()
    #expect(card.value(FakeCard.primary, "FB_ID") == 5)
    #expect(card.value(FakeCard.primary, "CRTC_W") == 640)
    #expect(card.value(FakeCard.crtc, "ACTIVE") == 1)
    let mode = UInt32(card.value(FakeCard.crtc, "MODE_ID"))
    #expect(card.with { $0.blobs[mode] } == [UInt8](repeating: 3, count: 68))
    #expect(eventually { frames.pool.free == 2 })
    #expect(eventually { card.with { $0.files.isEmpty } })
  }

  @Test("let go by hand, the card is another program's until it is acquired")
  func release() throws {
    let display = try open()
    defer { display.close() }
    let frames = try frames()
    try show(1, frames, on: display)
    #expect(eventually { audience.now.shown == [1] })
    try display.release()
    #expect(frames.pool.free == 2)
    #expect(card.with { $0.master } == nil)
    #expect(card.value(FakeCard.crtc, "ACTIVE") == 0)
    card.with { $0.isTaken = true }
    #expect(throws: Failure.self) { try display.acquire() }
    // A refused command changes nothing: it is not taken as soon as the other lets go.
    card.with { $0.isTaken = false }
    #expect(!eventually(within: 1.5) { card.with { $0.master } != nil })
    try display.acquire()
    #expect(audience.now.conditions.last == .works)
    try show(2, frames, on: display)
    #expect(eventually { audience.now.shown == [1, 2] })
  }

  @Test("a card another program has is refused, and left alone")
  func busy() throws {
    card.with { $0.isTaken = true }
    let failure = #expect(throws: Failure.self) { try open() }
    #expect(failure?.errno == .resourceBusy)
    #expect(card.with { $0.files.isEmpty })
  }

  @Test("a card another program only looks at is waited for")
  func lookedAt() throws {
    card.with { $0.refusedMasters = 3 }
    let display = try open()
    #expect(display.status.isMaster)
    display.close()
    #expect(eventually { card.with { $0.files.isEmpty } })
  }

  @Test("a machine without a card says so")
  func none() throws {
    let failure = #expect(throws: Failure.self) {
      try KMSDisplayFactory(in: "/nonexistent").open(
        DisplayConfiguration(device: "auto", connector: "auto", mode: .preferred, rectangle: nil, name: "vo/0"),
        listener: audience)
    }
    #expect(failure?.errno == .deviceGone)
    #expect(failure?.detail == "there is no DRM card")
  }

  @Test("a place outside the screen is refused")
  func outside() throws {
    let failure = #expect(throws: Failure.self) {
      try open(configuration(rectangle: Rectangle(x: 400, y: 0, width: 320, height: 240)))
    }
    #expect(failure?.errno == .outOfRange)
    #expect(card.with { $0.files.isEmpty })
    #expect(card.value(FakeCard.crtc, "ACTIVE") == 0)
  }
}
