// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// What is written to an object's command, or to a button of its device: one thing, which stands alone.
extension Planner {
  func planCommand(
    _ path: ObjectPath, _ key: String, _ value: [UInt8], isAlone: Bool
  ) throws(Refusal) -> Plan {
    guard isAlone else {
      throw Refusal(
        .invalidArgument, path: "\(path)/\(key)", value: value,
        reason: "is a command and cannot stand beside other changes")
    }
    guard let entry = table.entries[path] else { throw missing(path, key: key, value: value) }
    if let name = ControlKey.name(in: key) {
      guard let control = entry.object.controls?.control(name) else {
        throw Refusal(
          .noSuchFileOrDirectory, path: "\(path)/\(key)", value: value, reason: "there is no such control now",
          hint: "a device's controls are there while it runs")
      }
      var plan = Plan()
      plan.controls = [
        Plan.ControlChange(
          object: entry.object, name: name, value: try control.parse(value, path: "\(path)/\(key)"), written: value,
          isKept: false)
      ]
      return plan
    }
    let parsed = try settingsTable.parse(path, key, value)
    guard let attribute = settingsTable.attribute(path.type, key), attribute.kind == .command else {
      throw Refusal(
        .invalidArgument, path: "\(path)/\(key)", value: value, reason: "is a setting, not a command")
    }
    var plan = Plan()
    plan.command = (entry.object, key, parsed.text(attribute.type))
    return plan
  }
}
