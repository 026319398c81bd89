// SPDX-License-Identifier: Apache-2.0
public import MediaCore
public import Reports

extension DeviceControl {
  /// What kind of file it is; `nil` for one that is not one value and has none.
  public var attributeKind: AttributeKind? {
    if case .unsupported = kind { return nil }
    return isReadOnly ? .info : isWriteOnly ? .command : .setting
  }

  var help: SettingHelp {
    var notes: [String] = choiceList.isEmpty ? [] : [choiceList]
    if attributeKind == nil { notes.append("no file: use v4l2-ctl") }
    if isVolatile { notes.append("volatile: changed by the device itself, seen about once a second") }
    if isInactive { notes.append("inactive: another control decides it now") }
    if isGrabbed { notes.append("grabbed: cannot be set now") }
    let kind = attributeKind ?? .info
    return SettingHelp(
      path: name, kind: kind, type: typeName, range: range, unit: unit, defaultValue: defaultText,
      isLive: kind == .info ? nil : true, note: notes.joined(separator: "; "))
  }
}

extension ControlsReport {
  /// The controls as the tree shows them.
  public init(_ surface: any ControlSurface) {
    let controls = surface.controls
    self.init(
      help: controls.map(\.help),
      values: controls.filter { $0.attributeKind != nil && !$0.isWriteOnly }.map { control in
        KeyValue(key: control.name, value: surface.value(of: control.name).map { control.text($0) } ?? "")
      })
  }
}
