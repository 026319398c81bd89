// SPDX-License-Identifier: Apache-2.0

/// Name of an object: `vi/0`, `vpss/0`, and an output of a scaler group: `vpss/0/1`. Only the form is checked here; which
/// objects there can be, and in what order they stand, the runtime's settings table knows.
public struct ObjectPath: Sendable, Hashable {
  /// Numbers an object or an output can have.
  public static let numbers = 0...63

  /// First part, the name of a class: `vi`, `vpss`.
  public let kind: String
  public let number: Int
  /// Output of a group; `nil` for the object itself.
  public let output: Int?

  /// `nil` for what cannot be the name of a class, and when a number is out of range.
  public init?(_ kind: String, _ number: Int, output: Int? = nil) {
    guard kind.utf8.first.map(Self.isLetter) ?? false,
      kind.utf8.allSatisfy({ Self.isLetter($0) || SettingText.isDigit($0) }),
      Self.numbers.contains(number), Self.numbers.contains(output ?? 0)
    else { return nil }
    self.kind = kind
    self.number = number
    self.output = output
  }

  /// Parses exactly the canonical text; leading zeros, signs and blanks are not names.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3, let number = Self.index(parts[1]) else { return nil }
    var output: Int?
    if parts.count == 3 {
      guard let value = Self.index(parts[2]) else { return nil }
      output = value
    }
    self.init(String(parts[0]), number, output: output)
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

  private static func index(_ text: some StringProtocol) -> Int? {
    guard let value = Int(text), value >= 0, String(value) == text else { return nil }
    return value
  }

  /// The group an output belongs to; itself for every other object.
  public var group: ObjectPath { output == nil ? self : ObjectPath(kind, number) ?? self }

  public var type: ObjectType { ObjectType(kind, isOutput: output != nil) }
}

extension ObjectPath: CustomStringConvertible {
  public var description: String { "\(kind)/\(number)" + (output.map { "/\($0)" } ?? "") }
}
