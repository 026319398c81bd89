// SPDX-License-Identifier: Apache-2.0

// Numbers as the vendor kernel's nodes take and show them: kstrtouint() with the base found out by the text, and `%d`.

/// Writes a number as those nodes show it: signed, so that 4294967295 reads -1.
func writeKernelNumber(_ value: UInt32, to out: inout TextWriter) {
  out.number(Int32(bitPattern: value))
  out.newline()
}

/// Reads a number as the kernel does: an optional `+`, `0x` for hexadecimal, `0` for octal, one line feed at the end. The
/// text ends at its first NUL, as C's do.
/// - Throws: not a number; out of range, once more digits came than 64 bits hold, even with rubbish after them.
func kernelNumber(_ text: [UInt8]) throws(Intake.Mistake) -> UInt32 {
  let rubbish = Intake.Mistake(
    reason: "not a number", hint: "decimal, 0x and hexadecimal, or 0 and octal digits: 0 to 4294967295")
  let large = Intake.Mistake(reason: "above 4294967295", hint: "0 to 4294967295", isOutOfRange: true)
  var rest = text.prefix { $0 != 0 }
  if rest.first == UInt8(ascii: "+") { rest.removeFirst() }
  var base: UInt64 = 10
  if rest.first == UInt8(ascii: "0") {
    let second = rest.dropFirst().first.map { $0 | 0x20 }
    let third = rest.dropFirst(2).first.flatMap { digit($0, base: 16) }
    let isHexadecimal = second == UInt8(ascii: "x") && third != nil
    base = isHexadecimal ? 16 : 8
    if isHexadecimal { rest.removeFirst(2) }
  }
  var value: UInt64 = 0
  var hasDigits = false
  var overflows = false
  while let next = rest.first.flatMap({ digit($0, base: base) }) {
    hasDigits = true
    let (product, carried) = value.multipliedReportingOverflow(by: base)
    let (sum, overflowed) = product.addingReportingOverflow(next)
    if carried || overflowed { overflows = true }
    value = sum
    rest.removeFirst()
  }
  if overflows { throw large }
  if rest.first == UInt8(ascii: "\n") { rest.removeFirst() }
  guard hasDigits, rest.isEmpty else { throw rubbish }
  guard let number = UInt32(exactly: value) else { throw large }
  return number
}

private func digit(_ byte: UInt8, base: UInt64) -> UInt64? {
  let value: UInt64
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt64(byte - UInt8(ascii: "0"))
  case UInt8(ascii: "a")...UInt8(ascii: "f"): value = UInt64(byte - UInt8(ascii: "a")) + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): value = UInt64(byte - UInt8(ascii: "A")) + 10
  default: return nil
  }
  return value < base ? value : nil
}
