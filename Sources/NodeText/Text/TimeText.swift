// SPDX-License-Identifier: Apache-2.0

import Reports

/// Writes `YYYY-MM-DD<between>HH:MM:SS`.
func writeCivil(_ time: CivilTime, between: UInt8, to out: inout TextWriter) {
  out.zeroFilled(UInt64(clamping: time.year), digits: 4)
  out.byte(0x2D)
  out.zeroFilled(UInt64(clamping: time.month), digits: 2)
  out.byte(0x2D)
  out.zeroFilled(UInt64(clamping: time.day), digits: 2)
  out.byte(between)
  out.zeroFilled(UInt64(clamping: time.hour), digits: 2)
  out.byte(0x3A)
  out.zeroFilled(UInt64(clamping: time.minute), digits: 2)
  out.byte(0x3A)
  out.zeroFilled(UInt64(clamping: time.second), digits: 2)
}

/// Writes a realtime clock reading as `YYYY-MM-DDTHH:MM:SS.uuuuuuZ`.
func writeRealtime(microseconds: Int64, to out: inout TextWriter) {
  let (seconds, rest) = floorDivide(microseconds, 1_000_000)
  writeCivil(civilTime(secondsSince1970: seconds), between: 0x54, to: &out)
  out.byte(0x2E)
  out.zeroFilled(UInt64(rest), digits: 6)
  out.byte(0x5A)
}

/// Writes microseconds as seconds with six decimals, for example `12.034567`: the shape of the kernel log's clock.
func writeSeconds(microseconds: Int64, to out: inout TextWriter) {
  if microseconds < 0 { out.byte(0x2D) }
  let magnitude = microseconds.magnitude
  out.number(magnitude / 1_000_000)
  out.byte(0x2E)
  out.zeroFilled(magnitude % 1_000_000, digits: 6)
}

/// Quotient and remainder with the remainder never negative.
private func floorDivide(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
  let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
  return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}

/// The UTC calendar date and time of a count of seconds since 1970, by the Gregorian calendar.
public func civilTime(secondsSince1970 seconds: Int64) -> CivilTime {
  let (days, inDay) = floorDivide(seconds, 86400)
  // Years are counted from March, so that the leap day is the last of its year, in eras of 400 years (146097 days).
  let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let monthFromMarch = (5 * dayOfYear + 2) / 153
  let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
  let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  return CivilTime(
    year: Int(year), month: Int(month), day: Int(day), hour: Int(inDay / 3600), minute: Int(inDay / 60 % 60),
    second: Int(inDay % 60))
}
