// SPDX-License-Identifier: Apache-2.0

/// Bytes that are no UTF-8, in a text from outside. The kernel takes any for a name; in a string each has a character of its own at
/// the end of the last plane, which no text uses, so that other bytes stay another name and pages can show which they were.
public enum ForeignByte {
  private static let base: UInt32 = 0x10_FF00

  /// A string of these bytes.
  public static func text(_ bytes: UnsafeRawBufferPointer) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    var scalars = String.UnicodeScalarView()
    var start = 0
    while start < bytes.count {
      let width = width(bytes[start])
      if width > 0, start + width <= bytes.count,
        let text = String(validating: bytes[start..<start + width], as: UTF8.self),
        let scalar = text.unicodeScalars.first
      {
        scalars.append(scalar)
        start += width
      } else {
        if let scalar = Unicode.Scalar(base + UInt32(bytes[start])) { scalars.append(scalar) }
        start += 1
      }
    }
    return String(scalars)
  }

  /// The byte a character stands for.
  public static func byte(of scalar: Unicode.Scalar) -> UInt8? {
    scalar.value >= base + 0x80 ? UInt8(truncatingIfNeeded: scalar.value - base) : nil
  }

  /// Of a character that begins so; 0 for what none begins with.
  private static func width(_ lead: UInt8) -> Int {
    switch lead {
    case 0x00...0x7F: 1
    case 0xC2...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF4: 4
    default: 0
    }
  }
}
