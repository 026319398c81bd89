// SPDX-License-Identifier: Apache-2.0

/// The settings of a display that name something of the hardware. What exists may change while the program runs, so only
/// the spelling is checked here.
public enum DisplaySetting: String, Sendable {
  case device, connector, mode

  /// The values taken, for `help`.
  var range: String {
    switch self {
    case .device: "auto, /dev/dri/cardN"
    case .connector: "auto, a name such as HDMI-A-1"
    case .mode: "auto, 1280x720, 1280x720@60"
    }
  }

  /// The canonical text; `nil` when it is no value.
  func canonical(_ text: String) -> String? {
    switch self {
    case .device:
      if text == "auto" { return text }
      guard text.hasPrefix("/dev/dri/card") else { return nil }
      let number = text.dropFirst(13)
      guard (1...3).contains(number.utf8.count), number.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
        return nil
      }
      return number.count == 1 || number.first != "0" ? text : nil
    case .connector:
      if text == "auto" { return text }
      // The kernel's names: a type, which may have hyphens in it, and a number.
      guard text.utf8.count <= 31, let hyphen = text.lastIndex(of: "-"), hyphen != text.startIndex else { return nil }
      let number = text[text.index(after: hyphen)...]
      let isNumber = !number.isEmpty && number.first != "0" && number.allSatisfy { $0.isASCII && $0.isNumber }
      let isType = text[..<hyphen].allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
      return isNumber && isType ? text : nil
    case .mode:
      return DisplayMode(text)?.description
    }
  }
}
