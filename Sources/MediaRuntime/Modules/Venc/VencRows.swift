// SPDX-License-Identifier: Apache-2.0

import MediaCore

/// The rows of `venc/N`. A row that some engine here obeys is there; where the engine in use does not, what is
/// asked is kept until one does.
enum VencRows {
  static func rows(_ common: CommonRows) -> [Attribute] {
    let catalogue = common.catalogue
    let codecs = catalogue.codecs
    let profiles = codecs.flatMap { codec in catalogue.encoders(for: codec).flatMap { $0.profiles(for: codec) } }
    // Group by group: Swift 6.2 gives up on the type of all as one expression.
    var rows: [Attribute] = [
      Attribute(
        "codec",
        .choice(
          codecs.map(\.rawValue),
          elsewhere: CommonRows.names(Codec.allCases.map(\.rawValue), but: codecs.map(\.rawValue))),
        default: .text(codecs.first?.rawValue ?? ""), .restart, "coding of the stream"),
      Attribute(
        SettingKey.profile.name,
        .choice(
          ["auto"] + unique(profiles), elsewhere: CommonRows.names(["baseline", "main", "high"], but: profiles)),
        default: .text("auto"), .restart, "profile of the coding; auto takes the engine's usual one",
        useless: { isPictures($0) ? "mjpeg has no profiles" : nil }),
      Attribute(
        SettingKey.gop.name, .integer(1...65536), default: .integer(60), unit: "frames", .live, effect: .groups,
        "distance from one key frame to the next, or what intra_refresh and smartp have in their place",
        useless: { isPictures($0) ? "mjpeg has no groups" : nil }),
      Attribute(
        SettingKey.rateControl.name,
        .choice(
          catalogue.everyRateMode,
          elsewhere: CommonRows.names(["cbr", "vbr", "avbr", "fixqp"], but: catalogue.everyRateMode)),
        default: .text("cbr"), .live, effect: .rateMode,
        "rate control: cbr holds bitrate; vbr and avbr keep to it on average and to max_bitrate always, and avbr saves where "
          + "nothing moves; fixqp holds the quantisers qp_i and qp_p (mjpeg: quality); mjpeg and fwht are fixqp where nothing is written",
        dependentDefault: { .text(catalogue.usualRateMode($0)) }),
      Attribute(
        SettingKey.bitrate.name, .integer(2...200_000), default: .integer(2000), unit: "kbps", .live,
        effect: .bitrate, "rate of the stream (1000 bits a second)",
        useless: {
          !catalogue.obeys(.bitrate, $0)
            ? "this engine holds no bitrate; its size follows \(isPictures($0) ? "quality" : "the quantiser")"
            : isFixed($0) ? fixedSize($0) : nil
        }),
      quantiser(.keyQP, effect: .quantiser(ofKeys: true), "quantiser of key pictures with rc_mode fixqp", catalogue) {
        isFixed($0) ? nil : "rc_mode is not fixqp"
      },
      quantiser(
        .predictedQP, effect: .quantiser(ofKeys: false), "quantiser of predicted pictures with rc_mode fixqp",
        catalogue
      ) { isFixed($0) ? nil : "rc_mode is not fixqp" },
    ]
    rows += VencRateRows.rows(catalogue)
    rows += [
      Attribute(
        "fps_src", .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live, effect: .frameRate,
        "frame-rate control: rate that arrives; -1 takes the source's own"),
      Attribute(
        SettingKey.codedRate.name, .integer(1...240, off: "-1"), default: .none, unit: "frames/s", .live,
        effect: .frameRate,
        "frame-rate control: rate that is coded, at most fps_src; -1 codes every frame"),
      Attribute(
        SettingKey.quality.name, .integer(1...99), default: .integer(70), .live, effect: .quality,
        "JPEG quality factor (mjpeg)",
        useless: {
          !isPictures($0) ? hasNoFactor($0) : isFixed($0) ? nil : "it is chosen for bitrate, from qfmin to qfmax"
        }),
    ]
    rows += VencFactorRows.rows(catalogue)
    rows += VencSyntaxRows.rows(catalogue)
    rows += VencPictureRows.rows(catalogue)
    rows += [
      CommonRows.backend(
        catalogue.encoders.map { ($0.name, $0.isHardware) }, "engine that codes; auto prefers hardware",
        elsewhere: ["openh264", "x264", "x265", "turbojpeg"]),
      common.source(effect: .keyFrame),
      CommonRows.enable("codes the frames that come", effect: .keyFrame),
      Attribute(
        "idr", .command, effect: .keyFrame, "write 1: the next frame becomes a key frame"),
    ]
    rows += CommonRows.reports
    rows += [
      Attribute("stream", .stream, "the coded stream from its newest key frame; reading waits for more; not listed"),
      Attribute("stream.ts", .stream, "the same as an MPEG transport stream (h264, h265; needs FFmpeg)"),
      Attribute("stream.mp4", .stream, "the same as MP4 in fragments of one picture (h264, h265; needs FFmpeg)"),
      Attribute("stream.mjpeg", .stream, "the same as a multipart message, as browsers show it (mjpeg)"),
      Attribute("stream.info", .info, "where the stream's files are; listed in their place"),
    ]
    rows += CommonRows.snapshots
    rows += [
      Attribute("effect", .info, "the last 32 changes made while running and what the stream shows of them")
    ]
    // What no coding of this build uses is no attribute at all.
    let hasStreams = codecs.contains { $0 != .mjpeg }
    let absent =
      (hasStreams ? [] : ["profile", "gop", "idr"]) + (codecs.contains(.mjpeg) ? [] : ["quality"])
      + (VencFactorRows.names + [SettingKey.bitrate.name, SettingKey.keyQP.name, SettingKey.predictedQP.name]
      + VencRateRows.names).filter {
        catalogue.engineSettings($0).isEmpty
      }
    return rows.filter { !absent.contains($0.key) }
  }

