// SPDX-License-Identifier: Apache-2.0

/// What kind of directory an object is: its class, with the outputs of groups as a kind of their own.
public struct ObjectType: Sendable, Hashable {
  /// First part of the path.
  public let name: String
  /// The directory is inside that of an object of the class.
  public let isOutput: Bool

  public init(_ name: String, isOutput: Bool = false) {
    self.name = name
    self.isOutput = isOutput
  }

  /// How `help` writes the path of such an object.
  public var pattern: String { isOutput ? "\(name)/N/M" : "\(name)/N" }

  /// What outputs of such an object are.
  public var outputs: ObjectType { ObjectType(name, isOutput: true) }
}
