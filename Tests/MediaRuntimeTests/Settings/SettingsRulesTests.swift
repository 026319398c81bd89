// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

private let table = SettingsTable(.listed)
private let venc = ObjectPath("venc", 0)!

private func change(
  _ old: ObjectSettings, _ written: [String: SettingValue], _ table: SettingsTable = table
) -> Result<ObjectSettings, Refusal> {
  Result { () throws(Refusal) in try table.settings(venc, from: old, writing: written) }
}

@Suite(.ownThread) struct SettingsRulesTests {
  let defaults = table.defaults(.encoder)

  @Test func aChangeOfCodingMovesWhatDependsOnIt() throws {
    var start = defaults
    start["gop"] = .integer(15)
    start["profile"] = .text("main")
    let new = try change(start, ["codec": .text("mjpeg")]).get()
    #expect(new.text("rc_mode") == "fixqp")
    // What means nothing for JPEG waits for the coding that it was meant for.
    #expect(new.integer("gop") == 15)
    #expect(new.text("profile") == "main")
    let back = try change(new, ["codec": .text("h264")]).get()
    #expect(back == start)
  }

  @Test(arguments: [
    ("gop", SettingValue.integer(15)), ("bitrate", .integer(4000)), ("profile", .text("main")),
  ])
  func whatMeansNothingForJPEGIsKept(key: String, value: SettingValue) throws {
    let jpeg = try change(defaults, ["codec": .text("mjpeg")]).get()
    let asked = try change(jpeg, [key: value]).get()
    #expect(asked[key] == value)
    #expect(try change(asked, ["codec": .text("h264")]).get()[key] == value)
  }

  @Test func qualityBelongsToJPEG() throws {
    #expect(try change(defaults, ["quality": .integer(50)]).get().integer("quality") == 50)
    #expect(try change(defaults, ["codec": .text("mjpeg"), "quality": .integer(50)]).get().integer("quality") == 50)
  }

  @Test func anEngineThatCannotIsRefusedAndOneThatCanIsNamed() {
    guard case .failure(let backend) = change(defaults, ["backend": .text("turbojpeg")]),
      case .failure(let profile) = change(defaults, ["profile": .text("high")]),
      case .failure(let codec) = change(defaults, ["backend": .text("x264")]).flatMap({
        change($0, ["codec": .text("mjpeg")])
      })
    else {
      Issue.record("taken")
      return
    }
    #expect(backend.errno == .notSupported && backend.path == "venc/0/backend")
    #expect(backend.hint.contains("openh264"))
    #expect(profile.errno == .notSupported && profile.hint.contains("x264"))
    #expect(codec.errno == .notSupported && codec.path == "venc/0/codec" && codec.hint.contains("turbojpeg"))
  }

  @Test func autoTakesHardwareFirstThenPriority() {
    var catalogue = EngineCatalogue.listed
    #expect(catalogue.encoder(backend: "auto", for: .h264)?.name == "openh264")
    catalogue.encoders.append(ListedEncoder(name: "/dev/video11", codecs: [.h264], isHardware: true))
    #expect(catalogue.encoder(backend: "auto", for: .h264)?.name == "/dev/video11")
    #expect(catalogue.encoder(backend: "software", for: .h264)?.name == "openh264")
    #expect(catalogue.encoder(backend: "x264", for: .mjpeg) == nil)
    let hardware = SettingsTable(catalogue)
    #expect(throws: Never.self) { try hardware.parse(venc, "backend", Array("/dev/video11".utf8)) }
  }

  @Test func frameControlCannotMakeFrames() throws {
    #expect(try change(defaults, ["fps_dst": .integer(10)]).get().integer("fps_dst") == 10)
    #expect(try change(defaults, ["fps_src": .integer(30), "fps_dst": .integer(30)]).get().integer("fps_src") == 30)
    guard case .failure(let refusal) = change(defaults, ["fps_src": .integer(30), "fps_dst": .integer(31)]) else {
      Issue.record("taken")
      return
    }
    #expect(refusal.errno == .outOfRange && refusal.hint == "at most 30")
    let limited = try change(defaults, ["fps_src": .integer(30), "fps_dst": .integer(20)]).get()
    guard case .failure(let source) = change(limited, ["fps_src": .integer(10)]) else {
      Issue.record("taken")
      return
    }
    #expect(source.path == "venc/0/fps_src")
  }

  @Test func onlyACaptureDeviceHasAChoiceOfMemory() throws {
    let path = ObjectPath("vi", 0)!
    let input = table.defaults(.input)
    #expect(table.attribute(.input, "memory")?.uselessness(input) == "only a capture device has a choice of memory")
    let device = try table.settings(
      path, from: input, writing: ["input": .text("/dev/video0"), "memory": .text("dmabuf")])
    #expect(device.text("memory") == "dmabuf")
    let pattern = try table.settings(path, from: device, writing: ["input": .text("pattern")])
    #expect(pattern.text("memory") == "dmabuf", "kept for the next device")
    #expect(table.attribute(.input, "memory")?.uselessness(device) == nil)
  }

  @Test func anAttributeNothingHereCanUseDoesNotExist() {
    var catalogue = EngineCatalogue.listed
    catalogue.encoders.removeAll { $0.codecs.contains(.mjpeg) }
    catalogue.sources = [ListedSource(takesDevices: false)]
    let streams = SettingsTable(catalogue)
    #expect(streams.attribute(.encoder, "quality") == nil && streams.attribute(.encoder, "gop") != nil)
    #expect(streams.attribute(.encoder, "rc_mode")?.type.range == "cbr")
    #expect(streams.attribute(.input, "memory") == nil && table.attribute(.input, "memory") != nil)
    var still = ListedEncoder(name: "turbojpeg", codecs: [.mjpeg])
    still.obeyed = [EngineSetting(.quality, live: true)]
    let pictures = SettingsTable(EngineCatalogue(encoders: [still]))
    #expect(pictures.settings(.encoder).map(\.key).allSatisfy { !["gop", "bitrate", "profile"].contains($0) })
    #expect(pictures.attribute(.encoder, "idr") == nil)
    #expect(pictures.defaults(.encoder).text("rc_mode") == "fixqp")
  }
}
