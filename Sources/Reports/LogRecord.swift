// SPDX-License-Identifier: Apache-2.0

/// Weight of a line of the log; the smaller the raw value, the graver.
public enum LogLevel: UInt8, Sendable, Equatable, Comparable, CaseIterable {
  case error = 2
  case warning = 3
  case information = 4
  case debug = 5

  public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}

/// One line of the log.
public struct LogRecord: Sendable, Equatable {
  /// When it was written, CLOCK_MONOTONIC, microseconds.
  public var monotonicMicroseconds: Int64
  /// Who wrote it.
  public var module: ModuleKind
  /// Its weight.
  public var level: LogLevel
  /// Function that wrote it.
  public var function: String
  /// Line of the source file.
  public var line: Int
  /// What it says; one line.
  public var text: String

  public init(
    monotonicMicroseconds: Int64, module: ModuleKind, level: LogLevel, function: String, line: Int, text: String
  ) {
    self.monotonicMicroseconds = monotonicMicroseconds
    self.module = module
    self.level = level
    self.function = function
    self.line = line
    self.text = text
  }
}
