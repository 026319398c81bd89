// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `vlog`: the log of the modules, without a preamble. An empty log is an empty page.
public enum VLogPage {
  static func page(_ dialect: Dialect) -> Page {
    Page(
      "vlog", takes: Intake("all=LEVEL MODULE=LEVEL clear") { .logCommand($0) }, "the log of the modules"
    ) { write($0.log, dialect: dialect, to: &$1) }
  }

  /// Size of the vendor's log buffer in bytes.
  public static let capacity = 51200

  /// Writes the newest lines that fit into `capacity` bytes together, oldest of them first. Unlike the vendor's buffer,
  /// which cuts an old line in two once it has gone round, whole lines go.
  public static func write(
    _ records: [LogRecord], dialect: Dialect, capacity: Int = capacity, to out: inout TextWriter
  ) {
    // No line is shorter than this, so no more lines than these can fit.
    let newest = records.suffix(capacity / 30 + 1)
    var scratch = TextWriter(capacity: newest.count * 128)
    var ends: [Int] = []
    ends.reserveCapacity(newest.count)
    for record in newest {
      writeRecord(record, dialect: dialect, to: &scratch)
      ends.append(scratch.count)
    }
    var first = 0
    for end in ends where scratch.count - first > capacity { first = end }
    scratch.withBytes { bytes in out.raw(bytes[first...]) }
  }

  /// Writes one line. Control bytes in the text are escaped, so that no text can forge a line or a colour.
  public static func writeRecord(_ record: LogRecord, dialect: Dialect, to out: inout TextWriter) {
    let time = record.monotonicMicroseconds.magnitude
    let (seconds, microseconds) = (time / 1_000_000, time % 1_000_000)
    switch dialect {
    case .rockit1432:
      // The line break comes first and none follows.
      out.text("\r\n[")
      out.string(record.module.name)
      out.text("][")
      out.text(levelName(record.level))
      out.text("][")
      out.zeroFilled(seconds, digits: 9)
      out.byte(0x2E)
      out.zeroFilled(microseconds, digits: 6)
      out.byte(0x5D)
      switch record.level {
      case .error: out.text("\u{1B}[31m\u{1B}[1m")
      case .warning: out.text("\u{1B}[33m\u{1B}[1m")
      case .information: out.text("\u{1B}[32m\u{1B}[1m")
      case .debug: break
      }
      out.line(record.function)
      out.byte(0x2C)
      out.number(record.line)
      out.byte(0x3A)
      out.line(record.text)
      if record.level != .debug { out.text("\u{1B}[0m") }
    case .rockit1481:
      out.byte(0x5B)
      let start = out.count
      out.string(record.module.name)
      out.fill(0x20, 6 - (out.count - start))
      out.text("][")
      out.text(levelName(record.level))
      out.text("][")
      out.right(seconds, 9)
      out.byte(0x2E)
      // The vendor left-justifies the microseconds and does not fill them with zeros: 034567 reads `34567 `.
      out.left(microseconds, 6)
      out.text("] {")
      var room = 18
      for byte in record.function.utf8.prefix(18) {
        out.byte(byte < 0x20 || byte >= 0x7F ? 0x5F : byte)
        room -= 1
      }
      out.fill(0x20, room)
      out.byte(0x3A)
      out.zeroFilled(UInt64(clamping: record.line), digits: 4)
      out.text("} ")
      switch record.level {
      case .error: out.text("\u{1B}[1;31m")
      case .warning: out.text("\u{1B}[1;33m")
      case .information: out.text("\u{1B}[1;32m")
      case .debug: break
      }
      out.line(record.text)
      if record.level != .debug { out.text("\u{1B}[0m") }
      out.text("\r\n")
    }
  }

  private static func levelName(_ level: LogLevel) -> StaticString {
    switch level {
    case .error: "err"
    case .warning: "wrn"
    case .information: "inf"
    case .debug: "dbg"
    }
  }
}
