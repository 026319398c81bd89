// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import LinuxMedia

/// What the kernel and monitors hand over as bytes.
@Suite(.ownThread) struct DRMDescriptionTests {
  private func words(_ values: [UInt32]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) } }
  }

  @Test("formats in plain lines are those of modifier 0")
  func linear() {
    // Header, three formats, two modifiers: 0 for the first and third, another for the second.
    let blob =
      words([1, 0, 3, 24, 2, 36]) + words([0x3432_5258, 0x3231_564e, 0x3432_5241])
      + words([0b101, 0, 0, 0, 0, 0]) + words([0b010, 0, 0, 0, 7, 0])
    #expect(PlaneFormats.linear(blob) == [0x3432_5258, 0x3432_5241])
    #expect(PlaneFormats.linear(Array(blob.dropLast())).isEmpty)
    #expect(PlaneFormats.linear([]).isEmpty)
    // A bit beyond the formats there are.
    #expect(PlaneFormats.linear(words([1, 0, 1, 24, 1, 28]) + words([9]) + words([0b11, 0, 0, 0, 0, 0])) == [9])
  }

  @Test("a monitor is called by its name, else by maker and number")
  func edid() {
    var bytes = [UInt8](repeating: 0, count: 128)
    bytes.replaceSubrange(0..<8, with: [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0])
    bytes.replaceSubrange(8..<12, with: [0x1e, 0x6d, 0x08, 0x5b])
    #expect(EDID.name(bytes) == "GSM-5b08")
    bytes.replaceSubrange(72..<90, with: [0, 0, 0, 0xfc, 0] + Array("LG ULTRA\n    ".utf8))
    #expect(EDID.name(bytes) == "LG ULTRA")
    #expect(EDID.name([]) == nil)
    #expect(EDID.name([UInt8](repeating: 0xff, count: 128)) == nil)
  }

  @Test("flip events are found among others, and a cut one is left")
  func events() {
    func event(_ type: UInt32, _ sequence: UInt32) -> [UInt8] { words([type, 32, 41, 0, 2, 500_000, sequence, 62]) }
    let bytes = event(1, 1) + event(2, 7) + words([9, 8]) + event(2, 8) + Array(event(2, 9).prefix(20))
    var found: [FlipEvent] = []
    bytes.withUnsafeBytes { FlipEvent.parse($0) { found.append($0) } }
    #expect(
      found == [
        FlipEvent(userData: 41, sequence: 7, time: 2_500_000_000),
        FlipEvent(userData: 41, sequence: 8, time: 2_500_000_000),
      ])
    // A length that would never end.
    words([2, 0, 0, 0]).withUnsafeBytes { FlipEvent.parse($0) { _ in Issue.record("no event") } }
  }

  @Test("announcements about displays are told from others")
  func uevents() {
    func text(_ words: String...) -> [UInt8] { words.flatMap { Array($0.utf8) + [0] } }
    #expect(Uevents.isAboutDisplay(text("change@/devices/x", "ACTION=change", "SUBSYSTEM=drm", "HOTPLUG=1")))
    #expect(!Uevents.isAboutDisplay(text("add@/devices/x", "ACTION=add", "SUBSYSTEM=usb")))
    #expect(!Uevents.isAboutDisplay([UInt8]()))
  }

  @Test("a mode's rate comes from its pixel clock")
  func rate() {
    #expect(DRMMode(width: 1000, height: 500, refresh: 60).milliHertz == 60_000)
    #expect(DRMMode(width: 1280, height: 720, refresh: 50).description == "1280x720@50.00")
    #expect(DRMMode(width: 1280, height: 720, refresh: 50).intervalNanoseconds == 20_000_000)
  }
}
