// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// Why a text is no value of a setting: the part of a ``Refusal`` that the parser knows.
package struct ValueError: Error {
  package var errno: Errno
  package var reason: String
  package var hint: String
}

/// Turns what was written into an attribute into a value. Exact: no blanks, units, signs, prefixes or exponents are
/// guessed at, since a guess that is wrong by a factor of 1000 is worse than a refusal.
package enum SettingText {
  /// Longest value of any setting, that of a path (PATH_MAX).
  static let longest = 4096

  /// A written line without its one trailing newline, and without the blanks and the carriage return before it: editors and
  /// terminals of other systems leave them, and no value ends in one.
  package static func trimmed(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    var content = bytes[...]
    if content.last == UInt8(ascii: "\n") { content.removeLast() }
    while let last = content.last, isBlank(last) { content.removeLast() }
    return content
  }

  /// Also a carriage return, which ends the lines of some editors.
  package static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
  }

  /// What is left of it where that is text.
  package static func word(_ bytes: [UInt8]) -> String { String(decoding: trimmed(bytes), as: UTF8.self) }

  /// The line as text.
  static func line(_ bytes: [UInt8], _ expectation: String) throws(ValueError) -> String {
    let content = trimmed(bytes)
    guard content.count <= longest else {
      throw ValueError(errno: .argListTooLong, reason: "\(bytes.count) bytes are too long", hint: expectation)
    }
    for byte in content where byte < 0x20 || byte == 0x7f {
      let what =
        switch byte {
        case 0: "contains a NUL byte"
        case UInt8(ascii: "\n"): "is more than one line"
        case UInt8(ascii: "\r"): "contains a carriage return"
        default: "contains a control character"
        }
      throw ValueError(errno: .invalidArgument, reason: what, hint: expectation)
    }
    guard let text = String(validating: content, as: UTF8.self) else {
      throw ValueError(errno: .invalidArgument, reason: "is not UTF-8 text", hint: expectation)
    }
    return text
  }

  /// - Parameters:
  ///   - isName: whether there are objects of that name, here or elsewhere.
  ///   - numbering: which numbers there are, for a name that has another one.
  package static func parse(
    _ bytes: [UInt8], _ type: SettingType, unit: String, isName: (ObjectPath) -> Bool,
    numbering: (String) -> String? = { _ in nil }
  ) throws(ValueError) -> SettingValue {
    let hint = type.expectation(unit: unit)
    func bad(_ reason: String, _ errno: Errno = .invalidArgument, _ other: String? = nil) -> ValueError {
      ValueError(errno: errno, reason: reason, hint: other ?? hint)
    }
    let text = try line(bytes, hint)
    switch type {
    case .nothing:
      throw bad("cannot be written", .permissionDenied)
    case .trigger:
      guard text.isEmpty || text == "1" else { throw bad("takes no argument") }
      return .none
    case .boolean:
      switch text {
      case "0": return .boolean(false)
      case "1": return .boolean(true)
      default: throw bad(text.isEmpty ? "is empty" : "is neither 0 nor 1")
      }
    case .integer(let range, let step, let off):
      if text == off { return .none }
      let value = try integer(text, hint, unit: unit)
      guard let value, range.contains(value) else { throw bad("is out of range", .outOfRange) }
      guard value % step == 0 else { throw bad("is not a multiple of \(step)") }
      return .integer(value)
    case .rate(let range):
      return .rate(try rate(text, range, hint))
    case .choice(let choices, let elsewhere, let devices):
      if choices.contains(text) { return .text(text) }
      if text.isEmpty { throw bad("is empty") }
      if elsewhere.contains(text) { throw bad("is not available here", .notSupported) }
      if devices, text.hasPrefix("/dev/") { throw bad("is no device known here", .operationNotSupportedByDevice) }
      let lower = text.lowercased()
      if choices.contains(lower) { throw bad("is not spelled so", .invalidArgument, "write \(lower)") }
      throw bad("is not a choice")
    case .input:
      if text.isEmpty { throw bad("is empty") }
      guard let input = InputSpecification(text) else { throw bad("names no input") }
      if case .file(let path) = input, !path.hasPrefix("/") {
        throw bad("is not an absolute path", .invalidArgument, "file: and a path that starts with /")
      }
      return .text(input.description)
    case .deviceFormat:
      if text.isEmpty { throw bad("is empty") }
      guard text == "auto" || PixelFormat(deviceName: text) != nil else { throw bad("is no format") }
      return .text(text)
    case .codedInput:
      if text.isEmpty { throw bad("is empty") }
      if text == CodedInput.feed.description { return .text(text) }
      guard let input = CodedInput(text) else { throw bad("names no coded input") }
      return .text(input.description)
    case .rectangle(let limit):
      return text.isEmpty ? .none : .rectangle(try rectangle(text, limit: limit, hint))
    case .part(let limit):
      return text.isEmpty ? .none : try part(text, limit: limit, hint)
    case .numbers(let count, let range):
      return .numbers(try numbers(text, count, range, hint))
    case .region(let limit):
      return text == "off" ? .none : .region(try region(text, limit: limit, hint))
    case .display(let setting):
      if text.isEmpty { throw bad("is empty") }
      guard let value = setting.canonical(text) else { throw bad("names no \(setting.rawValue)") }
      return .text(value)
    case .drawing(let setting):
      return try setting.parse(text)
    case .source(let types):
      if text.isEmpty { return .none }
      guard let path = ObjectPath(text), isName(path) else {
        if let range = numbering(text) { throw bad("is out of range", .outOfRange, range) }
        throw bad("names no object")
      }
      guard types.contains(path.type) else {
        if types.contains(path.type.outputs) {
          throw bad("is a group; frames come from its outputs", .invalidArgument, "for example \(path)/0")
        }
        throw bad("gives nothing this can receive")
      }
      return .object(path)
    case .pool(let types):
      if text.isEmpty { return .none }
      guard let path = ObjectPath(text), isName(path) else {
        if let range = numbering(text) { throw bad("is out of range", .outOfRange, range) }
        throw bad("names no object")
      }
      guard types.contains(path.type) else { throw bad("gives no buffers") }
      return .object(path)
    }
  }

  // MARK: numbers

  /// A decimal integer; `nil` when it is one but does not fit a machine word.
  private static func integer(_ text: String, _ hint: String, unit: String) throws(ValueError) -> Int? {
    func bad(_ reason: String) -> ValueError { ValueError(errno: .invalidArgument, reason: reason, hint: hint) }
    guard !text.isEmpty else { throw bad("is empty") }
    guard text != "-0" else { throw bad("has a sign") }
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    guard !digits.isEmpty, digits.utf8.allSatisfy(isDigit) else { throw bad(complaint(text, unit: unit)) }
    guard digits.utf8.count == 1 || digits.utf8.first != UInt8(ascii: "0") else { throw bad("has a leading zero") }
    return Int(text)
  }

  static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  /// What is wrong with a text that should have been a number.
  private static func complaint(_ text: String, unit: String) -> String {
    let lower = text.lowercased()
    if lower.hasPrefix("0x") { return "is hexadecimal" }
    if text.hasPrefix("+") { return "has a plus sign" }
    if text.contains(" ") || text.contains("\t") { return "has a blank in it" }
    let body = lower.hasPrefix("-") ? lower.dropFirst() : lower[...]
    let number = body.prefix { $0.isASCII && $0.isNumber }
    let rest = body.dropFirst(number.count)
    guard !number.isEmpty, let next = rest.first else { return "is not a number" }
    if next == ".", rest.dropFirst().allSatisfy({ $0.isASCII && $0.isNumber }) { return "is not a whole number" }
    if next == "e", rest.dropFirst().allSatisfy({ $0.isASCII && $0.isNumber }) { return "has an exponent" }
    if rest.allSatisfy({ $0.isLetter || $0 == "/" || $0 == "%" }) {
      return unit.isEmpty ? "has a unit" : "has a unit; the unit is always \(unit) and is not written"
    }
    return "is not a number"
  }

  // MARK: rates

  private static func rate(
    _ text: String, _ range: ClosedRange<Int>, _ hint: String
  ) throws(ValueError) -> FrameRate {
    func bad(_ reason: String, _ errno: Errno = .invalidArgument) -> ValueError {
      ValueError(errno: errno, reason: reason, hint: hint)
    }
    let rate: FrameRate?
    if let slash = text.firstIndex(of: "/") {
      let above = try integer(String(text[..<slash]), hint, unit: "frames per second")
      let below = try integer(String(text[text.index(after: slash)...]), hint, unit: "frames per second")
      if below == 0 { throw bad("divides by zero") }
      guard let above, let below, above > 0, below > 0 else { throw bad("is out of range", .outOfRange) }
      rate = FrameRate(above, below)
    } else if let point = text.firstIndex(of: ".") {
      let whole = text[..<point]
      let decimals = text[text.index(after: point)...]
      guard !whole.isEmpty, !decimals.isEmpty, whole.utf8.allSatisfy(isDigit), decimals.utf8.allSatisfy(isDigit) else {
        throw bad(complaint(text, unit: "frames per second"))
      }
      rate = decimal(whole, decimals)
    } else {
      rate = try integer(text, hint, unit: "frames per second").flatMap { FrameRate($0) }
    }
    guard let rate, Int(rate.numerator) >= range.lowerBound * Int(rate.denominator),
      Int(rate.numerator) <= range.upperBound * Int(rate.denominator)
    else { throw bad("is out of range", .outOfRange) }
    return rate
  }

  /// A decimal as the fraction it is short for: `29.97` and `29.970` are 30000/1001, other decimals are thousandths.
  private static func decimal(_ whole: Substring, _ decimals: Substring) -> FrameRate? {
    // Nine digits of each half keep every product below inside 64 bits; more decimals say nothing more.
    let digits = decimals.prefix(9)
    guard whole.count <= 9, let high = Int(whole), let low = Int(digits) else { return nil }
    var scale = 1
    for _ in digits { scale *= 10 }
    let value = high * scale + low
    for base in [24, 30, 48, 60, 120, 240] where digits.count >= 2 {
      let exact = base * 1000 * scale
      // As printed by others: cut off, or rounded.
      if value == exact / 1001 || value == (exact + 500) / 1001 { return FrameRate(base * 1000, 1001) }
    }
    return FrameRate((value * 1000 + scale / 2) / scale, 1000)
  }

  // MARK: several numbers

  private static func numbers(
    _ text: String, _ count: Int, _ range: ClosedRange<Int>, _ hint: String
  ) throws(ValueError) -> [Int] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == count else {
      throw ValueError(
        errno: .invalidArgument, reason: text.isEmpty ? "is empty" : "is not \(count) numbers with commas between them",
        hint: hint)
    }
    var numbers: [Int] = []
    for part in parts {
      let number = try integer(String(part), hint, unit: "")
      guard let number, range.contains(number) else {
        throw ValueError(errno: .outOfRange, reason: "is out of range", hint: hint)
      }
      numbers.append(number)
    }
    return numbers
  }

  // MARK: rectangles

  private static func rectangle(_ text: String, limit: Int, _ hint: String) throws(ValueError) -> Rectangle {
    func bad(_ reason: String, _ errno: Errno = .invalidArgument) -> ValueError {
      ValueError(errno: errno, reason: reason, hint: hint)
    }
    let found = try fourNumbers(text, limit: limit, hint)
    guard [found.x, found.y, found.width, found.height].allSatisfy({ $0 % 2 == 0 }) else {
      throw bad("has an odd number")
    }
    guard found.width >= 16, found.height >= 16 else { throw bad("is smaller than 16 by 16", .outOfRange) }
    guard found.x + found.width <= limit, found.y + found.height <= limit else {
      throw bad("is out of range", .outOfRange)
    }
    return found
  }

  private static func fourNumbers(_ text: String, limit: Int, _ hint: String) throws(ValueError) -> Rectangle {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == 4 else {
      throw ValueError(errno: .invalidArgument, reason: "is not four numbers", hint: hint)
    }
    var numbers: [Int] = []
    for part in parts {
      let number = try integer(String(part), hint, unit: "pixels")
      guard let number, (0...limit).contains(number) else {
        throw ValueError(errno: .outOfRange, reason: "is out of range", hint: hint)
      }
      numbers.append(number)
    }
    return Rectangle(x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3])
  }

  /// A rectangle of pixels, or of thousandths and after a blank that word.
  private static func part(_ text: String, limit: Int, _ hint: String) throws(ValueError) -> SettingValue {
    let word = " permille"
    guard text.hasSuffix(word) else { return .rectangle(try rectangle(text, limit: limit, hint)) }
    let area = try fourNumbers(String(text.dropLast(word.count)), limit: 1000, hint)
    guard area.width > 0, area.height > 0, area.x + area.width <= 1000, area.y + area.height <= 1000 else {
      throw ValueError(errno: .outOfRange, reason: "is out of range", hint: hint)
    }
    return .permille(area)
  }

  /// A rectangle, `abs` or `rel`, and a quantiser, with one blank between them.
  private static func region(_ text: String, limit: Int, _ hint: String) throws(ValueError) -> PictureRegion {
    func bad(_ reason: String, _ errno: Errno = .invalidArgument) -> ValueError {
      ValueError(errno: errno, reason: reason, hint: hint)
    }
    guard !text.isEmpty else { throw bad("is empty") }
    let parts = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 3 else { throw bad("is no rectangle, abs or rel, and quantiser") }
    let area = try rectangle(parts[0], limit: limit, hint)
    guard parts[1] == "abs" || parts[1] == "rel" else { throw bad("says neither abs nor rel") }
    let isAbsolute = parts[1] == "abs"
    let value = try integer(parts[2], hint, unit: "")
    guard let value, (isAbsolute ? PictureRegion.quantisers : PictureRegion.differences).contains(value) else {
      throw bad("is out of range", .outOfRange)
    }
    return PictureRegion(area, qp: value, isAbsolute: isAbsolute)
  }
}
