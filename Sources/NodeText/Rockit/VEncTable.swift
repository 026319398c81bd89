// SPDX-License-Identifier: Apache-2.0

/// One column of a `venc_info` table.
struct VEncColumn: Sendable {
  var name: String
  var width: Int
  /// Width of the values where the vendor's differs from the header's.
  var valueWidth: Int
}

/// A table of `venc_info` in one dialect: its title and header as bytes made once, and the widths of its values.
///
/// The tables are constants of the program. Their bytes are never freed and nobody counts who uses them: a page of 64
/// channels has a thousand rows.
struct VEncTable: @unchecked Sendable {
  /// The blank line before the title if there is one, the title and the header row.
  let heading: UnsafeBufferPointer<UInt8>
  let widths: UnsafeBufferPointer<UInt8>
  /// What stands between two values, 0 for nothing.
  let separator: UInt8
  let endsWithBlank: Bool

  /// - Parameters:
  ///   - title: Title as printed.
  ///   - lead: Dashes before the title.
  ///   - total: Width of the whole title line.
  ///   - columns: Names and widths, `name:width`, or `name:width/width of values`, separated by blanks.
  ///   - barred: The columns are separated by `|`.
  ///   - headerBlank: A blank ends the header row.
  ///   - valueBlank: A blank ends the value rows.
  ///   - follows: The table follows the one before without a blank line.
  init(
    _ title: String, lead: Int = 8, total: Int = 98, _ columns: String, barred: Bool, headerBlank: Bool = false,
    valueBlank: Bool = false, follows: Bool = false
  ) {
    let parsed = columns.split(separator: " ").map(VEncTable.parse)
    var out = TextWriter(capacity: 512)
    if !follows { out.newline() }
    out.fill(0x2D, lead)
    out.string(title)
    out.fill(0x2D, total - lead - title.utf8.count)
    out.newline()
    for (index, column) in parsed.enumerated() {
      if barred && index > 0 { out.byte(0x7C) }
      out.right(column.name, column.width)
    }
    if headerBlank { out.byte(0x20) }
    out.newline()
    heading = Self.constant(out.bytes())
    widths = Self.constant(parsed.map { UInt8(clamping: $0.valueWidth) })
    separator = barred ? 0x7C : 0
    endsWithBlank = valueBlank
  }

  private static func constant(_ bytes: [UInt8]) -> UnsafeBufferPointer<UInt8> {
    let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    _ = memory.initialize(from: bytes)
    return UnsafeBufferPointer(memory)
  }

  private static func parse(_ text: Substring) -> VEncColumn {
    let colon = text.lastIndex(of: ":") ?? text.endIndex
    let numbers = text[colon...].dropFirst().split(separator: "/").map { Int($0) ?? 0 }
    let width = numbers.first ?? 0
    return VEncColumn(name: String(text[..<colon]), width: width, valueWidth: numbers.count > 1 ? numbers[1] : width)
  }
}

/// One row of values of a table. Cells are written in the order of the columns.
struct VEncRow {
  private let table: VEncTable
  private var column = 0

  init(_ table: VEncTable) { self.table = table }

  @inline(__always)
  private mutating func next(_ out: inout TextWriter) -> Int {
    if column > 0 && table.separator != 0 { out.byte(table.separator) }
    let width = column < table.widths.count ? Int(table.widths[column]) : 0
    column += 1
    return width
  }

  @inline(__always)
  mutating func cell(_ value: Int, _ out: inout TextWriter) { out.right(value, next(&out)) }

  @inline(__always)
  mutating func cell(_ value: UInt64, _ out: inout TextWriter) { out.right(value, next(&out)) }

  /// A number, or the vendor's text for what does not apply or is not told.
  @inline(__always)
  mutating func cell(_ value: Int?, _ out: inout TextWriter) {
    if let value { out.right(value, next(&out)) } else { out.right("N/A" as StaticString, next(&out)) }
  }

  @inline(__always)
  mutating func cell(_ value: StaticString, _ out: inout TextWriter) { out.right(value, next(&out)) }

  /// A name, shown as one word.
  mutating func name(_ value: String, _ out: inout TextWriter) {
    out.fill(0x20, next(&out) - max(1, value.utf8.count))
    out.word(value)
  }

  /// `Y` or `N`, or `N/A` when not known.
  @inline(__always)
  mutating func flag(_ value: Bool?, _ out: inout TextWriter) {
    switch value {
    case true?: cell("Y", &out)
    case false?: cell("N", &out)
    case nil: cell("N/A", &out)
    }
  }

  @inline(__always)
  mutating func hexadecimal(_ value: UInt64, _ out: inout TextWriter) { out.rightHexadecimal(value, next(&out)) }

  mutating func end(_ out: inout TextWriter) {
    if table.endsWithBlank { out.byte(0x20) }
    out.newline()
  }
}
