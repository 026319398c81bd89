// SPDX-License-Identifier: Apache-2.0

/// One setting that an engine obeys.
public struct EngineSetting: Sendable, Equatable {
  public var key: String
  /// It takes a new value while it runs; else it is opened anew, and the stream goes on at a key frame.
  public var isLive: Bool
  /// Values it takes, where they are fewer than the setting's own.
  public var range: ClosedRange<Int>?
  /// What it uses where the setting is `auto`, as far as it is known.
  public var usual: Int?

  public init(
    _ key: SettingKey<Int>, live isLive: Bool, _ range: ClosedRange<Int>? = nil, usual: Int? = nil
  ) {
    self.key = key.name
    self.isLive = isLive
    self.range = range
    self.usual = usual
  }

  public init(_ key: SettingKey<PictureRegion>, live isLive: Bool) {
    self.key = key.name
    self.isLive = isLive
  }

  public init(_ key: SettingKey<[Int]>, live isLive: Bool) {
    self.key = key.name
    self.isLive = isLive
  }

  /// A choice by name; usually made when the engine is opened.
  public init(_ key: SettingKey<String>, live isLive: Bool = false) {
    self.key = key.name
    self.isLive = isLive
  }
}

/// The settings an engine obeys for one coding: what `help`, refusals, `effect` and reopening follow from. What is not in
/// it never reaches the engine.
public struct EngineSettings: Sendable, Equatable, ExpressibleByArrayLiteral {
  private var settings: [String: EngineSetting]
  /// Why it has not what others of its coding have, by key, where that is worth telling.
  public let obstacles: [String: String]

  public init(_ settings: [EngineSetting], lacking obstacles: [String: String] = [:]) {
    self.obstacles = obstacles
    self.settings = Dictionary(settings.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
  }

  public init(arrayLiteral settings: EngineSetting...) { self.init(settings) }

  public subscript(key: String) -> EngineSetting? { settings[key] }
  public subscript(key: SettingKey<Int>) -> EngineSetting? { settings[key.name] }

  /// Whether it takes all of these while it runs.
  public func areLive(_ keys: some Sequence<String>) -> Bool { keys.allSatisfy { settings[$0]?.isLive ?? true } }

  /// Those of an object's settings that it obeys.
  public func select(_ values: ObjectSettings) -> ObjectSettings {
    ObjectSettings(values.values.filter { settings[$0.key] != nil })
  }

  /// Checks values against the engine's own ranges.
  /// - Throws: ERANGE with the key as the operation and the range as the detail.
  public func check(_ values: ObjectSettings, engine: String) throws(Failure) {
    for key in values.values.keys.sorted() {
      guard case .integer(let value) = values[key], let range = settings[key]?.range, !range.contains(value) else {
        continue
      }
      throw Failure(.outOfRange, key, on: engine, "it takes \(range.lowerBound)..\(range.upperBound)")
    }
  }
}
