// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// A change of one object's settings while it is checked.
struct SettingsChange {
  let path: ObjectPath
  /// Its settings now.
  let old: ObjectSettings
  /// What was written, by key.
  let written: [String: SettingValue]
  /// Its settings then.
  var new: ObjectSettings
  let table: SettingsTable

  var catalogue: EngineCatalogue { table.catalogue }

  /// The refusal of a setting's new value.
  func refusal(_ key: String, _ errno: Errno, _ reason: String, hint: String) -> Refusal {
    Refusal(
      errno, path: "\(path)/\(key)", value: Array((table.text(path.type, key, new) ?? "").utf8), reason: reason,
      hint: hint)
  }

  /// Moves settings that mean nothing beside the others to their default, and refuses to have them written.
  mutating func dropUseless() throws(Refusal) {
    for attribute in table.settings(path.type) {
      guard let reason = attribute.uselessness(new) else { continue }
      let (key, usual) = (attribute.key, attribute.defaultValue(new))
      if let value = written[key], value != usual {
        throw refusal(key, .notSupported, reason, hint: "it stays at \(usual.text(attribute.type))")
      }
      new[key] = usual
    }
  }
}

extension SettingsTable {
  /// The settings an object would have after a change.
  /// - Parameters:
  ///   - old: its settings now.
  ///   - written: what was written, by key.
  /// - Returns: the new settings, with settings nobody wrote moved to their default where the change made their old
  ///   value impossible or meaningless.
  /// - Throws: ENOTSUP where the engine or the coding cannot, ERANGE where two settings contradict.
  func settings(
    _ path: ObjectPath, from old: ObjectSettings, writing written: [String: SettingValue]
  ) throws(Refusal) -> ObjectSettings {
    var change = SettingsChange(path: path, old: old, written: written, new: old, table: self)
    for (key, value) in written { change.new[key] = value }
    guard let module = module(path.type), module.settle(&change) else { return change.new }
    try change.dropUseless()
    try module.check(&change)
    return change.new
  }
}
