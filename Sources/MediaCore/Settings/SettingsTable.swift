// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Every attribute of every kind of object: the one place that knows what may be written, what a new object has, and
/// what `help` says. Immutable; made once from what the machine offers.
public struct SettingsTable: Sendable {
  public let catalogue: EngineCatalogue
  private let rows: [ObjectType: [Attribute]]
  private let index: [ObjectType: [String: Attribute]]

  public init(_ catalogue: EngineCatalogue) {
    self.catalogue = catalogue
    var rows: [ObjectType: [Attribute]] = [:]
    var index: [ObjectType: [String: Attribute]] = [:]
    for type in ObjectType.allCases {
      let found = AttributeRows.rows(type, catalogue)
      guard !found.isEmpty else { continue }
      rows[type] = found
      index[type] = Dictionary(found.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    }
    self.rows = rows
    self.index = index
  }

  /// Kinds of object this build can make, in the order of the tree.
  public var types: [ObjectType] { ObjectType.allCases.filter { rows[$0] != nil } }

  /// The attributes of a kind of object in the order of `help`; empty when it cannot be made.
  public func attributes(_ type: ObjectType) -> [Attribute] { rows[type] ?? [] }

  public func attribute(_ type: ObjectType, _ key: String) -> Attribute? { index[type]?[key] }

  /// The settings of a kind of object, in the order `config` writes them.
  public func settings(_ type: ObjectType) -> [Attribute] { attributes(type).filter { $0.kind == .setting } }

  /// Whether such an object may have controls of a device besides its attributes: capture devices are built in.
  public func hasControls(_ type: ObjectType) -> Bool {
    guard type == .input, let device = InputSpecification("/dev/video0") else { return false }
    return catalogue.sources.contains { $0.handles(device) }
  }

  /// The settings of a new object.
  public func defaults(_ type: ObjectType) -> ObjectSettings {
    var values = ObjectSettings()
    for attribute in settings(type) { values[attribute.key] = attribute.defaultValue(values) }
    return values
  }

  /// The canonical text of a setting.
  public func text(_ type: ObjectType, _ key: String, _ values: ObjectSettings) -> String? {
    guard let attribute = attribute(type, key), attribute.kind == .setting else { return nil }
    return values[key].text(attribute.type)
  }

  /// Turns what was written to an attribute into a value.
  /// - Throws: ENOENT no such attribute; EACCES not writable; EINVAL not a value; ERANGE out of range; ENOTSUP not
  ///   available in this build or on this machine; ENODEV no such device; E2BIG too long.
  public func parse(_ path: ObjectPath, _ key: String, _ bytes: [UInt8]) throws(Refusal) -> SettingValue {
    let full = "\(path)/\(key)"
    if ControlKey.name(in: key) != nil, hasControls(path.type) { return try ControlKey.line(bytes, path: full) }
    guard let attribute = attribute(path.type, key) else {
      let all = attributes(path.type).map(\.key).joined(separator: " ")
      throw Refusal(
        .noSuchFileOrDirectory, path: full, value: bytes, reason: "no such attribute",
        hint: all.isEmpty ? "" : "there are: \(all)")
    }
    guard attribute.kind == .setting || attribute.kind == .command else {
      throw Refusal(.permissionDenied, path: full, value: bytes, reason: "is only read")
    }
    do {
      return try SettingText.parse(bytes, attribute.type, unit: attribute.unit)
    } catch {
      throw Refusal(error.errno, path: full, value: bytes, reason: error.reason, hint: error.hint)
    }
  }
}
