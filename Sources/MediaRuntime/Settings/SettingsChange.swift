// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
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
  /// Those that what it is a part of will have; empty for what is no part.
  var group = ObjectSettings()

  var catalogue: EngineCatalogue { table.catalogue }

  /// The refusal of a setting's new value.
  func refusal(_ key: String, _ errno: Errno, _ reason: String, hint: String) -> Refusal {
    Refusal(
      errno, path: "\(path)/\(key)", value: Array((table.text(path.type, key, new) ?? "").utf8), reason: reason,
      hint: hint)
  }
}

extension SettingsTable {
  /// The settings an object would have after a change.
  /// - Parameters:
  ///   - old: what was asked of it until now.
  ///   - oldUsed: what it has been given of that.
  ///   - written: what was written, by key.
  ///   - group: the settings that what it is a part of will have.
  /// - Returns: what is asked then, with settings nobody wrote moved to their default where the change made their old value
  ///   impossible; and what of that the object is given, with the default for what means nothing beside the others.
  /// - Throws: ENOTSUP where the engine or the coding cannot, ERANGE where two settings contradict.
  func settings(
    _ path: ObjectPath, from old: ObjectSettings, used oldUsed: ObjectSettings, writing written: [String: SettingValue],
    beside group: ObjectSettings = ObjectSettings()
  ) throws(Refusal) -> (asked: ObjectSettings, used: ObjectSettings) {
    var change = SettingsChange(path: path, old: old, written: written, new: old, table: self, group: group)
    for (key, value) in written { change.new[key] = value }
    guard let module = module(path.type), module.settle(&change) else {
      var used = oldUsed
      for (key, value) in written { used[key] = value }
      return (change.new, used)
    }
    var asked = change.new
    let used = used(path.type, asked)
    change.new = used
    try module.check(&change)
    for key in change.new.changes(from: used) { asked[key] = change.new[key] }
    return (asked, change.new)
  }

  /// What an object is given of what is asked.
  private func used(_ type: ObjectType, _ asked: ObjectSettings) -> ObjectSettings {
    var used = asked
    for attribute in settings(type) {
      guard let reason = attribute.uselessness(used) else { continue }
      let usual = attribute.defaultValue(used)
      guard used[attribute.key] != usual else { continue }
      used.idle.append(KeyValue(key: "unused", value: "\(attribute.key): \(reason)"))
      used[attribute.key] = usual
    }
    return used
  }
}
