// SPDX-License-Identifier: Apache-2.0

/// What values a setting takes, and how they are written.
public enum SettingType: Sendable, Equatable {
  /// Not written at all.
  case nothing
  /// A command without an argument: an empty line or `1`.
  case trigger
  /// `0` or `1`.
  case boolean
  /// A decimal number in the range and a whole multiple of `step`; with `off`, also that word, which stands for
  /// ``SettingValue/none``.
  case integer(ClosedRange<Int>, step: Int = 1, off: String? = nil)
  /// Frames per second: `30`, `30000/1001`, `29.97`; whole bounds.
  case rate(ClosedRange<Int>)
  /// One of `choices`. `elsewhere` are names of things this build or machine does not have: refused with ENOTSUP,
  /// not as a spelling mistake. `devices`: a `/dev/` path that is no choice is ENODEV.
  case choice(_ choices: [String], elsewhere: [String] = [], devices: Bool = false)
  /// What ``InputSpecification`` takes.
  case input
  /// A device's format by its four characters or by the tree's name for it, or `auto`.
  case deviceFormat
  /// Where coded bytes come from: `feed`, or `file:` and a path.
  case codedInput
  /// `x,y,w,h` in pixels on even coordinates; an empty line for none.
  case rectangle(limit: Int)
  /// The same, or `x,y,w,h permille` in thousandths of a picture's width and height.
  case part(limit: Int)
  /// So many numbers in the range, with commas between them.
  case numbers(count: Int, ClosedRange<Int>)
  /// A rectangle and a quantiser, `x,y,w,h abs 22` or `x,y,w,h rel -6`; `off` for none.
  case region(limit: Int)
  /// The object frames come from; an empty line for none.
  case source([ObjectType])
  /// What gives buffers; an empty line for none.
  case pool([ObjectType])
  /// A card, connector or mode.
  case display(DisplaySetting)
  /// What regions draw.
  case drawing(DrawingSetting)
}

extension SettingType {
  /// Name of the type for `help`.
  public var name: String {
    switch self {
    case .nothing: ""
    case .trigger: "trigger"
    case .boolean: "boolean"
    case .integer: "integer"
    case .rate: "rate"
    case .choice: "choice"
    case .input, .codedInput: "input"
    case .deviceFormat: "format"
    case .rectangle: "rectangle"
    case .part: "part"
    case .numbers: "numbers"
    case .region: "region"
    case .source: "object"
    case .pool: "pool"
    case .display(let setting): setting.rawValue
    case .drawing(let setting): setting.name
    }
  }

  /// The values taken, for `help` and hints: `2..200000`, `cbr fixqp`, `0 1`.
  public var range: String {
    switch self {
    case .nothing: ""
    case .trigger: "1"
    case .boolean: "0 1"
    case .integer(let range, let step, let off):
      (off.map { "\($0) or " } ?? "") + "\(range.lowerBound)..\(range.upperBound)"
        + (step == 2 ? ", even" : step > 2 ? ", multiple of \(step)" : "")
    case .rate(let range): "\(range.lowerBound)..\(range.upperBound)"
    case .choice(let choices, _, _): choices.joined(separator: " ")
    case .input: "pattern, file:/path, /dev/videoN"
    case .deviceFormat: "auto, MJPG, RGGB, ..."
    case .codedInput: "feed, file:/path"
    case .rectangle(let limit): "x,y,w,h even, 16x16 or more, within 0..\(limit), or empty"
    case .part(let limit):
      "x,y,w,h even, 16x16 or more, within 0..\(limit); or x,y,w,h permille, within 0..1000; or empty"
    case .numbers(let count, let range):
      (0..<count).map { String(UnicodeScalar(UInt8(97 + $0 % 26))) }.joined(separator: ",")
        + ", each \(range.lowerBound)..\(range.upperBound)"
    case .region(let limit):
      "off, x,y,w,h abs \(PictureRegion.quantisers.lowerBound)..\(PictureRegion.quantisers.upperBound), "
        + "x,y,w,h rel \(PictureRegion.differences.lowerBound)..\(PictureRegion.differences.upperBound); x,y,w,h even, 16x16 or more, "
        + "within 0..\(limit)"
    case .source(let types), .pool(let types): types.map(\.pattern).joined(separator: ", ") + ", or empty"
    case .display(let setting): setting.range
    case .drawing(let setting): setting.range
    }
  }

  /// The words that start a hint: `a number of kbps`, `one of`.
  func expectation(unit: String) -> String {
    switch self {
    case .nothing: ""
    case .trigger: "write 1"
    case .boolean: "write 0 or 1"
    case .integer: "a whole decimal number\(unit.isEmpty ? "" : " of \(unit)"), \(range)"
    case .rate: "frames per second, \(range), as 30, 30000/1001 or 29.97"
    case .choice(let choices, _, _): choices.count == 1 ? "only \(range) is available" : "one of: \(range)"
    case .input, .codedInput: "one of: \(range)"
    case .deviceFormat: "auto, or a format's four characters as v4l2-ctl --list-formats prints them"
    case .rectangle, .part, .region, .numbers: range
    case .source, .pool, .display: "one of: \(range)"
    case .drawing: range
    }
  }
}

extension SettingValue {
  /// The canonical text, as the attribute reads back and `config` writes it. `off` is the type's word for no value.
  public func text(_ type: SettingType) -> String {
    switch self {
    case .integer(let value): return String(value)
    case .boolean(let value): return value ? "1" : "0"
    case .rate(let value): return value.description
    case .text(let value): return value
    case .rectangle(let value): return PicturePart(value).text
    case .permille(let value): return PicturePart(value, isPermille: true).text
    case .region(let value): return value.text
    case .numbers(let values): return values.map(String.init).joined(separator: ",")
    case .object(let value): return value.description
    case .none:
      if case .region = type { return "off" }
      if case .integer(_, _, let off?) = type { return off }
      if case .drawing(let setting) = type { return setting.absent }
      return ""
    }
  }
}
