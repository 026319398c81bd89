// SPDX-License-Identifier: Apache-2.0
import MediaCore
import SystemPackage

/// The text form of a whole configuration: lines `path = value`, `#` comments, `\n` and `\\` escapes in values.
///
/// Canonical form, which `render` writes and `parse` takes along with looser spacing: a first line `create`, so that the text
/// loads where its objects are not; objects by class and number, settings in the order of the settings table (so `source` and
/// `enable` last), an empty value as `path =`.
enum ConfigText {
  /// Largest text taken as one transaction: what the file system takes in one write, less a page that a buffer begins within.
  static let largest = 240 * 1024

  static func render(
    _ objects: [(path: ObjectPath, settings: ObjectSettings)], _ table: SettingsTable,
    memoryLimit: SettingValue = .none
  ) -> [UInt8] {
    var text = Array("create\n".utf8)
    // Not `auto`, which is what it is where nobody asked for anything.
    if memoryLimit != .none { write(MemoryLimit.key, memoryLimit.text(MemoryLimit.type), to: &text) }
    for (path, settings) in objects {
      for attribute in table.settings(path.type) {
        if attribute.key == "enable" {
          // What of a device's controls was set; it has no others that could be named before it is open.
          for (name, value) in settings.controls.sorted(by: { $0.key < $1.key }) {
            write("\(path)/\(ControlKey.key(name))", value, to: &text)
          }
        }
        write("\(path)/\(attribute.key)", settings[attribute.key].text(attribute.type), to: &text)
      }
    }
    return text
  }

  private static func write(_ name: String, _ value: String, to text: inout [UInt8]) {
    text += "\(name) =".utf8
    if !value.isEmpty {
      text.append(UInt8(ascii: " "))
      for byte in value.utf8 {
        switch byte {
        case UInt8(ascii: "\\"): text += #"\\"#.utf8
        case UInt8(ascii: "\n"): text += #"\n"#.utf8
        default: text.append(byte)
        }
      }
    }
    text.append(UInt8(ascii: "\n"))
  }

  /// - Parameter creates: whether objects that are named and not there are made. Else that takes a first line `create` or
  ///   `replace`: a number that was mistyped must not become an object.
  /// - Throws: E2BIG above 240 KiB; EINVAL for a text that does not end in a newline, a line that has not the form or
  ///   a `replace` with nothing after it; the reason starts with the line's number.
  static func parse(_ text: [UInt8], name: String, creates: Bool, _ table: SettingsTable) throws(Refusal) -> Transaction
  {
    guard text.count <= largest else {
      throw Refusal(
        .argListTooLong, path: name, reason: "\(text.count) bytes are more than one transaction takes",
        hint: "at most \(largest) bytes")
    }
    guard text.isEmpty || text.last == UInt8(ascii: "\n") else {
      throw Refusal(
        .invalidArgument, path: name, value: Array(text.suffix(80)), reason: "the text does not end in a newline",
        hint: "the whole text has to come in one write: use cat, cp or a here-document, above 128 KiB dd bs=256K")
    }
    var transaction = Transaction(changes: [], name: name, createsNamed: creates)
    var seen: [String: Int] = [:]
    var isFirst = true
    for (index, line) in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      let content = trimmed(line)
      if content.isEmpty || content.first == UInt8(ascii: "#") { continue }
      if isFirst, content.elementsEqual("replace".utf8) {
        // bash's printf writes each line by itself: the first one alone must not remove everything.
        guard line.endIndex < text.count - 1 else {
          throw refusal(
            .invalidArgument, line, index + 1, name, "nothing follows, which would remove every object",
            "the whole text has to come in one write: use cat, cp or a here-document, above 128 KiB dd bs=256K; "
              + "to remove everything let a comment follow")
        }
        transaction.removesOthers = true
        transaction.createsNamed = true
        continue
      }
      // Also after `replace`: people put that before what `config` printed.
      if isFirst, content.elementsEqual("create".utf8) {
        transaction.createsNamed = true
        continue
      }
      isFirst = false
      let number = index + 1
      let (left, value) = try sides(line, number, name: name)
      if left == MemoryLimit.key {
        guard transaction.memoryLimit == nil else {
          throw refusal(.invalidArgument, line, number, name, "\(left) stands in a line before already", "")
        }
        do throws(Refusal) {
          transaction.memoryLimit = try MemoryLimit.parse(value)
        } catch {
          throw refusal(error.errno, line, number, name, "\(left): \(error.reason)", error.hint)
        }
        continue
      }
      let (path, key) = try setting(left, line, number, name: name, table)
      if let before = seen.updateValue(number, forKey: "\(path)/\(key)") {
        throw refusal(.invalidArgument, line, number, name, "\(path)/\(key) stands in line \(before) already", "")
      }
      transaction.changes.append(.set(path, key, value))
      transaction.lines.append(number)
    }
    return transaction
  }

  private static func refusal(
    _ errno: Errno, _ line: ArraySlice<UInt8>, _ number: Int, _ name: String, _ reason: String, _ hint: String
  ) -> Refusal {
    Refusal(errno, path: name, value: Array(line), reason: "line \(number): \(reason)", hint: hint)
  }

  private static let form = "lines are: path = value, for example venc/0/bitrate = 2000"

  /// What stands before the = of a line, and the value behind it.
  private static func sides(
    _ line: ArraySlice<UInt8>, _ number: Int, name: String
  ) throws(Refusal) -> (left: String, value: [UInt8]) {
    guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else {
      throw refusal(.invalidArgument, line, number, name, "has no =", form)
    }
    guard let left = String(validating: trimmed(line[..<equals]), as: UTF8.self) else {
      throw refusal(.invalidArgument, line, number, name, "is not UTF-8 text", form)
    }
    return (left, try value(of: line[(equals + 1)...], line, number, name: name))
  }

  private static func setting(
    _ left: String, _ line: ArraySlice<UInt8>, _ number: Int, name: String, _ table: SettingsTable
  ) throws(Refusal) -> (ObjectPath, String) {
    let slash = left.firstRange(of: "/\(ControlKey.key(""))")?.lowerBound ?? left.lastIndex(of: "/")
    guard let slash, let path = table.path(left[..<slash]) else {
      if let slash, let range = table.numbering(left[..<slash]) {
        throw refusal(.outOfRange, line, number, name, "\(left[..<slash]) is out of range", range)
      }
      throw refusal(.noSuchFileOrDirectory, line, number, name, "names no attribute of an object", form)
    }
    return (path, String(left[left.index(after: slash)...]))
  }

  private static func value(
    of text: ArraySlice<UInt8>, _ line: ArraySlice<UInt8>, _ number: Int, name: String
  ) throws(Refusal) -> [UInt8] {
    var right = text
    // The one blank of the form; any further one belongs to the value.
    if right.first == UInt8(ascii: " ") { right.removeFirst() }
    var value: [UInt8] = []
    var isEscaped = false
    for byte in right {
      if isEscaped {
        switch byte {
        case UInt8(ascii: "n"): value.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "\\"): value.append(byte)
        default: throw refusal(.invalidArgument, line, number, name, "has an unknown escape", #"\n and \\ are known"#)
        }
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else {
        value.append(byte)
      }
    }
    if isEscaped { throw refusal(.invalidArgument, line, number, name, "ends inside an escape", #"write \\"#) }
    return value
  }

  private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var rest = line
    while let byte = rest.first, SettingText.isBlank(byte) { rest.removeFirst() }
    while let byte = rest.last, SettingText.isBlank(byte) { rest.removeLast() }
    return rest
  }
}
