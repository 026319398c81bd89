// SPDX-License-Identifier: Apache-2.0
import Devices
import Foundation
import Glibc
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Engines that come and go while channels run.
@Suite(.ownThread) struct GraphDeviceTests {
  /// A vi/0 -> venc/0 with a device that codes and software that does too.
  private final class Machine {
    let device = ScriptedEncoderFactory(name: "/dev/video9", isHardware: true)
    let software = ScriptedEncoderFactory(name: "software engine")
    let source = ScriptedSourceFactory()
    let registry: EngineRegistry
    let graph: MediaGraph
    var objects: [(any ModuleObject, ObjectSettings)] = []

    init() throws {
      registry = EngineRegistry(EngineCatalogue(encoders: [device, software], sources: [source]))
      graph = try MediaGraph(
        registry: registry, allocator: MemfdAllocator(), options: GraphOptions(workers: 2).patient)
    }

    func plug(_ isThere: Bool) {
      registry.replace(
        EngineCatalogue(encoders: isThere ? [device, software] : [software], sources: [source]))
    }

    func make(_ text: String, _ values: [String: SettingValue]) throws {
      let settings = ObjectSettings(values)
      objects.append((try graph.make(ObjectPath(text)!, settings: settings), settings))
    }

    func run(backend: String) throws {
      try make("vi/0", ["input": .text("pattern")])
      try make("venc/0", ["codec": .text("h264"), "gop": .integer(10), "backend": .text(backend)])
      graph.bind(receiver: ObjectPath("venc/0")!, source: ObjectPath("vi/0")!)
      try objects[1].0.start()
      try objects[0].0.start()
    }

    var channel: VencChannel? { graph.object(ObjectPath("venc/0")!) as? VencChannel }

    func finish() {
      for (object, _) in objects { object.stop() }
      for (object, _) in objects.reversed() { object.retire() }
      graph.close()
    }
  }

  @Test func aChannelWhoseDeviceGoesAwayGoesOverToSoftwareAndSaysSo() throws {
    let machine = try Machine()
    defer { machine.finish() }
    try machine.run(backend: "auto")
    let channel = try #require(machine.channel)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(channel.used?.factory.name == "/dev/video9")
    // Nothing takes its place before it is gone, however late that is looked at.
    machine.software.script.fails.close()
    machine.device.script.fails.close()
    #expect(eventually { channel.hasFailed })
    machine.plug(false)
    machine.software.script.fails.open()
    #expect(eventually { machine.software.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(eventually { !channel.hasFailed })
    #expect(channel.used?.factory.name == "software engine")
    #expect(channel.activeFacts().contains { $0.value == "auto: no device here encodes this" })
  }

  @Test func whereTheDeviceRefusesSoftwareTakesItsPlaceUntilTheDeviceIsReadyAgain() throws {
    let machine = try Machine()
    defer { machine.finish() }
    machine.device.script.fails.close()
    try machine.run(backend: "auto")
    let channel = try #require(machine.channel)
    #expect(eventually { machine.software.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(!channel.hasFailed)
    let why = channel.activeFacts().first { $0.key == "backend_why" }?.value
    #expect(why == "auto: /dev/video9: \(Failure(.ioError, "open", on: "fake"))")
    // It is asked again after a while, although nothing was plugged in.
    machine.device.script.fails.open()
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(channel.used?.factory.name == "/dev/video9")
    #expect(channel.activeFacts().contains { $0.key == "backend_why" && $0.value == "auto: a device is there" })
    // No frame was lost over it, but those that came faster than they were coded on a busy machine.
    machine.objects[0].0.stop()
    #expect(eventually { channel.node.figures().inFlight == 0 })
    let figures = channel.node.figures()
    #expect(figures.work.dropped.total == 0)
    #expect(figures.input.frames == figures.output.frames + figures.input.dropped[.queueFull])
    #expect(machine.software.script.opened.load(ordering: .relaxed) == 1)
  }

  @Test func aDeviceThatOpensAndGivesNoPictureIsGivenUpUntilDevicesComeOrGo() throws {
    let machine = try Machine()
    defer { machine.finish() }
    machine.device.script.failsToEncode.close()
    try machine.run(backend: "auto")
    let channel = try #require(machine.channel)
    #expect(eventually { machine.software.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(eventually { !channel.hasFailed })
    #expect(channel.activeFacts().contains { $0.key == "backend_why" && $0.value.contains("/dev/video9: ") })
    #expect(machine.device.script.opened.load(ordering: .relaxed) == 1)
    #expect(channel.node.figures().work.dropped[.deviceError] == UInt64(VencChannel.patience))
    machine.device.script.failsToEncode.open()
    machine.plug(true)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(machine.device.script.opened.load(ordering: .relaxed) == 2)
  }

  @Test func aChannelThatWentOverComesBackWhenItsDeviceIsPluggedInAgain() throws {
    let machine = try Machine()
    defer { machine.finish() }
    machine.plug(false)
    try machine.run(backend: "auto")
    #expect(eventually { machine.software.script.encoded.load(ordering: .relaxed) > 3 })
    machine.plug(true)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    // With `software` it would not have been asked.
    #expect(machine.channel?.used?.factory.isHardware == true)
    #expect(eventually { machine.graph.sessionFigures().map(\.service) == ["vi0", "/dev/video9"] })
  }

