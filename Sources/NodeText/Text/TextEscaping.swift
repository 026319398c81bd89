// SPDX-License-Identifier: Apache-2.0

import Reports

// Text that came from outside (names, values written by users, file names) may hold anything: line feeds that would
// forge a line of the log, escape sequences a terminal would obey, bytes that are no text. Each page says which of these
// it uses.
extension TextWriter {
  /// Appends a string as one word: blanks and control bytes become `_`, an empty string `-`.
  @inline(__always)
  public mutating func word(_ value: String) {
    let start = count
    string(value)
    if count == start { return byte(0x2D) }
    for index in start..<count {
      let byte = written(at: index)
      if byte <= 0x20 || byte == 0x7F { replace(at: index, with: 0x5F) }
    }
  }

  /// Appends a string on one line: control characters become `\n`, `\t`, `\r` or `\xNN`, and so do bytes that are no UTF-8 and
  /// what breaks a line, turns its direction or cannot be seen (the Unicode categories Cc, Cf, Zl and Zp), byte by byte. Other
  /// text is shown as it is.
  public mutating func line(_ value: String) {
    if value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return string(value) }
    for scalar in value.unicodeScalars {
      if let foreign = ForeignByte.byte(of: scalar) {
        escaped(foreign)
        continue
      }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        for byte in UTF8.encode(scalar) ?? .init() { escaped(byte) }
      default: for byte in UTF8.encode(scalar) ?? .init() { self.byte(byte) }
      }
    }
  }

  /// Appends a string in double quotes, as ``quoted(_:)`` does its bytes, those that are no UTF-8 as they were.
  public mutating func quotedText(_ value: String) {
    quoted(
      value.unicodeScalars.lazy.flatMap { scalar in
        ForeignByte.byte(of: scalar).map { [$0] } ?? Array(UTF8.encode(scalar) ?? .init())
      })
  }

  /// Appends bytes in double quotes, as plain ASCII: quotes, backslashes, control bytes and everything above ASCII are
  /// escaped, so that the bytes can be told exactly and no terminal obeys them.
  public mutating func quoted(_ value: some Sequence<UInt8>) {
    byte(0x22)
    for byte in value {
      switch byte {
      case 0x22, 0x5C:
        self.byte(0x5C)
        self.byte(byte)
      case 0x20...0x7E: self.byte(byte)
      default: escaped(byte)
      }
    }
    byte(0x22)
  }

  /// Appends one byte as `\n`, `\t`, `\r` or `\xNN`.
  private mutating func escaped(_ value: UInt8) {
    byte(0x5C)
    switch value {
    case 0x0A: byte(0x6E)
    case 0x09: byte(0x74)
    case 0x0D: byte(0x72)
    default:
      byte(0x78)
      if value < 16 { byte(0x30) }
      hexadecimal(UInt64(value))
    }
  }
}
