// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import TestSupport
import Testing

@testable import Devices

/// Two screens on a card whose planes can all be shown on both.
@Suite(.ownThread) struct DisplayScreensTests {
  private let card = FakeCard(screens: 2)
  private let factory: KMSDisplayFactory
  private let audiences = [Audience(), Audience()]

  init() { factory = KMSDisplayFactory(kernel: card) }

  private func open(_ screen: Int, _ rectangle: Rectangle? = nil) throws -> any Display {
    try factory.open(
      DisplayConfiguration(
        device: FakeCard.path, connector: "HDMI-A-\(screen + 1)", mode: .preferred, rectangle: rectangle,
        name: "vo/\(screen)"), listener: audiences[screen])
  }

  private func show(_ width: Int, _ height: Int, on display: any Display, _ screen: Int) throws {
    let frame = try TestFrames(.xrgb8888, width, height, dmabuf: true).frame(pts: 1)
    let way = try display.way(for: frame)
    display.show(frame, by: way)
    #expect(eventually { audiences[screen].now.shown == [1] })
  }

  private let part = Rectangle(x: 0, y: 0, width: 320, height: 240)

  @Test("each has its own primary plane, and one that goes takes no plane of the other's")
  func apart() throws {
    let first = try open(0)
    let second = try open(1, part)
    defer { second.close() }
    #expect(card.value(FakeCard.primary, "CRTC_ID") == UInt64(FakeCard.crtc))
    #expect(card.value(FakeCard.secondPrimary, "CRTC_ID") == UInt64(FakeCard.secondCRTC))
    try show(320, 240, on: second, 1)
    #expect(second.status.plane == "overlay 31")
    try show(640, 480, on: first, 0)
    #expect(first.status.plane == "primary 30")
    let picture = card.value(FakeCard.overlay, "FB_ID")
    first.close()
    #expect(card.value(FakeCard.crtc, "ACTIVE") == 0)
    #expect(card.value(FakeCard.primary, "CRTC_ID") == 0)
    #expect(card.value(FakeCard.overlay, "FB_ID") == picture)
    #expect(card.value(FakeCard.overlay, "CRTC_ID") == UInt64(FakeCard.secondCRTC))
    #expect(card.value(FakeCard.secondPrimary, "CRTC_ID") == UInt64(FakeCard.secondCRTC))
  }

  @Test("a picture that waited while another screen's monitor was asked has its whole time to come")
  func wholeTime() throws {
    // Where the machine has no processor for the card's thread in the picture's whole time: another try.
    #expect(try eventually { try DisplayScreensTests().comesInItsTime() })
  }

  /// - Returns: false when the picture's time went by after the card was let go.
  private func comesInItsTime() throws -> Bool {
    card.with { $0.unplugged = [FakeCard.secondConnector] }
    let first = try open(0)
    let second = try open(1)
    defer {
      first.close()
      second.close()
    }
    let frame = try TestFrames(.xrgb8888, 640, 480, dmabuf: true).frame(pts: 1)
    let way = try first.way(for: frame)
    card.with { ($0.lateReads, $0.holdsProbes, $0.unplugged) = (2, true, []) }
    #expect(eventually { card.with { $0.isProbing } })
    let start = ContinuousClock.now
    first.show(frame, by: way)
    #expect(eventually { ContinuousClock.now - start > .milliseconds(600) })
    let release = ContinuousClock.now
    card.with { $0.holdsProbes = false }
    #expect(eventually { audiences[0].now.shown == [1] || !audiences[0].now.dropped.isEmpty })
    let isLate = !audiences[0].now.dropped.isEmpty && ContinuousClock.now - release > .milliseconds(500)
    #expect(isLate || first.counters.timeouts == 0)
    return !isLate
  }

  @Test("a plane another screen is about to show is not taken")
  func promised() throws {
    let first = try open(0, part)
    let second = try open(1, part)
    defer {
      first.close()
      second.close()
    }
    let frame = try TestFrames(.xrgb8888, 320, 240, dmabuf: true).frame(pts: 1)
    let way = try first.way(for: frame)
    #expect(first.status.plane == "overlay 31")
    // What is left is its primary plane.
    _ = try second.way(for: frame)
    #expect(second.status.plane == "primary 32")
    first.show(frame, by: way)
    #expect(eventually { audiences[0].now.shown == [1] })
  }

  @Test("a screen is given back without the plane that is another's by now")
  func givenBack() throws {
    // A console's picture, with something in front of it.
    card.showConsole(on: FakeCard.secondPrimary, FakeCard.overlay)
    let first = try open(0)
    #expect(card.value(FakeCard.secondPrimary, "CRTC_ID") == UInt64(FakeCard.crtc))
    #expect(card.value(FakeCard.overlay, "CRTC_ID") == 0)
    let second = try open(1, part)
    defer { second.close() }
    try show(320, 240, on: second, 1)
    first.close()
    #expect(card.value(FakeCard.crtc, "ACTIVE") == 1)
    #expect(card.value(FakeCard.secondPrimary, "FB_ID") == 5)
    #expect(card.value(FakeCard.overlay, "CRTC_ID") == UInt64(FakeCard.secondCRTC))
  }
}
