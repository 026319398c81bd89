// SPDX-License-Identifier: Apache-2.0

/// Name of an object: `vi/0`, `vpss/0`; an output of a scaler group: `vpss/0/1`; what attaches an object to another one:
/// `rgn/0/attach/vpss-0-1`. Only the form is checked here; which objects there can be, and in what order they stand, the
/// runtime's settings table knows.
public struct ObjectPath: Sendable, Hashable {
  /// Numbers an object or an output can have; a class may have fewer.
  public static let numbers = 0...127

  /// First part, the name of a class: `vi`, `vpss`.
  public let kind: String
  public let number: Int
  /// Output of a group; `nil` for all else.
  public let output: Int?
  /// What an attachment goes to; `nil` for all else.
  private let place: Place?

  /// A path without an attachment.
  private struct Place: Sendable, Hashable {
    let kind: String
    let number: Int
    let output: Int?
  }

  /// The directory between an object and its attachments.
  public static let attachments = "attach"

  /// `nil` for what cannot be the name of a class, and when a number is out of range.
  public init?(_ kind: String, _ number: Int, output: Int? = nil) {
    guard kind.utf8.first.map(Self.isLetter) ?? false,
      kind.utf8.allSatisfy({ Self.isLetter($0) || SettingText.isDigit($0) }),
      Self.numbers.contains(number), Self.numbers.contains(output ?? 0)
    else { return nil }
    self.kind = kind
    self.number = number
    self.output = output
    place = nil
  }

  private init(_ owner: ObjectPath, at target: ObjectPath) {
    kind = owner.kind
    number = owner.number
    output = nil
    place = Place(kind: target.kind, number: target.number, output: target.output)
  }

  /// What attaches this object to another; `nil` where either is a part of such a kind itself.
  public func attachment(to target: ObjectPath) -> ObjectPath? {
    isPart || target.place != nil ? nil : ObjectPath(self, at: target)
  }

  /// Parses exactly the canonical text; leading zeros, signs and blanks are not names.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (2...4).contains(parts.count), let number = Self.index(parts[1]) else { return nil }
    if parts.count == 4 {
      guard parts[2] == Self.attachments, let owner = ObjectPath(String(parts[0]), number),
        let target = Self.target(parts[3])
      else { return nil }
      self.init(owner, at: target)
      return
    }
    var output: Int?
    if parts.count == 3 {
      guard let value = Self.index(parts[2]) else { return nil }
      output = value
    }
    self.init(String(parts[0]), number, output: output)
  }

  /// From the name of an attachment: `venc-0`, `vpss-0-1`.
  private static func target(_ name: some StringProtocol) -> ObjectPath? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3 else { return nil }
    return ObjectPath(parts.joined(separator: "/"))
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

  private static func index(_ text: some StringProtocol) -> Int? {
    guard let value = Int(text), value >= 0, String(value) == text else { return nil }
    return value
  }

  /// It stands inside another object's directory.
  public var isPart: Bool { output != nil || place != nil }

  /// The object it is a part of: the group of an output, whose attachment it is; itself for every other object.
  public var group: ObjectPath { isPart ? ObjectPath(kind, number) ?? self : self }

  /// What an attachment goes to.
  public var target: ObjectPath? { place.flatMap { ObjectPath($0.kind, $0.number, output: $0.output) } }

  public var type: ObjectType {
    ObjectType(kind, output != nil ? .output : place != nil ? .attachment : .whole)
  }

  /// The name of its directory.
  public var name: String {
    guard let place else { return String(output ?? number) }
    return "\(place.kind)-\(place.number)" + (place.output.map { "-\($0)" } ?? "")
  }
}

extension ObjectPath: CustomStringConvertible {
  public var description: String {
    if place != nil { return "\(kind)/\(number)/\(Self.attachments)/\(name)" }
    return "\(kind)/\(number)" + (output.map { "/\($0)" } ?? "")
  }
}
