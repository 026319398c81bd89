// SPDX-License-Identifier: Apache-2.0

import Reports

/// `stream.info`: the listed file that stands for the stream's files, which are not listed: a reader of one waits, and whoever
/// walks over the tree would never come to its end.
public enum StreamPage {
  static let page = ObjectPage("stream.info", capacity: 768, isShownEmpty: false) { write($0.streams, to: &$1) }

  /// Writes where the stream is and how it is read, then its other forms; nothing where there is none.
  public static func write(_ forms: [StreamReport], to out: inout TextWriter) {
    guard let plain = forms.first else { return }
    out.text("path: ")
    out.line(plain.name)
    out.text("\nuse: cat ")
    out.line(plain.name)
    out.text(" > file; it begins at a key frame, waits for more, and is not listed so that walks over the tree end\n")
    for form in forms.dropFirst() {
      out.line(form.name)
      out.text(form.obstacle == nil ? ": " : ": refused: ")
      out.line(form.obstacle ?? form.summary)
      out.newline()
    }
  }
}