  /// The range is that of all codings here; the engine in use may have a smaller one, and says so.
  static func quantiser(
    _ key: SettingKey<Int>, effect: EffectRule? = nil, _ summary: String, meaning usual: String = "the engine's own",
    _ catalogue: EngineCatalogue, useless: @escaping @Sendable (ObjectSettings) -> String?
  ) -> Attribute {
    let ranges = [key, .keyQP].flatMap { catalogue.engineSettings($0.name).compactMap(\.range) }
    let range = (ranges.map(\.lowerBound).min() ?? 0)...(ranges.map(\.upperBound).max() ?? 51)
    return Attribute(
      key.name, .integer(range, off: "auto"), default: .none, .live, effect: effect,
      "\(summary); auto is \(usual)",
      useless: {
        isPictures($0)
          ? "mjpeg has no quantiser; its size follows quality"
          : useless($0) ?? (catalogue.obeys(key, $0) ? nil : "this engine takes no \(key.name)")
      })
  }

  private static func unique(_ names: [String]) -> [String] {
    names.enumerated().filter { index, name in !names[..<index].contains(name) }.map(\.element)
  }

  // MARK: what depends on the coding

  /// Codings whose every picture stands alone.
  static func isPictures(_ settings: ObjectSettings) -> Bool { settings.text("codec") == Codec.mjpeg.rawValue }

  static func hasNoFactor(_ settings: ObjectSettings) -> String {
    "\(settings.text("codec") ?? "the codec") has no quality factor"
  }

  static func fixedSize(_ settings: ObjectSettings) -> String {
    "fixqp holds no bitrate; its size follows \(isPictures(settings) ? "quality" : "qp_i and qp_p")"
  }

  static func isFixed(_ settings: ObjectSettings) -> Bool { settings[.rateControl] == "fixqp" }
}
