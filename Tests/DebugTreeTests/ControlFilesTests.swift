// SPDX-License-Identifier: Apache-2.0
import Devices
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage
import TestSupport
import Testing

@testable import DebugTree

/// `vi/N/controls` over a camera that only has controls.
@Suite(.ownThread(limit: .seconds(300))) struct ControlFilesTests {
  private let camera = ControlledCamera()
  private let logs = RuntimeLogs()
  private let runtime: Runtime
  private let graph: MediaGraph
  private let debug: DebugTree

  init() throws {
    let catalogue = EngineCatalogue(sources: [camera])
    graph = try MediaGraph(engines: catalogue, allocator: MemfdAllocator(), listener: logs)
    runtime = try Runtime(catalogue: catalogue, graph: graph, logs: logs)
    debug = try DebugTree(
      runtime: runtime, graph: graph, pages: PageTable(.rockit1432),
      identity: SystemIdentity(
        program: "mpifs", version: "0", commit: "0", buildAuthor: "",
        buildTime: CivilTime(year: 2000, month: 1, day: 1),
        kernel: "", processID: 1),
      startedMonotonicMicroseconds: 0)
  }

  private func apply(_ changes: Change...) async -> MediaCore.Refusal? {
    await withCheckedContinuation { done in runtime.apply(changes) { done.resume(returning: $0) } }
  }

  private func load(_ text: String) async -> MediaCore.Refusal? {
    await withCheckedContinuation { done in runtime.loadConfig(Array(text.utf8)) { done.resume(returning: $0) } }
  }

  private let vi = ObjectPath("vi/0")!

  private func start(_ controls: String = "") async -> MediaCore.Refusal? {
    await load("vi/0/input = /dev/video0\n\(controls)vi/0/enable = 1\n")
  }

  private func set(_ name: String, _ text: String) async -> MediaCore.Refusal? {
    await apply(.set(vi, "controls/\(name)", text))
  }

  private var files: [String]? {
    ["vi", "0", "controls"].reduce(debug.tree.root as Directory?) { $0?[$1] as? Directory }?.names
  }

  private var configured: [String] {
    String(decoding: runtime.configText(), as: UTF8.self).split(separator: "\n").map(String.init).filter {
      $0.contains("/controls/")
    }
  }

  private var lastRefusal: RefusalRecord? { logs.errors.records.last }

  @Test func theDirectoryIsThereWhileTheDeviceIsOpen() async throws {
    #expect(await start() == nil)
    #expect(files == ["help", "brightness", "power", "press", "temperature"])
    #expect(await apply(.set(vi, "enable", "0")) == nil)
    #expect(files == nil)
    #expect(await apply(.set(vi, "enable", "1")) == nil)
    #expect(files == ["help", "brightness", "power", "press", "temperature"])
    #expect(await apply(.set(vi, "enable", "0"), .set(vi, "input", "pattern")) == nil)
    #expect(await apply(.set(vi, "enable", "1")) == nil)
    #expect(files == nil)
  }

  @Test func aDeviceThatComesBackWithOtherControlsShowsThose() async throws {
    #expect(await start() == nil)
    camera.state.withLock { state in
      state.controls.removeAll { $0.name == "power" }
      state.controls.append(DeviceControl(name: "zoom", title: "Zoom", kind: .integer, maximum: 9))
      // Read-only from now on: another kind of file.
      state.controls[0].isReadOnly = true
    }
    debug.followControls(of: vi)
    #expect(files.map(Set.init) == ["help", "brightness", "press", "temperature", "zoom"])
  }

  @Test func whatIsWrittenReachesTheDeviceAndTheConfiguration() async throws {
    #expect(await start() == nil)
    _ = camera.take()
    #expect(await set("power", "0\n") == nil)
    #expect(await set("brightness", "7\n") == nil)
    #expect(await apply(.command(vi, "controls/press", Array("1\n".utf8))) == nil)
    #expect(camera.take() == ["set power Off", "set brightness 7", "set press 1"])
    #expect(configured == ["vi/0/controls/brightness = 7", "vi/0/controls/power = Off"])
    // The same again is another command: somebody else may have changed it meanwhile.
    #expect(await set("brightness", "7") == nil)
    #expect(camera.take() == ["set brightness 7"])
    // Nothing gives it up.
    #expect(await set("brightness", "\n") == nil)
    #expect(camera.take() == ["set brightness 128"])
    #expect(configured == ["vi/0/controls/power = Off"])
    #expect(camera.state.withLock { $0.kept } == ["power"])
    #expect(logs.errors.records.isEmpty)
  }

  @Test func aRefusedValueChangesNothingAndSaysWhatWouldBeRight() async throws {
    #expect(await start() == nil)
    _ = camera.take()
    let cases: [(String, String, Errno, String)] = [
      ("brightness", "256", .outOfRange, "0..255"), ("power", "60 Hz", .invalidArgument, "1=50 Hz"),
      ("temperature", "1", .permissionDenied, ""), ("press", "1", .invalidArgument, "file"),
      ("zoom", "1", .noSuchFileOrDirectory, "controls/help"), ("area", "1", .notSupported, "v4l2-ctl"),
    ]
    for (name, text, errno, hint) in cases {
      let refusal = await set(name, text)
      #expect(refusal?.errno == errno, "\(name)")
      #expect(lastRefusal?.path == "vi/0/controls/\(name)")
      #expect(lastRefusal?.value == Array(text.utf8))
      if !hint.isEmpty { #expect(lastRefusal?.hint?.contains(hint) == true, "\(name): \(refusal?.hint ?? "")") }
    }
    #expect(camera.take() == [])
    camera.state.withLock { $0.refused = ["brightness"] }
    #expect(await set("brightness", "1")?.errno == .resourceBusy)
    #expect(lastRefusal?.reason.hasPrefix("VIDIOC_S_EXT_CTRLS brightness") == true)
    #expect(configured == [])
  }

  @Test func aSilentClampIsSaid() async throws {
    #expect(await start() == nil)
    camera.state.withLock { $0.clamp = 200 }
    #expect(await set("brightness", "255") == nil)
    #expect(lastRefusal?.errno == 0)
    #expect(lastRefusal?.reason == "taken, but the device made 200 of it")
    #expect(graph.controls(of: vi)?.value(of: "brightness") == .number(200))
    // What was asked is what a saved configuration asks for again.
    #expect(configured == ["vi/0/controls/brightness = 255"])
  }

  @Test func aChangeWithoutEffectIsSaid() async throws {
    #expect(await start() == nil)
    camera.state.withLock { $0.controls[0].isInactive = true }
    #expect(await set("brightness", "1") == nil)
    #expect(lastRefusal?.reason == "taken, but without effect now")
  }

  @Test func aSavedConfigurationBringsTheControlsBack() async throws {
    #expect(await start("vi/0/controls/brightness = 9\nvi/0/controls/power = Off\n") == nil)
    #expect(camera.take() == ["open brightness=9 power=Off"])
    let text = String(decoding: runtime.configText(), as: UTF8.self)
    #expect(text.contains("vi/0/controls/power = Off\nvi/0/enable = 1\n"))
    // Over the running channel they are set without stopping it.
    #expect(await load(text) == nil)
    #expect(camera.take() == ["set brightness 9", "set power Off"])
    #expect(await load("vi/0/enable = 0\n") == nil)
    #expect(await load("replace\n\(text)") == nil)
    #expect(camera.take() == ["open brightness=9 power=Off"])
  }

  @Test func whatTheDeviceDoesNotTakeAtTheStartIsLoggedAndTheRestRuns() async throws {
    camera.state.withLock {
      $0.problems = [ControlProblem(name: "zoom", text: "5", errno: .noSuchFileOrDirectory, reason: "none such")]
    }
    #expect(await start("vi/0/controls/zoom = 5\n") == nil)
    #expect(lastRefusal?.path == "vi/0/controls/zoom")
    #expect(lastRefusal?.value == Array("5".utf8))
    #expect(lastRefusal?.reason == "not set: none such")
    #expect(files != nil)
  }

  @Test func aTransactionSetsAllControlsOrNone() async throws {
    #expect(await start() == nil)
    _ = camera.take()
    camera.state.withLock { $0.refused = ["power"] }
    let refusal = await load("vi/0/controls/brightness = 5\nvi/0/controls/power = Off\n")
    #expect(refusal?.errno == .resourceBusy)
    #expect(refusal?.reason.hasPrefix("line 2: vi/0/controls/power: ") == true)
    #expect(camera.take() == ["set brightness 5", "set power Off", "set brightness 128"])
    #expect(configured == [])
    #expect(await load("vi/0/controls/brightness = 5\nvi/0/controls/brightness = 6\n")?.errno == .invalidArgument)
  }

  @Test func anotherInputStartsWithoutTheControlsOfTheOneBefore() async throws {
    #expect(await start("vi/0/controls/brightness = 9\n") == nil)
    #expect(await load("vi/0/input = /dev/video2\nvi/0/controls/power = Off\nvi/0/enable = 1\n") == nil)
    #expect(camera.take() == ["open brightness=9", "open power=Off"])
    #expect(configured == ["vi/0/controls/power = Off"])
    let refusal = await load("vi/0/input = pattern\nvi/0/controls/power = Off\nvi/0/enable = 1\n")
    #expect(refusal?.errno == .notSupported)
    #expect(configured == ["vi/0/controls/power = Off"])
    #expect(await load("vi/0/input = pattern\nvi/0/enable = 1\n") == nil)
    #expect(configured == [])
  }

  @Test func onlyInputsHaveControls() async throws {
    let refusal = await load("vpss/0/controls/brightness = 1\n")
    #expect(refusal?.errno == .noSuchFileOrDirectory)
    #expect(await load("vi/0/controls/ = 1\n")?.errno == .noSuchFileOrDirectory)
    #expect(await load("vi/0/controls/a/b = 1\n")?.errno == .noSuchFileOrDirectory)
  }
}