  @Test func aChannelWhoseDeviceIsOutOfWorkGoesOverToSoftwareUntilItIsBackInWork() throws {
    let machine = try Machine()
    defer { machine.finish() }
    try machine.run(backend: "auto")
    let channel = try #require(machine.channel)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    try machine.graph.set(.disabled, of: "/dev/video9", to: 1, path: "disable_work")
    #expect(eventually { machine.software.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(channel.used?.factory.name == "software engine" && !channel.hasFailed)
    #expect(eventually { machine.graph.objectState(channel.path)?.condition == .running })
    let before = machine.device.script.encoded.load(ordering: .relaxed)
    let coded = channel.node.figures().output.frames
    #expect(eventually { channel.node.figures().output.frames > coded + 5 })
    #expect(machine.device.script.encoded.load(ordering: .relaxed) == before, "it gets no further work")
    try machine.graph.set(.disabled, of: "/dev/video9", to: 0, path: "disable_work")
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > before })
    #expect(eventually { channel.used?.factory.name == "/dev/video9" })
  }

  @Test func aChannelThatNamesItsDeviceWaitsForItToBeBackInWork() throws {
    let machine = try Machine()
    defer { machine.finish() }
    try machine.run(backend: "/dev/video9")
    let channel = try #require(machine.channel)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    try machine.graph.set(.disabled, of: "/dev/video9", to: 1, path: "disable_work")
    #expect(
      machine.graph.objectState(channel.path)?.condition
        == .waiting(for: "service video9, out of work by disable_work"))
    try machine.graph.set(.disabled, of: "/dev/video9", to: 0, path: "disable_work")
    let before = machine.device.script.encoded.load(ordering: .relaxed)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > before + 3 })
    #expect(machine.software.script.opened.load(ordering: .relaxed) == 0)
  }

  @Test func whatIsConvertedForAnEncoderIsConvertedByAnotherWhileTheDeviceIsOutOfWork() throws {
    let device = ScriptedScalerFactory(name: "/dev/video8", isHardware: true)
    let bench = try Bench(encoder: ScriptedEncoderFactory(formats: [.nv12]), moreScalers: [device])
    defer { bench.finish() }
    try bench.make("vi/0", ["input": .text("pattern")])
    try bench.make("venc/0", ["codec": .text("h264")])
    bench.bind("venc/0", "vi/0")
    try bench.start("venc/0", "vi/0")
    #expect(eventually { device.script.calls.load(ordering: .relaxed) > 3 })
    try bench.graph.set(.disabled, of: "/dev/video8", to: 1, path: "disable_work")
    #expect(eventually { bench.scaler.script.calls.load(ordering: .relaxed) > 3 })
    #expect(eventually { bench.graph.objectState("venc/0")?.condition == .running })
    let before = device.script.calls.load(ordering: .relaxed)
    try bench.graph.set(.disabled, of: "/dev/video8", to: 0, path: "disable_work")
    #expect(eventually { device.script.calls.load(ordering: .relaxed) > before + 3 })
    bench.stop("vi/0", "venc/0")
  }

  @Test func aScalersOutputGoesToTheDeviceThatIsPluggedInWhileItRuns() throws {
    let software = ScriptedScalerFactory(name: "software scaler")
    let device = ScriptedScalerFactory(name: "/dev/video8", isHardware: true)
    let source = ScriptedSourceFactory()
    let registry = EngineRegistry(EngineCatalogue(scalers: [software], sources: [source]))
    let graph = try MediaGraph(
      registry: registry, allocator: MemfdAllocator(), options: GraphOptions(workers: 2).patient)
    defer { graph.close() }
    var objects: [any ModuleObject] = []
    for (path, values) in [
      ("vi/0", ["input": .text("pattern")]), ("vpss/0", [:]),
      ("vpss/0/0", ["width": .integer(32), "height": .integer(32), "format": .text("i420")]),
    ] as [(String, [String: SettingValue])] {
      objects.append(try graph.make(ObjectPath(path)!, settings: ObjectSettings(values)))
    }
    graph.bind(receiver: ObjectPath("vpss/0")!, source: ObjectPath("vi/0")!)
    for object in objects.reversed() { try object.start() }
    #expect(eventually { software.script.calls.load(ordering: .relaxed) > 3 })
    registry.replace(EngineCatalogue(scalers: [software, device], sources: [source]))
    #expect(eventually { device.script.calls.load(ordering: .relaxed) > 3 })
    let facts = graph.object(ObjectPath("vpss/0/0")!)?.activeFacts() ?? []
    #expect(facts.first { $0.key == "backend" }?.value == "/dev/video8")
    // Pictures that were on their way lie in the same pool as before.
    #expect(graph.allocations().pools.filter { $0.bufferSize < 64 * 48 }.count == 1)
    for object in objects { object.stop() }
    for object in objects.reversed() { object.retire() }
  }

  @Test func aChannelThatNamesItsDeviceWaitsForItAndCanBeStoppedMeanwhile() throws {
    let machine = try Machine()
    defer { machine.finish() }
    try machine.run(backend: "/dev/video9")
    let channel = try #require(machine.channel)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > 3 })
    machine.device.script.fails.close()
    machine.plug(false)
    #expect(eventually { channel.hasFailed })
    #expect(machine.software.script.opened.load(ordering: .relaxed) == 0)
    // What does not ask the device is taken; what does says that it is not there.
    var settings = machine.objects[1].1
    settings["gop"] = .integer(5)
    try channel.check(settings, changed: ["gop"], running: true)
    settings["backend"] = .text("/dev/video9")
    let refusal = #expect(throws: Refusal.self) {
      try channel.check(settings, changed: ["backend"], running: false)
    }
    #expect(refusal?.errno == .operationNotSupportedByDevice)
    machine.device.script.fails.open()
    machine.plug(true)
    let before = machine.device.script.encoded.load(ordering: .relaxed)
    #expect(eventually { machine.device.script.encoded.load(ordering: .relaxed) > before + 3 })
    #expect(eventually { !channel.hasFailed })
  }
}
