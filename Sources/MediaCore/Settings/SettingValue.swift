// SPDX-License-Identifier: Apache-2.0
public import Reports

/// A parsed value of a setting.
public enum SettingValue: Sendable, Equatable {
  case integer(Int)
  case boolean(Bool)
  case rate(FrameRate)
  /// A choice by name or free text.
  case text(String)
  case rectangle(Rectangle)
  /// A rectangle in thousandths of a picture's sides.
  case permille(Rectangle)
  case numbers([Int])
  /// A part of the picture with a quantiser of its own.
  case region(PictureRegion)
  /// `source`: the object a receiver is bound to.
  case object(ObjectPath)
  /// Nothing set: an unbound `source`, frame control off, no crop.
  case none
}

/// The settings of one object: an immutable value that is swapped whole.
public struct ObjectSettings: Sendable, Equatable, ExpressibleByDictionaryLiteral {
  public private(set) var values: [String: SettingValue]
  /// Those asked for that mean nothing beside the others and why, for `active`. The values have their defaults in their place.
  public var idle: [KeyValue] = []

  public init(_ values: [String: SettingValue] = [:]) { self.values = values }

  public init(dictionaryLiteral pairs: (String, SettingValue)...) {
    values = Dictionary(pairs, uniquingKeysWith: { _, last in last })
  }

  public subscript(key: String) -> SettingValue {
    get { values[key] ?? .none }
    set { values[key] = newValue }
  }

  /// The integer or, for a boolean, 0 or 1; `nil` when the setting is not set.
  public func integer(_ key: String) -> Int? {
    switch self[key] {
    case .integer(let value): value
    case .boolean(let value): value ? 1 : 0
    default: nil
    }
  }

  public func flag(_ key: String) -> Bool { self[key] == .boolean(true) }

  public func text(_ key: String) -> String? {
    if case .text(let value) = self[key] { return value }
    return nil
  }

  public func rate(_ key: String) -> FrameRate? {
    if case .rate(let value) = self[key] { return value }
    return nil
  }

  public func rectangle(_ key: String) -> Rectangle? {
    if case .rectangle(let value) = self[key] { return value }
    return nil
  }

  /// A part of a picture, in pixels or in thousandths.
  public func part(_ key: String) -> PicturePart? {
    switch self[key] {
    case .rectangle(let area): PicturePart(area)
    case .permille(let area): PicturePart(area, isPermille: true)
    default: nil
    }
  }

  public func numbers(_ key: String) -> [Int]? {
    if case .numbers(let values) = self[key] { return values }
    return nil
  }

  public func object(_ key: String) -> ObjectPath? {
    if case .object(let value) = self[key] { return value }
    return nil
  }

  /// Keys whose values differ.
  public func changes(from old: ObjectSettings) -> Set<String> {
    Set(values.keys).union(old.values.keys).filter { self[$0] != old[$0] }
  }
}
