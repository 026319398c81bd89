// SPDX-License-Identifier: Apache-2.0
import MediaCore

@testable import MediaRuntime

extension SettingsTable {
  /// With the modules that are built in.
  init(_ catalogue: EngineCatalogue) { self.init(catalogue, Modules.all) }
}

extension ObjectType {
  static let input = ObjectType("vi")
  static let encoder = ObjectType("venc")
}

/// An engine that is only listed, never opened.
struct ListedEncoder: EncoderFactory {
  var name: String
  var codecs: [Codec]
  var isHardware = false
  var priority = 0
  var listedProfiles: [String] = []
  var obeyed: EngineSettings = [EngineSetting(.bitrate, live: true), EngineSetting(.gop, live: true)]
  func capabilities(for codec: Codec) -> EncoderCapabilities { [] }
  func settings(for codec: Codec) -> EngineSettings { obeyed }
  func profiles(for codec: Codec) -> [String] { listedProfiles }
  func validate(_ configuration: EncoderConfiguration) throws(Failure) {}
  func open(_ configuration: EncoderConfiguration) throws(Failure) -> any Encoder {
    throw Failure(.notSupported, "open", on: name)
  }
}

struct ListedScaler: ScalerFactory {
  var name: String
  var isHardware = false
  func supports(from: PixelFormat, to: PixelFormat, transform: PictureTransform) -> Bool { true }
  func open() throws(Failure) -> any Scaler { throw Failure(.notSupported, "open", on: name) }
}

extension EngineCatalogue {
  static let listed = EngineCatalogue(
    encoders: [
      ListedEncoder(name: "x264", codecs: [.h264], priority: 1, listedProfiles: ["high", "main", "baseline"]),
      ListedEncoder(name: "openh264", codecs: [.h264], priority: 2, listedProfiles: ["baseline", "main"]),
      ListedEncoder(name: "turbojpeg", codecs: [.mjpeg]),
    ],
    scalers: [ListedScaler(name: "libyuv")], sources: [ListedSource()], display: ListedDisplay())
}

struct ListedDisplay: DisplayFactory {
  func open(_ configuration: DisplayConfiguration, listener: any DisplayListener) throws(Failure) -> any Display {
    throw Failure(.notSupported, "open", on: configuration.name)
  }
}

/// Takes whatever is in its list.
struct ListedSource: SourceFactory {
  var takesDevices = true
  func handles(_ input: InputSpecification) -> Bool {
    if case .device = input { return takesDevices }
    return true
  }
  func open(_ input: InputSpecification, _ request: SourceRequest) throws(Failure) -> any Source {
    throw Failure(.notSupported, "open", on: input.description)
  }
}

extension SettingsTable {
  /// What is asked of an object after a change.
  func settings(
    _ path: ObjectPath, from old: ObjectSettings, writing written: [String: SettingValue]
  ) throws(Refusal) -> ObjectSettings {
    try settings(path, from: old, used: old, writing: written).asked
  }
}
