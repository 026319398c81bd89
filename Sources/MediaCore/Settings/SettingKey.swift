// SPDX-License-Identifier: Apache-2.0

/// The name of a setting together with what its value is: `settings[.gop]` is an `Int?`.
///
/// Those that engines are asked for are declared in `EncoderKeys.swift`.
public struct SettingKey<Value: Sendable>: Sendable, Hashable {
  public let name: String
  public init(_ name: String) { self.name = name }
}

extension ObjectSettings {
  /// The value; `nil` where the setting is off or left to the engine.
  public subscript(key: SettingKey<Int>) -> Int? {
    get { integer(key.name) }
    set { self[key.name] = newValue.map { .integer($0) } ?? .none }
  }

  public subscript(key: SettingKey<[Int]>) -> [Int]? {
    get { numbers(key.name) }
    set { self[key.name] = newValue.map { .numbers($0) } ?? .none }
  }

  public subscript(key: SettingKey<String>) -> String? {
    get { text(key.name) }
    set { self[key.name] = newValue.map { .text($0) } ?? .none }
  }
}
