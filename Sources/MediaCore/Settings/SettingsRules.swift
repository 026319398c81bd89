// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// What the settings of one object mean for each other: rules that a single value cannot break, only a set of them.
extension SettingsTable {
  /// The settings an object would have after a change.
  /// - Parameters:
  ///   - old: its settings now.
  ///   - written: what was written, by key.
  /// - Returns: the new settings, with settings nobody wrote moved to their default where the change made their old
  ///   value impossible or meaningless.
  /// - Throws: ENOTSUP where the engine or the coding cannot, ERANGE where two settings contradict.
  public func settings(
    _ path: ObjectPath, from old: ObjectSettings, writing written: [String: SettingValue]
  ) throws(Refusal) -> ObjectSettings {
    var new = old
    for (key, value) in written { new[key] = value }
    if path.type == .encoder {
      // A device that was pulled out: what it cannot be asked about stays as it was until it is back.
      if catalogue.lacksEngine(old), written["codec"] == nil, written["backend"] == nil, catalogue.lacksEngine(new) {
        return new
      }
      settleRateMode(&new, from: old, written: written)
    }
    for attribute in settings(path.type) {
      let key = attribute.key
      if let reason = attribute.uselessness(new) {
        let usual = attribute.defaultValue(new)
        if let value = written[key], value != usual {
          throw refusal(
            path, key, new, .notSupported, reason, hint: "it stays at \(usual.text(attribute.type))")
        }
        new[key] = usual
      }
    }
    if path.type == .input { try checkControls(path, from: old, &new, written: written) }
    if path.type == .encoder { try checkEncoder(path, &new, written: written) }
    if path.type == .decoder { try checkDecoder(path, new, written: written) }
    return new
  }

  private func refusal(
    _ path: ObjectPath, _ key: String, _ values: ObjectSettings, _ errno: Errno, _ reason: String, hint: String
  ) -> Refusal {
    Refusal(
      errno, path: "\(path)/\(key)", value: Array((text(path.type, key, values) ?? "").utf8), reason: reason, hint: hint
    )
  }

  private func checkDecoder(
    _ path: ObjectPath, _ new: ObjectSettings, written: [String: SettingValue]
  ) throws(Refusal) {
    // A device that was pulled out is no reason to refuse anything else.
    guard written["codec"] != nil || written["backend"] != nil else { return }
    // With `auto` the coding is known when something comes.
    guard let codec = new.text("codec").flatMap(Codec.init(rawValue:)) else { return }
    let backend = new.text("backend") ?? "auto"
    guard catalogue.decoder(backend: backend, for: codec) == nil else { return }
    let able = catalogue.decoders(for: codec).map(\.name).joined(separator: " ")
    throw refusal(
      path, written["backend"] != nil ? "backend" : "codec", new, .notSupported,
      "\(backend) does not decode \(codec.rawValue)", hint: able.isEmpty ? "" : "write the backend too: auto \(able)")
  }

  /// Controls belong to one device: another input starts without those of the one before.
  private func checkControls(
    _ path: ObjectPath, from old: ObjectSettings, _ new: inout ObjectSettings, written: [String: SettingValue]
  ) throws(Refusal) {
    let isDevice = AttributeRows.isDevice(new)
    for key in new.values.keys.sorted() where ControlKey.name(in: key) != nil && new[key] != .none {
      let isWritten = written[key].map { $0 != .none } ?? false
      if !isDevice, isWritten {
        let value = if case .text(let text) = new[key] { Array(text.utf8) } else { [UInt8]() }
        throw Refusal(
          .notSupported, path: "\(path)/\(key)", value: value, reason: "only a capture device has controls",
          hint: "\(path)/input is \(new.text("input") ?? "")")
      }
      if !isWritten, !isDevice || new["input"] != old["input"] { new[key] = .none }
    }
  }

  /// A rate control nobody wrote follows the coding and the engine: to their usual one, unless somebody chose another one
  /// that they have too.
  private func settleRateMode(
    _ new: inout ObjectSettings, from old: ObjectSettings, written: [String: SettingValue]
  ) {
    guard written["rc_mode"] == nil else { return }
    let mode = new.text("rc_mode") ?? ""
    let isChosen = mode != catalogue.usualRateMode(old)
    if !isChosen || !catalogue.rateModes(new).contains(mode) { new["rc_mode"] = .text(catalogue.usualRateMode(new)) }
  }

  private func checkEncoder(
    _ path: ObjectPath, _ new: inout ObjectSettings, written: [String: SettingValue]
  ) throws(Refusal) {
    guard let codec = new.text("codec").flatMap(Codec.init(rawValue:)) else { return }

    let able = catalogue.encoders(for: codec)
    let backend = new.text("backend") ?? "auto"
    guard let engine = catalogue.encoder(backend: backend, for: codec) else {
      let names = able.map(\.name).joined(separator: " ")
      // The engine is named by whoever wrote; a codec alone must not silently replace an engine somebody chose.
      throw refusal(
        path, written["backend"] != nil || written["codec"] == nil ? "backend" : "codec", new, .notSupported,
        "\(backend) does not make \(codec.rawValue)",
        hint: names.isEmpty ? "" : "write the backend too: auto \(names)")
    }

    let modes = catalogue.rateModes(new)
    if let mode = new.text("rc_mode"), !modes.contains(mode) {
      throw refusal(
        path, "rc_mode", new, .notSupported,
        !catalogue.obeys(.bitrate, new)
          ? "\(engine.name) holds no bitrate" : "is not available with \(codec.rawValue) of \(engine.name)",
        hint: "only \(modes.joined(separator: " ")) is")
    }

    if let profile = new.text("profile"), profile != "auto", !engine.profiles(for: codec).contains(profile) {
      if written["profile"] == nil {
        new["profile"] = .text("auto")
      } else {
        let others = able.filter { $0.profiles(for: codec).contains(profile) }.map(\.name)
        throw refusal(
          path, "profile", new, .notSupported, "\(engine.name) has no such profile",
          hint: others.isEmpty
            ? "one of: auto \(engine.profiles(for: codec).joined(separator: " "))"
            : "backend \(others.joined(separator: " ")) has")
      }
    }

    if let low = new[.minQP], let high = new[.maxQP], low > high {
      let isMax = written["min_qp"] == nil
      throw refusal(
        path, isMax ? "max_qp" : "min_qp", new, .outOfRange, "min_qp would be above max_qp (\(low) and \(high))",
        hint: isMax ? "at least \(low)" : "at most \(high), or change max_qp first")
    }

    if let source = new.integer("fps_src"), let target = new.integer("fps_dst"), target > source {
      let key = written["fps_dst"] == nil ? "fps_src" : "fps_dst"
      throw refusal(
        path, key, new, .outOfRange, "would code more frames than arrive (\(target) of \(source))",
        hint: key == "fps_dst" ? "at most \(source)" : "at least \(target), or change fps_dst first")
    }
  }
}
