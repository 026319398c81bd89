// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// What of a region is written as text: colours, points, a line to be drawn, the file of a bitmap. Their values are texts in
/// canonical form.
public enum DrawingSetting: Sendable, Equatable {
  /// `#RRGGBB`; with `off`, also that word, for none.
  case color(off: String? = nil)
  /// As many colours, with commas between them.
  case palette(count: Int)
  /// So many points `x,y` with blanks between them; an empty line for none.
  case points([Int])
  /// A line of text of at most so many bytes; empty for none.
  case line(limit: Int)
  /// An absolute path; empty for none.
  case path

  /// Pixels a point, or a region, may be away.
  public static let distance = -16384...16384

  var name: String {
    switch self {
    case .color: "colour"
    case .palette: "colours"
    case .points: "points"
    case .line: "text"
    case .path: "path"
    }
  }

  /// The values taken, for `help`.
  var range: String {
    switch self {
    case .color(let off): (off.map { "\($0) or " } ?? "") + "#RRGGBB"
    case .palette(let count): "\(count) times #RRGGBB, with commas between"
    case .points(let counts):
      counts.map { "\($0)" }.joined(separator: " or ")
        + " times x,y in \(Self.distance.lowerBound)..\(Self.distance.upperBound), with blanks between, or empty"
    case .line(let limit): "up to \(limit) bytes, or empty"
    case .path: "/path, or empty"
    }
  }

  /// How no value is written.
  var absent: String {
    if case .color(let off?) = self { return off }
    return ""
  }

  func parse(_ text: String) throws(ValueError) -> SettingValue {
    func bad(_ reason: String, _ errno: Errno = .invalidArgument) -> ValueError {
      ValueError(errno: errno, reason: reason, hint: range)
    }
    switch self {
    case .color(let off):
      if let off, text == off { return .none }
      guard let color = PaintColor(text) else { throw bad(text.isEmpty ? "is empty" : "is no colour") }
      return .text(color.text)
    case .palette(let count):
      let parts = text.split(separator: ",", omittingEmptySubsequences: false)
      guard parts.count == count else { throw bad("is not \(count) colours") }
      var colors: [String] = []
      for part in parts {
        guard let color = PaintColor(part) else { throw bad("has a part that is no colour") }
        colors.append(color.text)
      }
      return .text(colors.joined(separator: ","))
    case .points(let counts):
      if text.isEmpty { return .none }
      let parts = text.split(separator: " ", omittingEmptySubsequences: false)
      var points: [PicturePoint] = []
      for part in parts {
        guard let point = PicturePoint(part) else { throw bad("has a part that is no point") }
        guard Self.distance.contains(point.x), Self.distance.contains(point.y) else {
          throw bad("is out of range", .outOfRange)
        }
        points.append(point)
      }
      guard counts.contains(points.count) else {
        throw bad("is not \(counts.map { "\($0)" }.joined(separator: " or ")) points")
      }
      return .text(text)
    case .line(let limit):
      guard text.utf8.count <= limit else { throw bad("is too long", .argListTooLong) }
      return text.isEmpty ? .none : .text(text)
    case .path:
      if text.isEmpty { return .none }
      guard text.hasPrefix("/") else { throw bad("is not an absolute path") }
      return .text(text)
    }
  }
}

extension PaintColor {
  /// From `#RRGGBB`, in letters of either case.
  public init?(_ text: some StringProtocol) {
    let digits = text.utf8.dropFirst()
    guard text.utf8.first == UInt8(ascii: "#"), digits.count == 6 else { return nil }
    var value = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | Int(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | Int(digit - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | Int(digit - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    self.init(
      red: UInt8(truncatingIfNeeded: value >> 16), green: UInt8(truncatingIfNeeded: value >> 8),
      blue: UInt8(truncatingIfNeeded: value))
  }

  /// As the tree writes it.
  public var text: String {
    let digits = String(Int(red) << 16 | Int(green) << 8 | Int(blue), radix: 16, uppercase: true)
    return "#" + String(repeating: "0", count: 6 - digits.count) + digits
  }
}

extension PicturePoint {
  /// From `x,y`: whole decimal numbers without leading zeros or plus signs.
  init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count == 2, let x = Int(parts[0]), let y = Int(parts[1]), "\(x)" == parts[0], "\(y)" == parts[1] else {
      return nil
    }
    self.init(x: x, y: y)
  }
}

extension ObjectSettings {
  /// A colour; `nil` where the setting is off.
  public func color(_ key: String) -> PaintColor? { text(key).flatMap { PaintColor($0) } }

  /// The colours of a palette.
  public func palette(_ key: String) -> [PaintColor] {
    (text(key) ?? "").split(separator: ",").compactMap { PaintColor($0) }
  }

  public func points(_ key: String) -> [PicturePoint] {
    (text(key) ?? "").split(separator: " ").compactMap { PicturePoint($0) }
  }
}
