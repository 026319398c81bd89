// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vdec/N`.
enum VdecSettings {
  static func rows(_ common: CommonRows) -> [Attribute] {
    let catalogue = common.catalogue
    guard !catalogue.decoders.isEmpty else { return [] }
    let codecs = catalogue.decodableCodecs.map(\.rawValue)
    return [
      Attribute(
        "codec", .choice(["auto"] + codecs, elsewhere: CommonRows.names(Codec.allCases.map(\.rawValue), but: codecs)),
        default: .text("auto"), .restart, "coding of the input; auto finds it in the file or in the first bytes fed"),
      Attribute(
        "input", .codedInput, default: .text("feed"), .restart,
        "where coded bytes come from: what is written to feed, or a file"),
      Attribute(
        "loop", .boolean, default: .boolean(true), .live, "1: a file is played over and over; 0: once"),
      Attribute(
        "pace", .choice(["auto", "realtime", "none"]), default: .text("auto"), .restart,
        "realtime gives pictures by their times; none as fast as receivers take them; auto is realtime, but a fed stream "
          + "that comes steadily faster is followed"),
      Attribute(
        "fps", .rate(1...240), default: .rate(.thirty), unit: "frames/s", .restart,
        "rate of a stream that has no times and states none"),
      CommonRows.backend(
        catalogue.decoders.map { ($0.name, $0.isHardware) }, "engine that decodes; auto prefers hardware",
        elsewhere: ["ffmpeg", "openh264", "turbojpeg"]),
      common.pool(),
      CommonRows.enable("decodes what comes"),
    ] + CommonRows.reports + [
      Attribute(
        "feed", .sink,
        "takes the bytes of an elementary stream (h264, h265, mjpeg, fwht, vp8 as IVF): cat a.h264 > feed")
    ] + CommonRows.snapshots
  }

  static func check(_ change: inout SettingsChange) throws(Refusal) {
    let (catalogue, written) = (change.catalogue, change.written)
    // A device that was pulled out is no reason to refuse anything else.
    guard written["codec"] != nil || written["backend"] != nil else { return }
    // With `auto` the coding is known when something comes.
    guard let codec = change.new.text("codec").flatMap(Codec.init(rawValue:)) else { return }
    let backend = change.new.text("backend") ?? "auto"
    guard catalogue.decoder(backend: backend, for: codec) == nil else { return }
    let able = catalogue.decoders(for: codec).map(\.name).joined(separator: " ")
    throw change.refusal(
      written["backend"] != nil ? "backend" : "codec", .notSupported,
      "\(backend) does not decode \(codec.rawValue)", hint: able.isEmpty ? "" : "write the backend too: auto \(able)")
  }
}
