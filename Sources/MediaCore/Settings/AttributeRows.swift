// SPDX-License-Identifier: Apache-2.0

/// The rows of the settings table, one function for each kind of object. The order of the rows is the order of `help`
/// and `config`; `source` and `enable` come last so that a configuration read from the top starts things only when all
/// else is set.
///
/// Units and ranges follow the RK_MPI headers where they have the same setting (`RK_MPI_VENC` limits: gop 1...65536,
/// bitrate 2...200000 kbps, quality 1...99 with 70 as default).
enum AttributeRows {
  /// Largest width and height in pixels: what ``FrameLayout`` can lay out.
  static let largestSide = 16384

  static func rows(_ type: ObjectType, _ catalogue: EngineCatalogue) -> [Attribute] {
    switch type {
    case .input: input(catalogue)
    case .scaler: scaler(catalogue)
    case .scalerOutput: scalerOutput(catalogue)
    case .encoder: encoder(catalogue)
    case .decoder: catalogue.decoders.isEmpty ? [] : decoder(catalogue)
    case .display: display(catalogue)
    case .region, .pool: []
    }
  }

  // MARK: kinds of object

  private static func input(_ catalogue: EngineCatalogue) -> [Attribute] {
    var rows = [
      Attribute(
        "input", .input, default: .text("pattern"), .restart,
        "where pictures come from: the test pattern, a media file (looped, in real time) or a capture device"),
      ownSide("width", "width of the pictures given; auto takes the input's own"),
      ownSide("height", "height of the pictures given; auto takes the input's own"),
      format(catalogue.inputFormats, "format of the pictures given; auto takes what the encoders here take as it is"),
      Attribute(
        "fps", .rate(1...240), default: .rate(.thirty), unit: "frames/s", .restart,
        "frame rate asked of the input; a file keeps its own"),
    ]
    if let device = InputSpecification("/dev/video0"), catalogue.sources.contains(where: { $0.handles(device) }) {
      rows.append(
        Attribute(
          "memory", .choice(["auto", "mmap", "dmabuf"]), default: .text("auto"), .restart,
          "whose memory a capture device fills: its own (mmap) or the allocator's (dmabuf)",
          useless: { isDevice($0) ? nil : "only a capture device has a choice of memory" }))
      rows.append(
        Attribute(
          "device_format", .deviceFormat, default: .text("auto"), .restart,
          "what a capture device itself gives, as v4l2-ctl names it; auto takes what reaches size and fps at least cost",
          useless: { isDevice($0) ? nil : "only a capture device has formats of its own" }))
    }
    rows.append(enable("takes pictures from the input"))
    return rows + common + [snapshot]
  }

  private static func scaler(_ catalogue: EngineCatalogue) -> [Attribute] {
    [
      Attribute(
        "crop", .rectangle(limit: largestSide), default: .none, unit: "pixels", .live,
        "part of the incoming picture that is used, as x,y,w,h; empty for all of it"),
      backend(catalogue.scalers.map { ($0.name, $0.isHardware) }, "engine that scales; auto prefers hardware"),
      source([.input, .scalerOutput, .decoder]),
      enable("passes pictures on to its outputs"),
    ] + common
  }

  private static func scalerOutput(_ catalogue: EngineCatalogue) -> [Attribute] {
    [
      side("width", 1280, .restart, "width of the picture made, before rotation"),
      side("height", 720, .restart, "height of the picture made, before rotation"),
      format(catalogue.outputFormats, "format of the picture made; auto takes what the encoders here take as it is"),
      Attribute(
        "fps", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
        "pictures a second kept of those that come; -1 keeps all"),
      Attribute(
        "rotation", .integer(0...270, step: 90), default: .integer(0), unit: "degrees", .restart,
        "turns the picture clockwise"),
      Attribute("mirror", .boolean, default: .boolean(false), .live, "exchanges left and right"),
      Attribute("flip", .boolean, default: .boolean(false), .live, "exchanges top and bottom"),
      enable("makes pictures"),
    ] + common + [snapshot]
  }

