// SPDX-License-Identifier: Apache-2.0
public import Reports

/// One attribute of a kind of object: a row of the settings table. Parsing, defaults, `help`, `config` and the reasons
/// in refusals all come from it.
public struct Attribute: Sendable {
  /// What the file is; decides its mode and contract.
  public typealias Kind = AttributeKind

  /// When a new value of a setting takes effect on a running object.
  public enum Change: String, Sendable {
    /// At the next frame or group of pictures.
    case live
    /// The same, once what it names has been read: the write waits for that.
    case prepared
    /// Only while the object is stopped.
    case restart
  }

  public var key: String
  public var kind: Kind
  /// What may be written; `nothing` for files that are only read.
  public var type: SettingType
  /// `kbps`, `frames`, `pixels`...; empty where the value has none.
  public var unit: String
  public var change: Change
  /// How an accepted change of a running object is measured; `nil` where nothing is measured.
  public var effect: EffectRule?
  /// One line for `help`.
  public var summary: String
  /// The value of a new object, which may depend on its other settings (a coding's usual rate control).
  public var defaultValue: @Sendable (ObjectSettings) -> SettingValue
  /// Why the setting means nothing beside the others, or `nil` when it does. What was asked is kept then, `active` says that
  /// it is not used, and the object runs with the default.
  public var uselessness: @Sendable (ObjectSettings) -> String?

  public init(
    _ key: String, _ type: SettingType, default value: SettingValue, unit: String = "", _ change: Change,
    effect: EffectRule? = nil, _ summary: String,
    dependentDefault: (@Sendable (ObjectSettings) -> SettingValue)? = nil,
    useless: @escaping @Sendable (ObjectSettings) -> String? = { _ in nil }
  ) {
    self.key = key
    self.kind = .setting
    self.type = type
    self.unit = unit
    self.change = change
    self.effect = effect
    self.summary = summary
    self.defaultValue = dependentDefault ?? { _ in value }
    self.uselessness = useless
  }

  /// An attribute that is not a setting.
  public init(_ key: String, _ kind: Kind, effect: EffectRule? = nil, _ summary: String) {
    self.key = key
    self.kind = kind
    self.type = kind == .command ? .trigger : .nothing
    self.unit = ""
    self.change = .live
    self.effect = effect
    self.summary = summary
    self.defaultValue = { _ in .none }
    self.uselessness = { _ in nil }
  }
}
