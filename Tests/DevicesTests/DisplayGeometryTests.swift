// SPDX-License-Identifier: Apache-2.0
import LinuxMedia
import MediaCore
import TestSupport
import Testing

@testable import Devices

/// Decisions about screens that need no device.
@Suite(.ownThread) struct DisplayGeometryTests {
  private let modes = [
    DRMMode(width: 1920, height: 1080, refresh: 60), DRMMode(width: 1280, height: 720, refresh: 50),
    DRMMode(width: 1024, height: 768, refresh: 60, isPreferred: true), DRMMode(width: 1280, height: 720, refresh: 60),
  ]

  @Test(
    "the mode asked for is found among those there are",
    arguments: [
      ("auto", "1024x768@60.00"), ("1280x720", "1280x720@60.00"), ("1280x720@50", "1280x720@50.00"),
      ("1280x720@49.99", nil), ("1280x721", nil), ("1920x1080@24", nil),
    ])
  func mode(wanted: String, found: String?) throws {
    let mode = try #require(DisplayMode(wanted))
    #expect(ScreenGeometry.choose(mode, among: modes)?.description == found)
  }

  @Test("without a preferred mode auto takes the first, without any none")
  func firstMode() {
    #expect(ScreenGeometry.choose(.preferred, among: [modes[1], modes[0]]) == modes[1])
    #expect(ScreenGeometry.choose(.preferred, among: []) == nil)
  }

  @Test(
    "the text of a mode is taken exactly, and reads back canonically",
    arguments: [
      ("auto", "auto"), ("1280x720", "1280x720"), ("1280x720@60", "1280x720@60"), ("720x576@59.94", "720x576@59.94"),
      ("720x576@59.940", "720x576@59.94"), ("640x480@75.0", "640x480@75"), ("1280X720", nil), ("1280", nil),
      ("x720", nil), ("1280x720@", nil), ("1280x720@0", nil), ("01280x720", nil), ("1280x720@60Hz", nil), ("", nil),
      ("8x8", nil), ("1280x720@60@60", nil), ("1280x720@60.0001", nil), ("99999x99999", nil),
    ])
  func modeText(text: String, canonical: String?) {
    #expect(DisplayMode(text)?.description == canonical)
  }

  @Test(
    "a picture keeps its shape on the screen, in the middle, on even coordinates",
    arguments: [
      (1280, 720, 1024, 768, "0,96,1024,576"), (640, 480, 1024, 768, "0,0,1024,768"),
      (720, 1280, 1920, 1080, "656,0,608,1080"), (1280, 720, 1366, 768, "0,0,1366,768"),
      (100, 1, 1024, 768, "0,378,1024,10"),
    ])
  func fit(width: Int, height: Int, screenWidth: Int, screenHeight: Int, place: String) {
    let found = ScreenGeometry.fit(width: width, height: height, screen: (screenWidth, screenHeight))
    #expect("\(found.x),\(found.y),\(found.width),\(found.height)" == place)
    #expect(ScreenGeometry.contains((screenWidth, screenHeight), found))
  }

  @Test("a picture on every second vblank is repeated once each, and nothing is missed")
  func repeats() {
    var account = VblankAccount()
    for index in 0..<10 {
      account.shown(sequence: UInt32(100 + 2 * index), pts: Int64(index) * 33_333, interval: 16_666_667)
    }
    #expect(account.repeated == 9)
    #expect(account.missed == 0)
  }

  @Test("25 pictures a second on 60 Hz stay for two or three vblanks without a miss")
  func pulldown() {
    var account = VblankAccount()
    var sequence: UInt32 = 7
    for index in 0..<10 {
      account.shown(sequence: sequence, pts: Int64(index) * 40_000, interval: 16_666_667)
      sequence += index % 2 == 0 ? 2 : 3
    }
    #expect(account.missed == 0)
  }

  @Test("a vblank at which the next picture was due is missed, also where the count wraps")
  func missed() {
    var account = VblankAccount()
    account.shown(sequence: UInt32.max - 1, pts: 0, interval: 16_666_667)
    account.shown(sequence: 3, pts: 33_333, interval: 16_666_667)
    #expect(account.repeated == 4)
    #expect(account.missed == 3)
  }

  @Test("a picture the source left out makes no vblank missed")
  func sourceGap() {
    var account = VblankAccount()
    account.shown(sequence: 10, pts: 0, interval: 16_666_667)
    account.shown(sequence: 14, pts: 66_666, interval: 16_666_667)
    #expect(account.missed == 0)
  }

  @Test("a count that begins anew is no gap")
  func restart() {
    var account = VblankAccount()
    account.shown(sequence: 5000, pts: 0, interval: 16_666_667)
    account.shown(sequence: 1, pts: 33_333, interval: 16_666_667)
    account.restart()
    account.shown(sequence: 9000, pts: 66_666, interval: 16_666_667)
    #expect(account.repeated == 0)
    #expect(account.missed == 0)
  }
}