  private static func decoder(_ catalogue: EngineCatalogue) -> [Attribute] {
    let codecs = catalogue.decodableCodecs.map(\.rawValue)
    return [
      Attribute(
        "codec", .choice(["auto"] + codecs, elsewhere: names(Codec.allCases.map(\.rawValue), but: codecs)),
        default: .text("auto"), .restart, "coding of the input; auto finds it in the file or in the first bytes fed"),
      Attribute(
        "input", .codedInput, default: .text("feed"), .restart,
        "where coded bytes come from: what is written to feed, or a file"),
      Attribute(
        "loop", .boolean, default: .boolean(true), .live, "1: a file is played over and over; 0: once"),
      Attribute(
        "pace", .choice(["auto", "realtime", "none"]), default: .text("auto"), .restart,
        "realtime gives pictures by their times; none as fast as receivers take them; auto is realtime, but a fed stream "
          + "that states no rate and comes steadily faster than fps is followed"),
      Attribute(
        "fps", .rate(1...240), default: .rate(.thirty), unit: "frames/s", .restart,
        "rate of a stream that has no times and states none"),
      backend(
        catalogue.decoders.map { ($0.name, $0.isHardware) }, "engine that decodes; auto prefers hardware",
        elsewhere: ["ffmpeg", "openh264", "turbojpeg"]),
      enable("decodes what comes"),
    ] + common + [
      Attribute(
        "feed", .sink,
        "takes the bytes of an elementary stream (h264, h265, mjpeg, fwht, vp8 as IVF): cat a.h264 > feed"),
      snapshot,
    ]
  }

  // MARK: rows several kinds share

  static let common = [
    Attribute("state", .info, "stopped, running, starved, or failed: why"),
    Attribute("active", .info, "what is really in use, and why where it differs from what was asked"),
    Attribute("stats", .info, "frames in, out and dropped by cause; queue; times; bytes copied"),
  ]

  static let snapshot = Attribute("snapshot.jpg", .picture, "the last picture as a JPEG file")

  private static func side(
    _ key: String, _ value: Int, _ change: Attribute.Change, _ summary: String
  ) -> Attribute {
    Attribute(
      key, .integer(16...largestSide, step: 2), default: .integer(value), unit: "pixels", change, summary)
  }

  /// A size the input may choose itself: a file that is scaled to what nobody asked for costs time and sharpness.
  private static func ownSide(_ key: String, _ summary: String) -> Attribute {
    Attribute(
      key, .integer(16...largestSide, step: 2, off: "auto"), default: .none, unit: "pixels", .restart, summary)
  }

  private static func format(_ formats: [PixelFormat], _ summary: String) -> Attribute {
    let choices = ["auto"] + formats.map(\.description)
    return Attribute(
      "format", .choice(choices, elsewhere: names(PixelFormat.named.map(\.name), but: choices)),
      default: .text("auto"), .restart, summary)
  }

  static func backend(
    _ engines: [(name: String, isHardware: Bool)], _ summary: String, elsewhere: [String] = []
  ) -> Attribute {
    let choices = EngineCatalogue.backends(engines)
    return Attribute(
      "backend", .choice(choices, elsewhere: names(elsewhere + ["software"], but: choices), devices: true),
      default: .text("auto"), .restart, summary)
  }

  static func source(_ types: [ObjectType], effect: EffectRule? = nil) -> Attribute {
    Attribute(
      "source", .source(types), default: .none, .live, effect: effect,
      "object the frames come from; empty unbinds")
  }

  static func enable(_ what: String, effect: EffectRule? = nil) -> Attribute {
    Attribute("enable", .boolean, default: .boolean(false), .live, effect: effect, "1: \(what); 0: stopped")
  }

  static func isDevice(_ settings: ObjectSettings) -> Bool {
    guard case .device? = settings.text("input").flatMap({ InputSpecification($0) }) else { return false }
    return true
  }

  static func unique(_ names: [String]) -> [String] {
    var found: [String] = []
    for name in names where !found.contains(name) { found.append(name) }
    return found
  }

  static func names(_ all: [String], but here: [String]) -> [String] { all.filter { !here.contains($0) } }
}
