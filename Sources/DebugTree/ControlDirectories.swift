// SPDX-License-Identifier: Apache-2.0
import MediaCore
import MediaRuntime
import NodeFS
import NodeText
import Reports
import SystemPackage

/// `controls/` of an input channel: a file for each control of the device it runs on. The directory is there while the
/// channel runs on a device; before, nobody knows what controls there will be.
extension DebugTree {
  /// What kind of file a control is.
  enum ControlShape: Equatable {
    /// 0444
    case info
    /// 0644
    case setting
    /// 0200
    case command
  }

  /// Makes, changes or takes out the directory, as the device has it now. Called from any thread.
  func followControls(of path: ObjectPath) {
    controlFiles.withLock { files in
      guard let object = objectDirectory(path) else {
        files[path] = nil
        return
      }
      guard let surface = reports.controls(of: path) else {
        object.remove("controls")
        files[path] = nil
        return
      }
      var wanted: [(name: String, shape: ControlShape)] = []
      for control in surface.controls {
        if let shape = Self.shape(control) { wanted.append((control.name, shape)) }
      }
      do throws(NodeError) {
        let isNew = object["controls"] == nil
        let directory = isNew ? Directory() : object["controls"] as? Directory
        guard let directory else { return }
        if isNew {
          try directory.add(
            "help",
            Node.text(
              render: rendering { [reports] in
                HelpPage.write(Self.controlHelp(reports.controls(of: path)), to: &$0)
              }))
        }
        var made = isNew ? [:] : files[path] ?? [:]
        for (name, shape) in made where !wanted.contains(where: { $0.name == name && $0.shape == shape }) {
          directory.remove(name)
          made[name] = nil
        }
        for (name, shape) in wanted where made[name] == nil {
          try directory.add(name, controlNode(path, name, shape))
          made[name] = shape
        }
        files[path] = made
        if isNew { try object.add("controls", directory) }
      } catch {
        runtime.errorLog.record(
          Failure(error.errno, "adding to the tree", on: "\(path)/controls", error.reason), path: path.description)
      }
    }
  }

  private static func shape(_ control: DeviceControl) -> ControlShape? {
    if case .unsupported = control.kind { return nil }
    return control.isReadOnly ? .info : control.isWriteOnly ? .command : .setting
  }

  private func controlNode(_ path: ObjectPath, _ name: String, _ shape: ControlShape) -> Node {
    let (runtime, reports, key) = (runtime, reports, ControlKey.key(name))
    let render: Node.Render = { buffer in
      guard let surface = reports.controls(of: path), let control = surface.control(name) else {
        throw NodeError(.operationNotSupportedByDevice)
      }
      // What the device never told has no value: an empty line.
      buffer.append(surface.value(of: name).map { control.text($0) } ?? "")
      buffer.append(UInt8(ascii: "\n"))
    }
    switch shape {
    case .info: return Node.text(render: render)
    case .setting:
      return Node.setting(
        render: render,
        write: { request in runtime.apply([.set(path, key, request.bytes)]) { request.reply.answer($0) } })
    case .command:
      return Node.command { request in
        runtime.apply([.command(path, key, request.bytes)]) { request.reply.answer($0) }
      }
    }
  }

  /// A line for each control, those without a file too.
  static func controlHelp(_ surface: (any ControlSurface)?) -> [SettingHelp] {
    (surface?.controls ?? []).map { control in
      let shape = shape(control)
      var notes: [String] = control.choiceList.isEmpty ? [] : [control.choiceList]
      if shape == nil { notes.append("no file: use v4l2-ctl") }
      if control.isVolatile { notes.append("volatile: changed by the device itself, seen about once a second") }
      if control.isInactive { notes.append("inactive: another control decides it now") }
      if control.isGrabbed { notes.append("grabbed: cannot be set now") }
      let kind: AttributeKind =
        switch shape {
        case .setting: .setting
        case .command: .command
        case .info, nil: .info
        }
      return SettingHelp(
        path: control.name, kind: kind, type: control.typeName, range: control.range, unit: control.unit,
        defaultValue: control.defaultText, isLive: kind == .info ? nil : true, note: notes.joined(separator: "; "))
    }
  }

  /// The values as `report` has them: a line for each file.
  static func controlValues(_ surface: any ControlSurface, to out: inout TextWriter) {
    for control in surface.controls where shape(control) != nil && !control.isWriteOnly {
      out.line("\(control.name): \(surface.value(of: control.name).map { control.text($0) } ?? "")")
      out.newline()
    }
  }
}
