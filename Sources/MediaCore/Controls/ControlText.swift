// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Controls in the tree and in `config`: the key of a setting that is a control of the device, and values as text.
public enum ControlKey {
  static let prefix = "controls/"

  /// `controls/brightness`
  public static func key(_ name: String) -> String { prefix + name }

  /// The control's name in a key; `nil` for an ordinary setting.
  public static func name(in key: String) -> String? {
    guard key.hasPrefix(prefix) else { return nil }
    let name = key.dropFirst(prefix.count)
    return name.isEmpty || name.contains("/") ? nil : String(name)
  }

  /// What was written, as long as no device says what it takes; empty for "as the device has it by itself".
  package static func line(_ bytes: [UInt8], path: String) throws(Refusal) -> SettingValue {
    do throws(ValueError) {
      let text = try SettingText.line(bytes, "one line of text")
      return text.isEmpty ? .none : .text(text)
    } catch {
      throw Refusal(error.errno, path: path, value: bytes, reason: error.reason, hint: error.hint)
    }
  }
}

extension ObjectSettings {
  /// The controls that were set, by name, as text.
  public var controls: [String: String] {
    var found: [String: String] = [:]
    for (key, value) in values {
      if let name = ControlKey.name(in: key), case .text(let text) = value { found[name] = text }
    }
    return found
  }
}

extension DeviceControl {
  /// What is taken, for `help` and hints: `0..255`, `0..255, step 5`, `manual, auto`.
  public var range: String {
    switch kind {
    case .integer: "\(minimum)..\(maximum)" + (step > 1 ? ", step \(step)" : "")
    case .boolean: "0 1"
    case .button: "1"
    case .bitmask: "bits of \(DeviceControl.hexadecimal(maximum))"
    case .menu: "\(choices.count) choices"
    case .integerMenu: choices.map(\.name).joined(separator: " ")
    case .string:
      minimum == maximum ? "\(maximum) bytes" : "\(minimum)..\(maximum) bytes" + (step > 1 ? ", step \(step)" : "")
    case .unsupported: ""
    }
  }

  /// The choices of a menu, which may be many and long: `0=Off, 1=50 Hz`; empty for all else.
  public var choiceList: String {
    kind == .menu ? choices.map { "\($0.number)=\($0.name)" }.joined(separator: ", ") : ""
  }

  /// The type for `help`.
  public var typeName: String {
    switch kind {
    case .integer: "integer"
    case .boolean: "boolean"
    case .button: "trigger"
    case .bitmask: "bitmask"
    case .menu: "choice"
    case .integerMenu: "choice"
    case .string: "text"
    case .unsupported(let what): what
    }
  }

  /// What would be right, for refusals.
  public var expectation: String {
    switch kind {
    case .integer: "a whole decimal number, \(range), default \(defaultValue)"
    case .boolean: "write 0 or 1, default \(defaultValue)"
    case .button: "write 1"
    case .bitmask: "a number in hexadecimal with 0x, or decimal; \(range)"
    case .menu: "one of, by name or number: \(choiceList)"
    case .integerMenu: "one of: \(range)"
    case .string: "text of \(range)"
    case .unsupported: "not one value: use v4l2-ctl"
    }
  }

  /// The text a value is shown and saved as: a menu's choice by its name.
  public func text(_ value: ControlValue) -> String {
    switch (value, kind) {
    case (.text(let text), _): return text
    case (.number(let number), .bitmask): return DeviceControl.hexadecimal(number)
    case (.number(let number), .menu), (.number(let number), .integerMenu):
      guard let name = choices.first(where: { $0.number == number })?.name else { return "\(number)" }
      // A name two choices share does not say which.
      return kind == .menu && choices.count(where: { $0.name == name }) > 1 ? "\(number)" : name
    case (.number(let number), _): return "\(number)"
    }
  }

  public var defaultText: String {
    switch kind {
    case .button, .string, .unsupported: ""
    default: text(.number(defaultValue))
    }
  }

  /// Turns what was written to `path` into a value.
  /// - Throws: EINVAL not a value, ERANGE out of range, E2BIG too long, EACCES read-only, ENOTSUP not one value.
  public func parse(_ bytes: [UInt8], path: String) throws(Refusal) -> ControlValue {
    do throws(ValueError) {
      guard !isReadOnly else {
        throw ValueError(errno: .permissionDenied, reason: "is only read", hint: "the device sets it itself")
      }
      return try parse(SettingText.line(bytes, expectation))
    } catch {
      throw Refusal(error.errno, path: path, value: bytes, reason: error.reason, hint: error.hint)
    }
  }

  private func parse(_ text: String) throws(ValueError) -> ControlValue {
    func bad(_ reason: String, _ errno: Errno = .invalidArgument) -> ValueError {
      ValueError(errno: errno, reason: reason, hint: expectation)
    }
    switch kind {
    case .integer:
      let number = try decimal(text)
      guard let number, number >= minimum, number <= maximum else { throw bad("is out of range", .outOfRange) }
      let (distance, isHuge) = number.subtractingReportingOverflow(minimum)
      guard isHuge || step <= 1 || distance % step == 0 else { throw bad("is not a multiple of the step \(step)") }
      return .number(number)
    case .boolean:
      guard text == "0" || text == "1" else { throw bad(text.isEmpty ? "is empty" : "is neither 0 nor 1") }
      return .number(text == "1" ? 1 : 0)
    case .button:
      guard text.isEmpty || text == "1" else { throw bad("takes no argument") }
      return .number(1)
    case .bitmask:
      let number = text.hasPrefix("0x") ? UInt32(text.dropFirst(2), radix: 16) : UInt32(text)
      guard let number else { throw bad(text.isEmpty ? "is empty" : "is not a number of 32 bits") }
      guard number & ~UInt32(truncatingIfNeeded: maximum) == 0 else {
        throw bad("has bits it does not have", .outOfRange)
      }
      return .number(Int64(number))
    case .menu:
      let named = choices.filter { $0.name == text }
      if named.count == 1 { return .number(named[0].number) }
      if named.count > 1 { throw bad("is the name of several choices: write its number") }
      guard let number = Int64(text) else { throw bad(text.isEmpty ? "is empty" : "is not a choice") }
      guard choices.contains(where: { $0.number == number }) else { throw bad("is no number of a choice", .outOfRange) }
      return .number(number)
    case .integerMenu:
      if let choice = choices.first(where: { $0.name == text }) { return .number(choice.number) }
      _ = try decimal(text)
      throw bad("is not a choice", .outOfRange)
    case .string:
      let length = Int64(text.utf8.count)
      guard length >= minimum, length <= maximum else { throw bad("is \(length) bytes long", .outOfRange) }
      guard step <= 1 || (length - minimum) % step == 0 else {
        throw bad("is \(length) bytes long, which is not a multiple of the step \(step)", .outOfRange)
      }
      return .text(text)
    case .unsupported(let what): throw bad("is \(what)", .notSupported)
    }
  }

  /// `nil` for a number that does not fit 64 bits.
  private func decimal(_ text: String) throws(ValueError) -> Int64? {
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    guard !digits.isEmpty, digits.utf8.allSatisfy(SettingText.isDigit) else {
      throw ValueError(
        errno: .invalidArgument, reason: text.isEmpty ? "is empty" : "is not a whole decimal number", hint: expectation)
    }
    return Int64(text)
  }

  /// As `v4l2-ctl` prints it.
  private static func hexadecimal(_ value: Int64) -> String {
    let digits = String(UInt32(truncatingIfNeeded: value), radix: 16)
    return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}
