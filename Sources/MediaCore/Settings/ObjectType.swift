// SPDX-License-Identifier: Apache-2.0

/// What kind of directory an object is: its class, with the outputs of groups and with attachments as kinds of their own.
public struct ObjectType: Sendable, Hashable {
  /// Where the directory of such an object is.
  public enum Part: Sendable, Hashable {
    /// In that of its class.
    case whole
    /// In that of an object of the class.
    case output
    /// In the `attach` of an object of the class, named for what it is attached to.
    case attachment
  }

  /// First part of the path.
  public let name: String
  public let part: Part

  public init(_ name: String, _ part: Part = .whole) {
    self.name = name
    self.part = part
  }

  /// The directory is inside that of an object of the class.
  public var isPart: Bool { part != .whole }

  /// How `help` writes the path of such an object.
  public var pattern: String {
    switch part {
    case .whole: "\(name)/N"
    case .output: "\(name)/N/M"
    case .attachment: "\(name)/N/\(ObjectPath.attachments)/M"
    }
  }

  /// What outputs of such an object are.
  public var outputs: ObjectType { ObjectType(name, .output) }

  /// What attaches such an object to others.
  public var attachments: ObjectType { ObjectType(name, .attachment) }
}
