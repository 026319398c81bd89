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
  /// What an engine needs to take the change without being reopened; empty where none is needed.
  public var capability: EncoderCapabilities
  /// How an accepted change of a running object is measured; `nil` where nothing is measured.
  public var effect: EffectRule?
  /// One line for `help`.
  public var summary: String
  /// The value of a new object, which may depend on its other settings (a coding's usual rate control).
  public var defaultValue: @Sendable (ObjectSettings) -> SettingValue
  /// Why the setting means nothing beside the others, or `nil` when it does. It keeps its default then, and another
  /// value is refused instead of being swallowed.
  public var uselessness: @Sendable (ObjectSettings) -> String?

  public init(
    _ key: String, _ type: SettingType, default value: SettingValue, unit: String = "", _ change: Change,
    capability: EncoderCapabilities = [], effect: EffectRule? = nil, _ summary: String,
    dependentDefault: (@Sendable (ObjectSettings) -> SettingValue)? = nil,
    useless: @escaping @Sendable (ObjectSettings) -> String? = { _ in nil }
  ) {
    self.key = key
    self.kind = .setting
    self.type = type
    self.unit = unit
    self.change = change
    self.capability = capability
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
    self.capability = []
    self.effect = effect
    self.summary = summary
    self.defaultValue = { _ in .none }
    self.uselessness = { _ in nil }
  }
}

/// How long the effect of a change is watched, and how near the measured value must come to be called effective.
public struct EffectRule: Sendable, Equatable {
  public enum Window: Sendable, Equatable {
    /// Coded frames after the change.
    case frames(Int)
    /// Whole groups of pictures after the change.
    case groups(Int)
    /// Seconds of stream after the change.
    case seconds(Int)
  }

  public var window: Window
  /// Windows that are tried, one after the other, before the change is called without effect.
  public var attempts: Int
  /// Allowed distance from what was asked, in per cent of it; 0 is exact.
  public var tolerancePercent: Int

  public init(_ window: Window, attempts: Int = 1, tolerancePercent: Int = 0) {
    self.window = window
    self.attempts = attempts
    self.tolerancePercent = tolerancePercent
  }

  /// A bitrate, which engines approach.
  public static let bitrate = EffectRule(.seconds(2), attempts: 3, tolerancePercent: 15)
  /// A frame rate; a window of two seconds may hold one picture more or less.
  public static let frameRate = EffectRule(.seconds(2), attempts: 3, tolerancePercent: 5)
  /// The distance of key frames: the group under way may still have the old one.
  public static let groups = EffectRule(.groups(2))
  /// The quantiser of the next key picture, or of the next other one.
  public static let quantiser = EffectRule(.groups(1))
  /// What the next picture must show.
  public static let nextPicture = EffectRule(.frames(1))

  /// The window in microseconds of stream, where it is one of time.
  public var microseconds: Int64? {
    if case .seconds(let count) = window { return Int64(count) * 1_000_000 }
    return nil
  }

  /// The window in groups of pictures, where it is one.
  public var groups: Int? {
    if case .groups(let count) = window { return count }
    return nil
  }

  /// For `help`: `2 s`, `1 frame`, `2 groups`, `3 times 2 s`.
  public var windowText: String {
    let text =
      switch window {
      case .frames(let count): count == 1 ? "1 frame" : "\(count) frames"
      case .groups(let count): count == 1 ? "1 group" : "\(count) groups"
      case .seconds(let count): "\(count) s"
      }
    return attempts == 1 ? text : "\(attempts) times \(text)"
  }

  /// For `help`: `exact`, `15 %`.
  public var toleranceText: String { tolerancePercent == 0 ? "exact" : "\(tolerancePercent) %" }
}
