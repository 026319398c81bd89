// SPDX-License-Identifier: Apache-2.0

/// One named fact, for pages of `key: value` lines.
public struct KeyValue: Sendable, Equatable {
  /// Name: lower-case letters, digits and underscores.
  public var key: String
  /// Value with its unit, one line.
  public var value: String

  public init(
    key: String, value: String
  ) {
    self.key = key
    self.value = value
  }
}
