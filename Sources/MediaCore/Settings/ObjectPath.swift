// SPDX-License-Identifier: Apache-2.0

/// The classes of objects that are directories of the tree, in the order `config` writes them.
public enum ObjectClass: String, Sendable, CaseIterable, Comparable {
  case vi, vpss, venc, vdec, vo, rgn, vb

  public static func < (a: ObjectClass, b: ObjectClass) -> Bool {
    allCases.firstIndex(of: a) ?? 0 < allCases.firstIndex(of: b) ?? 0
  }
}

/// Name of an object: `vi/0`, `vpss/0`, and an output of a scaler group: `vpss/0/1`.
public struct ObjectPath: Sendable, Hashable {
  public let kind: ObjectClass
  /// Channel or group number, 0...63.
  public let number: Int
  /// Output of a `vpss` group, 0...3; `nil` for the object itself.
  public let output: Int?

  /// `nil` when a number is out of range, or an output is given where there is none.
  public init?(_ kind: ObjectClass, _ number: Int, output: Int? = nil) {
    guard (0..<64).contains(number) else { return nil }
    if let output { guard kind == .vpss, (0..<4).contains(output) else { return nil } }
    self.kind = kind
    self.number = number
    self.output = output
  }

  /// Parses exactly the canonical text; leading zeros, signs and blanks are not names.
  public init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3, let kind = ObjectClass(rawValue: String(parts[0])) else { return nil }
    guard let number = Self.index(parts[1]) else { return nil }
    var output: Int?
    if parts.count == 3 {
      guard let value = Self.index(parts[2]) else { return nil }
      output = value
    }
    self.init(kind, number, output: output)
  }

  private static func index(_ text: some StringProtocol) -> Int? {
    guard let value = Int(text), value >= 0, String(value) == text else { return nil }
    return value
  }

  /// The group an output belongs to; itself for every other object.
  public var group: ObjectPath { output == nil ? self : ObjectPath(kind, number) ?? self }
}

extension ObjectPath: CustomStringConvertible {
  public var description: String {
    if let output { return "\(kind.rawValue)/\(number)/\(output)" }
    return "\(kind.rawValue)/\(number)"
  }
}

extension ObjectPath: Comparable {
  public static func < (a: ObjectPath, b: ObjectPath) -> Bool {
    (a.kind, a.number, a.output ?? -1) < (b.kind, b.number, b.output ?? -1)
  }
}
