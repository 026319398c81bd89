// SPDX-License-Identifier: Apache-2.0

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

  /// Appends a string on one line: control bytes become `\n`, `\t`, `\r` or `\xNN`. Other text, UTF-8 included, is shown
  /// as it is, but for the C1 control characters (U+0080 to U+009F), which terminals obey too.
  public mutating func line(_ value: String) {
    var afterC2 = false
    for byte in value.utf8 {
      if afterC2 {
        afterC2 = false
        if byte < 0xA0 {
          escaped(0xC2)
          escaped(byte)
        } else {
          self.byte(0xC2)
          self.byte(byte)
        }
      } else if byte == 0xC2 {
        afterC2 = true
      } else if byte < 0x20 || byte == 0x7F {
        escaped(byte)
      } else {
        self.byte(byte)
      }
    }
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
