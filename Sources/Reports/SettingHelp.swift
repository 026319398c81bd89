// SPDX-License-Identifier: Apache-2.0

/// What kind of file an attribute is. The raw value is the name users see.
public enum AttributeKind: String, Sendable, Equatable, CaseIterable {
  case info, setting, command, stream, picture, blob
  /// Takes a stream of bytes, with back-pressure.
  case sink
}

/// What can be said about one attribute of the tree.
public struct SettingHelp: Sendable, Equatable {
  /// Its path with `N` for numbers, for example `venc/N/bitrate`.
  public var path: String
  /// What kind of file it is.
  public var kind: AttributeKind
  /// Type of the value, for example `integer`, `fraction`, `name`.
  public var type: String
  /// What is allowed, for example `2..200000` or `cbr vbr`; nil without bound.
  public var range: String?
  /// Unit, for example `kbps`; nil for a plain value.
  public var unit: String?
  /// Value of a new object; nil when there is none.
  public var defaultValue: String?
  /// true: may be changed while the object runs; false: the object must be stopped; nil: nothing can be set.
  public var isLive: Bool?
  /// One line more.
  public var note: String?

  public init(
    path: String, kind: AttributeKind, type: String, range: String? = nil, unit: String? = nil,
    defaultValue: String? = nil, isLive: Bool? = nil, note: String? = nil
  ) {
    self.path = path
    self.kind = kind
    self.type = type
    self.range = range
    self.unit = unit
    self.defaultValue = defaultValue
    self.isLive = isLive
    self.note = note
  }
}
