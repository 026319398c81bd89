// SPDX-License-Identifier: Apache-2.0
import Base
import LinuxMedia
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import Devices

@Suite(.ownThread(limit: .seconds(300))) struct CaptureControlsTests {
  private let camera = FakeCamera()

  private func open(_ controls: [String: String] = [:]) throws -> V4L2CaptureSource {
    camera.with { $0.controls = $0.controls ?? FakeControls() }
    return try V4L2CaptureSource(
      "/dev/video0",
      SourceRequest(
        width: 640, height: 360, format: .nv12, frameRate: .thirty, allocator: MemfdAllocator(), user: .anonymous,
        poolName: "vi0", bufferCount: 3, controls: controls),
      kernel: camera)
  }

  private func text(_ source: V4L2CaptureSource, _ name: String) -> String? {
    guard let surface = source.controls, let value = surface.value(of: name) else { return nil }
    return surface.control(name)?.text(value)
  }

  /// As a file is written: the text is checked with what the device said, then set.
  private func write(_ source: V4L2CaptureSource, _ name: String, _ text: String) throws {
    let surface = try #require(source.controls)
    let control = try #require(surface.control(name))
    _ = try surface.set(name, control.parse(Array(text.utf8), path: name))
  }

  @Test func everyKindIsShownAsTextAndTakesIt() throws {
    let source = try open()
    #expect(
      source.controls?.controls.map(\.name) == [
        "brightness", "gain_automatic", "gain", "test_pattern", "steps", "mask", "serial", "press", "temperature",
        "area", "exposure_time_absolute",
      ])
    #expect(text(source, "brightness") == "128")
    #expect(text(source, "gain_automatic") == "1")
    #expect(text(source, "test_pattern") == "Bars")
    #expect(text(source, "mask") == "0x00000001")
    #expect(text(source, "serial") == "ab")
    #expect(text(source, "temperature") == "20")
    #expect(text(source, "press") == nil)
    #expect(text(source, "area") == nil)
    try write(source, "brightness", "7\n")
    try write(source, "gain_automatic", "0")
    try write(source, "test_pattern", "0")
    try write(source, "steps", "30")
    try write(source, "mask", "0x80000000")
    try write(source, "serial", "wxyz")
    try write(source, "press", "1")
    #expect(text(source, "brightness") == "7")
    #expect(text(source, "gain_automatic") == "0")
    // Two choices have this name: the number says which.
    #expect(text(source, "test_pattern") == "0")
    #expect(text(source, "steps") == "30")
    #expect(text(source, "mask") == "0x80000000")
    #expect(text(source, "serial") == "wxyz")
    #expect(camera.with { $0.controls?.presses } == 1)
    #expect(
      camera.with { $0.controls?.journal } == [
        "Brightness=7", "Gain, Automatic=0", "Test Pattern=0", "Steps=3", "Mask=2147483648", "Serial=wxyz", "Press=0",
      ])
  }

  @Test func whatIsNoValueNeverReachesTheDevice() throws {
    let source = try open()
    let cases: [(String, String, Errno, String)] = [
      ("brightness", "256", .outOfRange, "0..255"), ("brightness", "-1", .outOfRange, "0..255"),
      ("brightness", " 12", .invalidArgument, "0..255"), ("brightness", "", .invalidArgument, "0..255"),
      ("brightness", "99999999999999999999", .outOfRange, "0..255"),
      ("gain", "15", .invalidArgument, "step 10"), ("gain_automatic", "2", .invalidArgument, "0 or 1"),
      ("test_pattern", "Off", .invalidArgument, "3=Off"), ("test_pattern", "1", .outOfRange, "2=Bars"),
      ("test_pattern", "bars", .invalidArgument, "2=Bars"), ("steps", "3", .outOfRange, "1 1 2 30"),
      ("mask", "0x100", .outOfRange, "0x800000ff"), ("mask", "0xg", .invalidArgument, "hexadecimal"),
      ("serial", "abc", .outOfRange, "2..8 bytes"), ("serial", "a", .outOfRange, "2..8 bytes"),
      ("press", "2", .invalidArgument, "write 1"), ("temperature", "3", .permissionDenied, "the device"),
      ("area", "1", .notSupported, "v4l2-ctl"),
    ]
    for (name, text, errno, hint) in cases {
      let refusal = #expect(throws: Refusal.self) { try write(source, name, text) }
      #expect(refusal?.errno == errno, "\(name) \(text)")
      #expect(refusal?.hint.contains(hint) == true, "\(name) \(text): \(refusal?.hint ?? "")")
      #expect(refusal?.value == Array(text.utf8))
    }
    #expect(camera.with { $0.controls?.journal } == [])
  }

  @Test func theReadbackIsWhatTheDriverMadeOfIt() throws {
    let source = try open()
    camera.with { $0.controls?.clampsBrightness = 200 }
    let made = try source.controls?.set("brightness", .number(255))
    #expect(made == .number(200))
    #expect(text(source, "brightness") == "200")
  }

  @Test func theDriversRefusalIsHandedOn() throws {
    let source = try open()
    camera.with { $0.controls?.isGrabbed = true }
    let failure = #expect(throws: Failure.self) { try write(source, "brightness", "1") }
    #expect(failure?.errno == .resourceBusy)
    #expect(failure?.operation == "VIDIOC_S_EXT_CTRLS Brightness")
    #expect(text(source, "brightness") == "128")
  }

  @Test func readingAsksTheDeviceNothing() throws {
    let source = try open()
    _ = try source.next()
    let before = camera.with { $0.controls?.reads }
    for _ in 0..<100 {
      for control in source.controls?.controls ?? [] { _ = text(source, control.name) }
    }
    #expect(camera.with { $0.controls?.reads } == before)
  }

  /// What nobody tells of is read once a second at most: so often at most since then.
  private func looks(since begin: Int64) -> Int { Int((Clock.now() - begin) / .seconds(1)) }

  @Test func changesOfOtherProgramsArriveWithTheDriversEvent() throws {
    let begin = Clock.now()
    let source = try open()
    _ = try source.next()
    let reads = camera.with { $0.controls?.reads ?? 0 }
    camera.with { $0.controls?.change(FakeControls.brightness, 33) }
    camera.with { $0.controls?.change(FakeControls.pattern, 0) }
    _ = try source.next()
    #expect(text(source, "brightness") == "33")
    #expect(text(source, "test_pattern") == "0")
    // Each look is at the one that changes by itself.
    let more = camera.with { $0.controls?.reads ?? 0 } - reads
    #expect(more <= looks(since: begin))
  }

  @Test func whatAnotherControlMakesActiveShows() throws {
    let source = try open()
    #expect(source.controls?.control("gain")?.isInactive == true)
    try write(source, "gain_automatic", "0")
    _ = try source.next()
    #expect(source.controls?.control("gain")?.isInactive == false)
  }

  @Test func whatNoEventTellsIsLookedAt() throws {
    camera.with {
      $0.controls = FakeControls()
      $0.controls?.hasEvents = false
    }
    let source = try open()
    camera.with { $0.controls?.change(FakeControls.brightness, 44) }
    camera.with { $0.controls?.change(FakeControls.temperature, 55) }
    let (begin, before) = (Clock.now(), camera.with { $0.controls?.reads ?? 0 })
    _ = try source.next()
    #expect(text(source, "brightness") == "44")
    #expect(text(source, "temperature") == "55")
    // Not at every picture.
    let reads = camera.with { $0.controls?.reads ?? 0 }
    for _ in 0..<20 { _ = try source.next() }
    let more = camera.with { $0.controls?.reads ?? 0 } - reads
    #expect(more <= (reads - before) * looks(since: begin))
  }

  @Test func whatWasSetIsSetAgainWhenTheDeviceComesBack() throws {
    let source = try open(["exposure_time_absolute": "300"])
    try write(source, "gain_automatic", "0")
    try write(source, "gain", "70")
    try write(source, "press", "1")
    _ = try source.next()
    camera.with {
      $0.isPresent = false
      // It comes back as it came from the factory, without one of its controls.
      $0.controls = FakeControls()
      $0.controls?.list.removeAll { $0.id == FakeControls.exposure }
    }
    #expect(throws: Failure.self) { _ = try source.next() }
    let away = #expect(throws: Failure.self) { try write(source, "brightness", "1") }
    #expect(away?.errno == Errno(rawValue: 19))
    #expect(text(source, "gain") == "70")
    _ = try source.next()
    // Switches first: they decide what is active.
    #expect(camera.with { $0.controls?.journal } == ["Gain, Automatic=0", "Gain=70"])
    #expect(text(source, "gain") == "70")
    #expect(
      source.controls?.takeProblems() == [
        ControlProblem(
          name: "exposure_time_absolute", text: "300", errno: .noSuchFileOrDirectory,
          reason: "Fake has no such control")
      ])
    #expect(source.controls?.takeProblems() == [])
    #expect(source.controls?.control("exposure_time_absolute") == nil)
  }

  @Test func whatIsForgottenIsNot() throws {
    let source = try open()
    try write(source, "brightness", "9")
    source.controls?.forget("brightness")
    camera.with {
      $0.isPresent = false
      $0.controls = FakeControls()
    }
    #expect(throws: Failure.self) { _ = try source.next() }
    _ = try source.next()
    #expect(text(source, "brightness") == "128")
  }

  @Test func whatWasAskedIsSetBeforeTheFirstPicture() throws {
    camera.with {
      $0.controls = FakeControls()
      $0.controls?.clampsBrightness = 200
    }
    let source = try open(["brightness": "250", "test_pattern": "Bars", "gain": "15", "nonsense": "1"])
    #expect(camera.with { $0.controls?.journal } == ["Test Pattern=2", "Brightness=200"])
    let problems = source.controls?.takeProblems() ?? []
    #expect(problems.map(\.name) == ["brightness", "gain", "nonsense"])
    #expect(problems.map(\.errno.rawValue) == [0, 22, 2])
  }

  @Test func aDeviceWithoutControlsHasNone() throws {
    let source = try V4L2CaptureSource(
      "/dev/video0",
      SourceRequest(
        width: 640, height: 360, format: .nv12, frameRate: .thirty, allocator: MemfdAllocator(), user: .anonymous,
        poolName: "vi0", bufferCount: 3),
      kernel: camera)
    #expect(source.controls?.controls == [])
  }
}
