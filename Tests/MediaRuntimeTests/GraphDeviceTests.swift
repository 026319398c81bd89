// SPDX-License-Identifier: Apache-2.0
import Devices
import Foundation
import Glibc
import MediaCore
import SystemPackage
import Testing

@testable import MediaRuntime

/// Engines that come and go while channels run.
@Suite struct GraphDeviceTests {
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
        registry: registry, allocator: MemfdAllocator(), options: GraphOptions(workers: 2))
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
    machine.device.script.fails.close()
    #expect(eventually { channel.hasFailed })
    machine.plug(false)
    #expect(eventually { machine.software.script.encoded.load(ordering: .relaxed) > 3 })
    #expect(eventually { !channel.hasFailed })
    #expect(channel.used?.factory.name == "software engine")
    #expect(channel.activeFacts().contains { $0.value == "auto: no device here encodes this" })
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
