// SPDX-License-Identifier: Apache-2.0
import MediaCore

/// The settings of `vi/N`.
enum ViSettings {
  static func rows(_ common: CommonRows) -> [Attribute] {
    var rows = [
      Attribute(
        "input", .input, default: .text("pattern"), .restart,
        "where pictures come from: the test pattern, a media file (looped, in real time) or a capture device"),
      side("width", "width of the pictures given; auto takes the input's own, without an odd last column"),
      side("height", "height of the pictures given; auto takes the input's own, without an odd last line"),
      CommonRows.format(
        common.catalogue.inputFormats, "format of the pictures given; auto takes what the encoders here take as it is"),
      Attribute(
        "fps", .rate(1...240), default: .rate(.thirty), unit: "frames/s", .restart,
        "frame rate asked of the input; a file keeps its own"),
    ]
    if controlled(common.catalogue) != nil {
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
    rows.append(common.pool { isDevice($0) ? "a capture device fills buffers of its own" : nil })
    rows.append(CommonRows.enable("takes pictures from the input"))
    return rows + CommonRows.reports + CommonRows.snapshots
  }

  /// A size the input may choose itself: a file that is scaled to what nobody asked for costs time and sharpness.
  private static func side(_ key: String, _ summary: String) -> Attribute {
    Attribute(
      key, .integer(16...CommonRows.largestSide, step: 2, off: "auto"), default: .none, unit: "pixels", .restart,
      summary)
  }

  /// Capture devices have controls, where they are built in.
  static func controlled(_ catalogue: EngineCatalogue) -> String? {
    guard let device = InputSpecification("/dev/video0") else { return nil }
    return catalogue.sources.contains { $0.handles(device) } ? "capture device" : nil
  }

  private static func isDevice(_ settings: ObjectSettings) -> Bool {
    guard case .device? = settings.text("input").flatMap({ InputSpecification($0) }) else { return false }
    return true
  }

  /// Controls belong to one device: another input starts without those of the one before.
  static func check(_ change: inout SettingsChange) throws(Refusal) {
    let isDevice = isDevice(change.new)
    for key in change.new.values.keys.sorted() where ControlKey.name(in: key) != nil && change.new[key] != .none {
      let isWritten = change.written[key].map { $0 != .none } ?? false
      if !isDevice, isWritten {
        throw Refusal(
          .notSupported, path: "\(change.path)/\(key)", value: Array((change.new.text(key) ?? "").utf8),
          reason: "only a capture device has controls",
          hint: "\(change.path)/input is \(change.new.text("input") ?? "")")
      }
      if !isWritten, !isDevice || change.new["input"] != change.old["input"] { change.new[key] = .none }
    }
  }
}
