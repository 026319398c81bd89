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

  private static func encoder(_ catalogue: EngineCatalogue) -> [Attribute] {
    let codecs = catalogue.codecs
    let hasPictures = codecs.contains(.mjpeg)
    let hasStreams = codecs.contains { $0 != .mjpeg }
    // Some engine leaves the size of its pictures to the quantiser, or can be told to.
    func some(_ ability: EncoderCapabilities) -> Bool {
      codecs.contains { codec in
        catalogue.encoders(for: codec).contains { $0.capabilities(for: codec).contains(ability) }
      }
    }
    let hasFixedQuantiser = some(.fixedQuantiser)
    let hasQuantiser = hasPictures || hasFixedQuantiser || some(.noBitrate)
    let profiles = codecs.flatMap { codec in catalogue.encoders(for: codec).flatMap { $0.profiles(for: codec) } }
    let rows =
      [
        Attribute(
          "codec",
          .choice(
            codecs.map(\.rawValue), elsewhere: names(Codec.allCases.map(\.rawValue), but: codecs.map(\.rawValue))),
          default: .text(codecs.first?.rawValue ?? ""), .restart, "coding of the stream"),
        Attribute(
          "profile",
          .choice(["auto"] + unique(profiles), elsewhere: names(["baseline", "main", "high"], but: profiles)),
          default: .text("auto"), .restart, "profile of the coding; auto takes the engine's usual one",
          useless: onlyPictures("profiles")),
        Attribute(
          "gop", .integer(1...65536), default: .integer(60), unit: "frames", .live, capability: .liveGOP,
          effect: .groups, "distance from one key frame to the next", useless: onlyPictures("groups")),
        Attribute(
          "rc_mode",
          .choice((hasStreams ? ["cbr"] : []) + (hasQuantiser ? ["fixqp"] : []), elsewhere: ["vbr", "avbr"]),
          default: .text("cbr"), .restart,
          "rate control: cbr holds bitrate, fixqp the quantisers qp_i and qp_p (mjpeg: quality)",
          dependentDefault: { .text(catalogue.usualRateMode($0)) }),
        Attribute(
          "bitrate", .integer(2...200_000), default: .integer(2000), unit: "kbps", .live, capability: .liveBitrate,
          effect: .bitrate, "rate of the stream (1000 bits a second)",
          useless: {
            isPictures($0)
              ? "mjpeg has no bitrate; its size follows quality"
              : catalogue.hasNoBitrate($0)
                ? "this engine holds no bitrate; its size follows the quantiser"
                : $0.text("rc_mode") == "fixqp" ? "fixqp holds no bitrate; its size follows qp_i and qp_p" : nil
          }),
        quantiser("qp_i", "key pictures", catalogue),
        quantiser("qp_p", "predicted pictures", catalogue),
        Attribute(
          "fps_src", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
          effect: .frameRate,
          "frame-rate control: rate that arrives; -1 takes the source's own"),
        Attribute(
          "fps_dst", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live, capability: .liveFrameRate,
          effect: .frameRate,
          "frame-rate control: rate that is coded, at most fps_src; -1 codes every frame"),
        Attribute(
          "quality", .integer(1...99), default: .integer(70), .live, capability: .liveQuality,
          effect: .nextPicture, "JPEG quality factor (mjpeg)",
          useless: {
            isPictures($0) ? nil : "\($0.text("codec") ?? "the codec") has no quality factor"
          }),
        backend(
          catalogue.encoders.map { ($0.name, $0.isHardware) }, "engine that codes; auto prefers hardware",
          elsewhere: ["openh264", "x264", "x265", "turbojpeg"]),
        source([.input, .scalerOutput, .decoder], effect: .nextPicture),
        enable("codes the frames that come", effect: .nextPicture),
        Attribute(
          "idr", .command, effect: .nextPicture, "write 1: the next frame becomes a key frame"),
      ] + common + [
        Attribute("stream", .stream, "the coded stream from its newest key frame; reading waits for more; not listed"),
        snapshot,
        Attribute("effect", .info, "the last 32 changes made while running and what the stream shows of them"),
      ]
    // What no coding of this build uses is no attribute at all.
    let absent =
      (hasStreams ? [] : ["profile", "gop", "bitrate", "idr"]) + (hasPictures ? [] : ["quality"])
      + (hasFixedQuantiser ? [] : ["qp_i", "qp_p"])
    return rows.filter { !absent.contains($0.key) }
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

  /// The range is that of all engines here; the one in use has its own, and says so.
  private static func quantiser(_ key: String, _ pictures: String, _ catalogue: EngineCatalogue) -> Attribute {
    let ranges = Codec.allCases.flatMap { codec in
      catalogue.encoders(for: codec).compactMap { $0.quantisers(for: codec) }
    }
    let range = (ranges.map(\.lowerBound).min() ?? 0)...(ranges.map(\.upperBound).max() ?? 51)
    return Attribute(
      key, .integer(range, off: "auto"), default: .none, .live, capability: .liveQuantiser, effect: .quantiser,
      "quantiser of \(pictures) with rc_mode fixqp; auto is the engine's own",
      useless: {
        isPictures($0)
          ? "mjpeg has no quantiser; its size follows quality"
          : !catalogue.hasQuantisers($0)
            ? "this engine takes no quantiser" : $0.text("rc_mode") == "fixqp" ? nil : "rc_mode is not fixqp"
      })
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

  private static func backend(
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

  // MARK: what depends on the coding

  /// Codings whose every picture stands alone.
  static func isPictures(_ settings: ObjectSettings) -> Bool { settings.text("codec") == Codec.mjpeg.rawValue }

  static func isDevice(_ settings: ObjectSettings) -> Bool {
    guard case .device? = settings.text("input").flatMap({ InputSpecification($0) }) else { return false }
    return true
  }

  /// For settings that mean nothing where every picture stands alone.
  private static func onlyPictures(_ what: String) -> @Sendable (ObjectSettings) -> String? {
    { settings in isPictures(settings) ? "mjpeg has no \(what)" : nil }
  }

  private static func unique(_ names: [String]) -> [String] {
    var found: [String] = []
    for name in names where !found.contains(name) { found.append(name) }
    return found
  }

  private static func names(_ all: [String], but here: [String]) -> [String] { all.filter { !here.contains($0) } }
}