/// In which order ways onto the screen are tried.
@Suite(.ownThread) struct PlaneChoiceTests {
  private let screen = (width: 1024, height: 768)
  private let whole = Rectangle(x: 0, y: 0, width: 1024, height: 768)
  private let part = Rectangle(x: 0, y: 96, width: 1024, height: 576)
  private let rgb = PlaneTraits(kind: .primary, formats: [.xrgb8888])
  private let overlay = PlaneTraits(kind: .overlay, formats: [.nv12, .xrgb8888])
  private let cursor = PlaneTraits(kind: .cursor, formats: [.xrgb8888])

  private func layout(_ format: PixelFormat, _ width: Int, _ height: Int) throws -> FrameLayout {
    try #require(FrameLayout(format, width: width, height: height))
  }

  @Test("a frame a plane takes is tried as it is first, the whole screen on the primary plane")
  func direct() throws {
    let found = PlaneChoice.candidates(
      frame: try layout(.xrgb8888, 1024, 768), canImport: true, rectangle: whole, screen: screen,
      planes: [overlay, rgb, cursor])
    #expect(found.first == PlaneCandidate(plane: 1, picture: .frame, place: whole))
    #expect(found[1] == PlaneCandidate(plane: 0, picture: .frame, place: whole))
    #expect(!found.contains { $0.plane == 2 })
  }

  @Test("a part of the screen is tried on overlays first")
  func overlayFirst() throws {
    let found = PlaneChoice.candidates(
      frame: try layout(.nv12, 1280, 720), canImport: true, rectangle: part, screen: screen, planes: [rgb, overlay])
    #expect(found.first == PlaneCandidate(plane: 1, picture: .frame, place: part))
  }

  @Test("memory the device cannot reach is never tried, and what is made of it is what costs least")
  func copied() throws {
    let found = PlaneChoice.candidates(
      frame: try layout(.nv12, 1280, 720), canImport: false, rectangle: part, screen: screen, planes: [rgb, overlay])
    #expect(!found.contains { $0.picture == .frame })
    #expect(found.first == PlaneCandidate(plane: 1, picture: .made(.nv12, width: 1024, height: 576), place: part))
    // The last resort: one picture of the whole screen on the plane every card has.
    #expect(found.last == PlaneCandidate(plane: 0, picture: .composed(.xrgb8888), place: whole))
  }

  @Test("a small picture is left to the plane to enlarge, if it can")
  func enlarging() throws {
    let found = PlaneChoice.candidates(
      frame: try layout(.i420, 320, 240), canImport: true, rectangle: whole, screen: screen, planes: [rgb])
    #expect(
      found.map(\.picture) == [.made(.xrgb8888, width: 320, height: 240), .made(.xrgb8888, width: 1024, height: 768)])
  }

  @Test("RGB is not turned into YUV for a plane that takes both")
  func staysRGB() throws {
    let found = PlaneChoice.candidates(
      frame: try layout(.rgb24, 1024, 768), canImport: true, rectangle: whole, screen: screen, planes: [overlay])
    #expect(found.first?.picture == .made(.xrgb8888, width: 1024, height: 768))
  }

  @Test("without a plane there is nothing to try")
  func nothing() throws {
    #expect(
      PlaneChoice.candidates(
        frame: try layout(.nv12, 64, 64), canImport: true, rectangle: whole, screen: screen, planes: [cursor]
      ).isEmpty)
  }

  @Test("the part of a picture begins where its first pixel is")
  func parts() {
    let whole = DisplayFormat.layout(.xrgb8888, width: 1024, height: 768, pitch: 4352)
    let part = DisplayFormat.part(whole, part)
    #expect(part.plane0 == Plane(offset: 96 * 4352, stride: 4352, lines: 576))
    #expect(part.byteCount <= whole.byteCount)
    for (ours, code) in [
      (PixelFormat.rgb24, "BG24"), (.bgr24, "RG24"), (.xrgb8888, "XR24"), (.xbgr8888, "XB24"),
    ] {
      #expect(DisplayFormat.fourcc(ours) == PixelFormat(deviceName: code)?.rawValue)
    }
    #expect(DisplayFormat.fourcc(.grey) == nil, "a card would show it as red")
    let chroma = DisplayFormat.layout(.nv12, width: 64, height: 48, pitch: 128)
    #expect(chroma.plane1 == Plane(offset: 128 * 48, stride: 128, lines: 24))
  }
}

@Suite(.ownThread) struct DRMClientsTests {
  @Test("the master is named, also one with blanks in its name")
  func master() {
    let text = """
                   command  tgid dev master a   uid      magic
                  modetest   123   1   y    y     0          0
                     mpifs    99   1   n    y     0          1
      """
    #expect(DRMClients.master(in: text) == "modetest (pid 123)")
    let blank = """
                   command  tgid dev master a   uid      magic                                                             name client-id
              Xorg main io   7   1   y    y     0          0                                                          <unset>         3
      """
    #expect(DRMClients.master(in: blank) == "Xorg main io (pid 7)")
    #expect(DRMClients.master(in: "command tgid dev master a uid magic\n a 1 0 n y 0 0") == nil)
    #expect(DRMClients.master(in: "") == nil)
  }
}
