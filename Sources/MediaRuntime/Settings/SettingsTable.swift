// SPDX-License-Identifier: Apache-2.0
import Base
public import MediaCore
import SystemPackage

/// Every attribute of every kind of object: the one place that knows what may be written, what a new object has, and
/// what `help` says. Immutable; made once from the classes there are and what the machine offers.
public struct SettingsTable: Sendable {
  public let catalogue: EngineCatalogue
  let modules: [ModuleClass]
  private let byType: [ObjectType: ModuleClass]
  /// Places of the classes in the tree.
  private let places: [String: Int]
  private let rows: [ObjectType: [Attribute]]
  private let index: [ObjectType: [String: Attribute]]

  /// - Parameter modules: in the order of the tree, groups before their outputs.
  init(_ catalogue: EngineCatalogue, _ modules: [ModuleClass]) {
    self.catalogue = catalogue
    self.modules = modules
    byType = Dictionary(modules.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
    places = Dictionary(
      modules.enumerated().map { ($0.element.type.name, $0.offset) }, uniquingKeysWith: { first, _ in first })
    let common = CommonRows(
      catalogue: catalogue, givers: modules.filter { $0.givesFrames != nil }.map(\.type),
      pools: modules.filter(\.givesBuffers).map(\.type))
    rows = byType.mapValues { $0.rows(common) }.filter { !$0.value.isEmpty }
    index = rows.mapValues { rows in
      Dictionary(rows.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
    }
  }

  // MARK: objects

  func module(_ type: ObjectType) -> ModuleClass? { byType[type] }

  /// Kinds of object this build can make, in the order of the tree.
  public var types: [ObjectType] { modules.map(\.type).filter { rows[$0] != nil } }

  /// The object of that name; `nil` where the text names none, whether or not this build can make it.
  public func path(_ text: some StringProtocol) -> ObjectPath? {
    guard let path = ObjectPath(text), isName(path) else { return nil }
    return path
  }

  /// Whether it names an object of a class there is, here or elsewhere.
  func isName(_ path: ObjectPath) -> Bool {
    guard numbers(path.group.type)?.contains(path.number) ?? Modules.elsewhere.contains(path.kind) else { return false }
    guard path.isPart else { return true }
    guard let numbers = numbers(path.type) else { return false }
    return path.target.map { isName($0) } ?? numbers.contains(path.output ?? 0)
  }

  /// Which numbers there are, for a text that would name an object but for its number; `nil` for all others.
  public func numbering(_ text: some StringProtocol) -> String? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    if parts.count == 4, parts[2] == ObjectPath.attachments {
      return numbering("\(parts[0])/\(parts[1])") ?? numbering(String(parts[3]).replacing("-", with: "/"))
    }
    guard parts.count == 2 || parts.count == 3, parts.dropFirst().allSatisfy({ Self.isNumber($0) }) else { return nil }
    let type = ObjectType(String(parts[0]))
    guard let numbers = numbers(type) else { return nil }
    func isIn(_ range: ClosedRange<Int>, _ text: some StringProtocol) -> Bool { Int(text).map(range.contains) ?? false }
    guard isIn(numbers, parts[1]) else {
      return "objects of \(type.name) are numbered \(numbers.lowerBound) to \(numbers.upperBound)"
    }
    guard parts.count == 3, let outputs = self.numbers(type.outputs), !isIn(outputs, parts[2]) else { return nil }
    return "outputs of \(type.name) are numbered \(outputs.lowerBound) to \(outputs.upperBound)"
  }

  /// As names have them: decimal digits without leading zeros.
  private static func isNumber(_ text: some StringProtocol) -> Bool {
    let digits = text.utf8
    return !digits.isEmpty && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      && (digits.count == 1 || digits.first != UInt8(ascii: "0"))
  }

  /// Numbers that objects of a class can have; `nil` where there is no such class.
  public func numbers(_ type: ObjectType) -> ClosedRange<Int>? { byType[type]?.numbers }

  /// Whether objects of that kind are inside such an object: outputs in a group.
  public func hasOutputs(_ type: ObjectType) -> Bool { !type.isPart && byType[type.outputs] != nil }

  /// Whether such an object is attached to others.
  public func hasAttachments(_ type: ObjectType) -> Bool { !type.isPart && byType[type.attachments] != nil }

  /// How a part of such an object can be named, for hints.
  public func naming(_ type: ObjectType) -> String {
    let numbers = numbers(type) ?? ModuleClass.usualNumbers
    let range = "\(numbers.lowerBound) to \(numbers.upperBound)"
    switch type.part {
    case .whole: return "objects are numbered \(range)"
    case .output: return "outputs are \(range)"
    case .attachment: return "named for what it is attached to: \(takersOfRegions.joined(separator: ", "))"
    }
  }

  /// What regions can be attached to, as attachments are called.
  var takersOfRegions: [String] {
    modules.filter(\.takesRegions).compactMap { ObjectPath($0.type.name, 0, output: $0.type.isPart ? 1 : nil) }.map {
      "\($0)".replacing("/", with: "-")
    }
  }

  /// The order of the tree and of `config`: by class, then by number, a group before its outputs.
  public func precedes(_ a: ObjectPath, _ b: ObjectPath) -> Bool { place(a) < place(b) }

  /// The order in which objects are started and stopped: along the chain, then as in the tree.
  func runsBefore(_ a: ObjectPath, _ b: ObjectPath) -> Bool {
    let (first, second) = (byType[a.type]?.stage ?? 0, byType[b.type]?.stage ?? 0)
    return first == second ? precedes(a, b) : first < second
  }

  /// A group before its parts, attachments in the order of what they go to.
  private func place(_ path: ObjectPath) -> (Int, Int, Int, Int, Int, Int) {
    let target = path.target
    return (
      places[path.kind] ?? modules.count, path.number, path.output ?? -1,
      target.map { places[$0.kind] ?? modules.count } ?? -1, target?.number ?? -1, target?.output ?? -1
    )
  }

  // MARK: attributes

  /// The attributes of a kind of object in the order of `help`; empty when it cannot be made.
  public func attributes(_ type: ObjectType) -> [Attribute] { rows[type] ?? [] }

  public func attribute(_ type: ObjectType, _ key: String) -> Attribute? { index[type]?[key] }

  /// The settings of a kind of object, in the order `config` writes them.
  public func settings(_ type: ObjectType) -> [Attribute] { attributes(type).filter { $0.kind == .setting } }

  /// What kind of device such an object may have controls of besides its attributes; `nil` where there are none.
  func controlled(_ type: ObjectType) -> String? { byType[type]?.controlled(catalogue) }

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
    if ControlKey.name(in: key) != nil, controlled(path.type) != nil { return try ControlKey.line(bytes, path: full) }
    guard let attribute = attribute(path.type, key) else {
      let all = Similarity.nearest(to: key, of: attributes(path.type).map(\.key)).joined(separator: " ")
      throw Refusal(
        .noSuchFileOrDirectory, path: full, value: bytes, reason: "no such attribute",
        hint: all.isEmpty ? "" : "there are, the nearest first: \(all)")
    }
    guard attribute.kind == .setting || attribute.kind == .command else {
      throw Refusal(.permissionDenied, path: full, value: bytes, reason: "is only read")
    }
    if case .source = attribute.type, let source = self.path(SettingText.word(bytes)), source.group == path.group,
      source == path || !source.isPart
    {
      throw Refusal.loop(path, [path.group, source], value: bytes)
    }
    do {
      return try SettingText.parse(bytes, attribute.type, unit: attribute.unit, isName: isName) { numbering($0) }
    } catch {
      throw Refusal(error.errno, path: full, value: bytes, reason: error.reason, hint: error.hint)
    }
  }
}

extension Refusal {
  /// A binding by which an object would get its own frames.
  /// - Parameter way: from the receiver to what it would get them from.
  static func loop(_ receiver: ObjectPath, _ way: [ObjectPath], value: [UInt8]) -> Refusal {
    Refusal(
      .tooManySymbolicLinkLevels, path: "\(receiver)/source", value: value,
      reason: "would make a loop: \(way.map(\.description).joined(separator: " <- "))",
      hint: "a source must not get its frames from its own receiver")
  }
}
