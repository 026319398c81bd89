// SPDX-License-Identifier: Apache-2.0

import Reports

/// `active`: what the object has in use, `key: value` lines.
public enum ActivePage {
  static let page = ObjectPage("active", capacity: 1024) { write($0.active, to: &$1) }

  /// Writes the page.
  public static func write(_ facts: [KeyValue], to out: inout TextWriter) {
    for fact in facts {
      out.word(fact.key)
      out.text(": ")
      out.line(fact.value)
      out.newline()
    }
  }
}
