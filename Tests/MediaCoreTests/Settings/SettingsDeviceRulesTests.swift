// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage
import Testing

/// What a device without a rate control means for the settings of a channel.
@Suite struct SettingsDeviceRulesTests {
  private struct Device: EncoderFactory {
    var name = "/dev/video11"
    var codecs: [Codec] = [.fwht]
    var isHardware: Bool { true }
    var priority: Int { 0 }
    func capabilities(for codec: Codec) -> EncoderCapabilities { [.noBitrate, .liveGOP] }
    func profiles(for codec: Codec) -> [String] { [] }
    func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
    func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
      throw Failure(.notSupported, "open", on: name)
    }
  }

  private let venc = ObjectPath(.venc, 0)
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

  @Test(arguments: [("rc_mode", SettingValue.text("cbr")), ("bitrate", .integer(4000)), ("backend", .text("software"))])
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
