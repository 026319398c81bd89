// SPDX-License-Identifier: Apache-2.0

import Reports

/// `effect`: a line for each accepted change of a running channel, oldest first, for example
/// `bitrate: effective old=2000 new=4000 frame=812 measured=3960 kbps`.
public enum EffectPage {
  static let page = ObjectPage("effect", capacity: 4096, isShownEmpty: false) { write($0.effects, to: &$1) }

  /// Writes the page.
  public static func write(_ records: some Sequence<EffectRecord>, to out: inout TextWriter) {
    for record in records {
      out.word(record.key)
      out.text(": ")
      out.string(record.verdict.text)
      out.text(" old=")
      out.line(record.old)
      out.text(" new=")
      out.line(record.new)
      out.text(" frame=")
      out.number(record.frame)
      if let measured = record.measured {
        out.text(" measured=")
        out.line(measured)
        if let unit = record.unit {
          out.byte(0x20)
          out.line(unit)
        }
        if let quantisers = record.quantisers {
          out.byte(0x20)
          out.line(quantisers)
        }
      }
      out.newline()
    }
  }
}
