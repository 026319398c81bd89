// SPDX-License-Identifier: Apache-2.0

import Reports

/// `state`: what the object does, one line.
public enum StatePage {
  static let page = ObjectPage("state", capacity: 128) { write($0.condition, to: &$1) }

  /// Writes `stopped`, `running`, `starved`, `ended`, `waiting for X` or `failed: why`.
  public static func write(_ condition: ObjectCondition, to out: inout TextWriter) {
    writeCondition(condition, to: &out)
    out.newline()
  }

  /// Writes the same without a line feed.
  static func writeCondition(_ condition: ObjectCondition, to out: inout TextWriter) {
    switch condition {
    case .stopped: out.text("stopped")
    case .running: out.text("running")
    case .starved: out.text("starved")
    case .ended: out.text("ended")
    case .waiting(let what):
      out.text("waiting for ")
      out.line(what)
    case .failed(let why):
      out.text("failed: ")
      out.line(why)
    }
  }
}
