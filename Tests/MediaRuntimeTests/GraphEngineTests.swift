// SPDX-License-Identifier: Apache-2.0
import Codecs
import Devices
import Foundation
import MediaCore
import Reports
import TestSupport
import Testing

@testable import MediaRuntime

/// The frame path over the real software engines.
@Suite(.ownThread) struct GraphEngineTests {
  private func graph(_ options: GraphOptions = GraphOptions(workers: 3)) throws -> MediaGraph {
    try MediaGraph(
      engines: EngineCatalogue(
        encoders: SoftwareCodecs.encoderFactories(), scalers: SoftwareCodecs.scalerFactories(),
        sources: SoftwareCodecs.sourceFactories(),
        picture: { () throws(Failure) in try SoftwareCodecs.pictureEncoder() }),
      allocator: MemfdAllocator(), options: options.patient)
  }

  private final class Objects {
    let graph: MediaGraph
    var all: [(path: ObjectPath, object: any ModuleObject, settings: ObjectSettings)] = []
    init(_ graph: MediaGraph) { self.graph = graph }

    func make(_ text: String, _ values: [String: SettingValue], source: String? = nil) throws {
      let path = ObjectPath(text)!
      let settings = ObjectSettings(values)
      all.append((path, try graph.make(path, settings: settings), settings))
      if let source { graph.bind(receiver: path, source: ObjectPath(source)!) }
    }
    func set(_ text: String, _ values: [String: SettingValue]) throws {
      let index = all.firstIndex { $0.path == ObjectPath(text)! }!
      var new = all[index].settings
      for (key, value) in values { new[key] = value }
      try all[index].object.check(new, changed: Set(values.keys), running: true)
      all[index].object.commit(new, changed: Set(values.keys))
      all[index].settings = new
    }
    func object(_ text: String) -> any ModuleObject { all.first { $0.path == ObjectPath(text)! }!.object }
    func finish() {
      for entry in all { entry.object.stop() }
      for entry in all.reversed() { entry.object.retire() }
      graph.close()
    }
  }

  @Test func aLivePipelineIsRetunedAndTheStreamShowsIt() throws {
    var options = GraphOptions(workers: 3)
    options.lossSeconds = 1
    let objects = Objects(try graph(options))
    let graph = objects.graph
    try objects.make(
      "vi/0",
      [
        "input": .text("pattern"), "width": .integer(640), "height": .integer(360), "format": .text("i420"),
        "fps": .rate(.thirty),
      ])
    try objects.make("vpss/0", [:], source: "vi/0")
    try objects.make(
      "vpss/0/0", ["width": .integer(320), "height": .integer(180), "format": .text("i420")])
    try objects.make(
      "venc/0",
      [
        "codec": .text("h264"), "profile": .text("auto"), "gop": .integer(30), "rc_mode": .text("cbr"),
        "bitrate": .integer(300), "backend": .text("openh264"),
      ], source: "vpss/0/0")
    try objects.make(
      "venc/1",
      [
        "codec": .text("mjpeg"), "rc_mode": .text("fixqp"), "quality": .integer(70), "fps_src": .integer(30),
        "fps_dst": .integer(10),
      ], source: "vpss/0/0")
    for (_, object, _) in objects.all.reversed() { try object.start() }
    func encoder(_ channel: Int) -> EncoderReport? {
      graph.encodersReport().channels.first { $0.channel == channel }
    }
    #expect(eventually { (encoder(0)?.attributes.sequence ?? 0) > 70 })
    let reader = try graph.openStream(ObjectPath("venc/0")!)
    let first = reader.read(max: 5).bytes
    #expect(first == [0, 0, 0, 1, 0x67], "starts with the parameter sets: \(first)")
    reader.close()

    let report = encoder(0)
    #expect(report?.attributes.width == 320)
    guard case .h264(let syntax) = report?.syntax else {
      Issue.record("an H.264 channel has H.264 syntax")
      return
    }
    #expect(syntax.profile == "high")
    #expect(syntax.cabac == true)
    #expect(report?.rateControl.run.startQP != nil, "read from the slice header")
    // Of the last full second: one in which the machine did something else has fewer.
    #expect(eventually { abs((encoder(0)?.attributes.measuredFrameRate ?? 0) - 30) < 6 })

    try objects.set("venc/0", ["bitrate": .integer(900), "gop": .integer(15)])
    try objects.set("venc/1", ["quality": .integer(35)])
    func verdict(_ path: String, _ key: String) -> EffectVerdict? {
      graph.effectRecords(of: path).last { $0.key == key }?.verdict
    }
    // What was looked for while the machine had other things to do was limited by frames that did not come: it is asked for once more.
    func hasEffect(_ key: String, _ value: SettingValue) throws -> Bool {
      try eventually {
        switch verdict("venc/0", key) {
        case .effective?: return true
        case .limited(.sourceRate)?:
          try objects.set("venc/0", [key: value])
          return false
        default: return false
        }
      }
    }
    #expect(eventually { verdict("venc/1", "quality") == .effective })
    #expect(eventually { verdict("venc/0", "gop") == .effective })
    #expect(try hasEffect("bitrate", .integer(900)), "\(graph.effectRecords(of: "venc/0"))")
    try objects.set("venc/0", ["fps_src": .integer(30), "fps_dst": .integer(15)])
    try objects.object("venc/0").perform("idr", argument: "")
    #expect(eventually { verdict("venc/0", "idr") == .effective })
    #expect(try hasEffect("fps_dst", .integer(15)), "\(graph.effectRecords(of: "venc/0"))")
    #expect(eventually { graph.health().verdict == .ok }, "\(graph.health().findings)")
    let states = graph.objectStates()
    #expect(states.first { $0.path == "venc/1" }?.statistics.dropped.frameControl ?? 0 > 0)
    objects.finish()
    #expect(eventually { graph.memoryTotals().totalBytes == 0 })
    #expect(graph.memoryTotals().peakBytes > 0)
  }

  @Test func aFormatTheEngineDoesNotTakeIsConvertedAndShown() throws {
    let objects = Objects(try graph())
    let graph = objects.graph
    try objects.make(
      "vi/0", ["input": .text("pattern"), "width": .integer(320), "height": .integer(180), "format": .text("nv12")])
    try objects.make(
      "venc/0", ["codec": .text("h264"), "backend": .text("openh264"), "rc_mode": .text("cbr")], source: "vi/0")
    for (_, object, _) in objects.all.reversed() { try object.start() }
    #expect(eventually { (graph.objectState("venc/0")?.statistics.framesOut ?? 0) > 5 })
    let state = graph.objectState("venc/0")
    #expect(state?.active.first { $0.key == "conversion" }?.value.hasPrefix("nv12 to i420") == true)
    #expect((state?.statistics.bytesCopied ?? 0) > 0)
    objects.finish()
  }
}
