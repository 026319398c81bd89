// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// What a device without a rate control means for the settings of a channel.
@Suite(.ownThread) struct SettingsDeviceRulesTests {
  private struct Device: EncoderFactory {
    var name = "/dev/video11"
    var codecs: [Codec] = [.fwht]
    var isHardware: Bool { true }
    var priority: Int { 0 }
    var quantisers: ClosedRange<Int>? = 1...31
    func capabilities(for codec: Codec) -> EncoderCapabilities { [] }
    func settings(for codec: Codec) -> EngineSettings {
      let own = quantisers.map { [EngineSetting(.keyQP, live: true, $0), EngineSetting(.predictedQP, live: true, $0)] }
      return EngineSettings([EngineSetting(.gop, live: true)] + (own ?? []))
    }
    func profiles(for codec: Codec) -> [String] { [] }
    func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
    func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
      throw Failure(.notSupported, "open", on: name)
    }
  }

  private let venc = ObjectPath("venc", 0)
  private let table = SettingsTable(
    EngineCatalogue(encoders: [Device(), ListedEncoder(name: "openh264", codecs: [.h264])]))

  private func change(_ from: ObjectSettings, _ written: [String: SettingValue]) throws(Refusal) -> ObjectSettings {
    guard let venc else { return from }
    return try table.settings(venc, from: from, writing: written)
  }

  @Test func theCodingBringsItsRateControl() throws {
    let start = table.defaults(.encoder)
    #expect(start.text("codec") == "h264" && start.text("rc_mode") == "cbr")
    let fwht = try change(start, ["codec": .text("fwht")])
    #expect(fwht.text("rc_mode") == "fixqp")
    #expect(try change(fwht, ["codec": .text("h264")]).text("rc_mode") == "cbr")
    #expect(try change(fwht, ["gop": .integer(8)]).integer("gop") == 8)
  }

  @Test func quantisersGoWithAFixedRateControlAndWaitForIt() throws {
    let start = table.defaults(.encoder)
    #expect(try change(start, ["qp_i": .integer(10)]).integer("qp_i") == 10)
    let fwht = try change(start, ["codec": .text("fwht")])
    let set = try change(fwht, ["qp_i": .integer(10), "qp_p": .integer(12)])
    #expect(set.integer("qp_i") == 10 && set.integer("qp_p") == 12)
    #expect(try change(set, ["codec": .text("h264")]).integer("qp_i") == 10)
    #expect(table.attribute(.encoder, "qp_i")?.type.range == "auto or 1..31")
    let none = SettingsTable(EngineCatalogue(encoders: [Device(quantisers: nil)]))
    #expect(none.attribute(.encoder, "qp_i") == nil)
  }

  @Test func theSettingsOfAChannelWhoseDeviceIsGoneStayAsTheyWere() throws {
    let registry = EngineRegistry(table.catalogue)
    let path = try #require(venc)
    let set = try change(
      table.defaults(.encoder),
      ["codec": .text("fwht"), "backend": .text("/dev/video11"), "qp_i": .integer(10), "enable": .boolean(true)])
    registry.replace(EngineCatalogue(encoders: [ListedEncoder(name: "openh264", codecs: [.h264])]))
    let stopped = try registry.table.settings(path, from: set, writing: ["enable": .boolean(false)])
    #expect(stopped.text("rc_mode") == "fixqp" && stopped.integer("qp_i") == 10 && !stopped.flag("enable"))
    #expect(registry.table.text(.encoder, "backend", stopped) == "/dev/video11")
    // A new channel cannot have it, and one that had can have another.
    #expect(throws: Refusal.self) { try registry.table.parse(path, "backend", Array("/dev/video11".utf8)) }
    #expect(throws: Refusal.self) {
      try registry.table.settings(path, from: stopped, writing: ["codec": .text("fwht")])
    }
    let other = try registry.table.settings(
      path, from: stopped, writing: ["codec": .text("h264"), "backend": .text("auto")])
    #expect(other.text("rc_mode") == "cbr")
    registry.replace(table.catalogue)
    #expect(try registry.table.settings(path, from: stopped, writing: ["gop": .integer(9)]).integer("gop") == 9)
  }

  @Test func anEngineWithBothRateControlsKeepsTheOneThatWasChosen() throws {
    var both = ListedEncoder(name: "x264", codecs: [.h264])
    both.obeyed = [
      EngineSetting(.bitrate, live: true), EngineSetting(.keyQP, live: true), EngineSetting(.predictedQP, live: true),
    ]
    let table = SettingsTable(EngineCatalogue(encoders: [both, ListedEncoder(name: "turbojpeg", codecs: [.mjpeg])]))
    let path = try #require(venc)
    func change(_ from: ObjectSettings, _ written: [String: SettingValue]) throws -> ObjectSettings {
      try table.settings(path, from: from, writing: written)
    }
    let start = table.defaults(.encoder)
    #expect(start.text("rc_mode") == "cbr")
    let fixed = try change(start, ["rc_mode": .text("fixqp"), "qp_p": .integer(30)])
    #expect(try change(fixed, ["gop": .integer(9)]).text("rc_mode") == "fixqp")
    // What means nothing with a rate control is kept for the other one.
    #expect(try change(fixed, ["bitrate": .integer(4000)]).integer("bitrate") == 4000)
    #expect(try change(start, ["qp_p": .integer(30)]).integer("qp_p") == 30)
    #expect(try change(fixed, ["rc_mode": .text("cbr")]).integer("qp_p") == 30)
    // JPEG has only the one, which nobody chose: back with H.264 comes its usual one.
    let pictures = try change(start, ["codec": .text("mjpeg")])
    #expect(pictures.text("rc_mode") == "fixqp")
    #expect(try change(pictures, ["codec": .text("h264")]).text("rc_mode") == "cbr")
  }

  @Test(arguments: [("rc_mode", SettingValue.text("cbr")), ("backend", .text("software"))])
  func whatTheDeviceCannotIsRefusedWithAReason(key: String, value: SettingValue) throws {
    let fwht = try change(table.defaults(.encoder), ["codec": .text("fwht")])
    do throws(Refusal) {
      _ = try change(fwht, [key: value])
      Issue.record("\(key) was taken")
    } catch {
      #expect(error.errno == .notSupported)
      #expect(error.path == "venc/0/\(key)")
      #expect(!error.reason.isEmpty && !error.hint.isEmpty)
    }
  }
}
