// SPDX-License-Identifier: Apache-2.0
import MediaCore
public import Reports

extension SettingsTable {
  /// The table as `help` shows it.
  public var help: [SettingHelp] {
    types.flatMap { type in
      var rows = attributes(type).map { help($0, of: type) }
      if let device = controlled(type) {
        rows.append(
          SettingHelp(
            path: "\(type.pattern)/controls/NAME", kind: .setting, type: "see controls/help", isLive: true,
            note: "the controls of the \(device), while enable is 1; reads back what the device has, "
              + "empty gives the default"))
      }
      return rows
    }
  }

  private func help(_ attribute: Attribute, of type: ObjectType) -> SettingHelp {
    let isSetting = attribute.kind == .setting
    var note = attribute.summary
    if let effect = attribute.effect {
      note += " (effect: \(effect.toleranceText) within \(effect.windowText))"
    }
    let range = attribute.type.range
    return SettingHelp(
      path: "\(type.pattern)/\(attribute.key)", kind: attribute.kind,
      type: attribute.type.name, range: range.isEmpty ? nil : range,
      unit: attribute.unit.isEmpty ? nil : attribute.unit,
      defaultValue: isSetting ? attribute.defaultValue(defaults(type)).text(attribute.type) : nil,
      isLive: isSetting ? attribute.change != .restart : nil, note: note)
  }
}
