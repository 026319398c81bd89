// SPDX-License-Identifier: Apache-2.0

import Reports

/// `stream.info`: the listed file that stands for the stream, which is not listed: a reader of it waits, and whoever walks over
/// the tree would never come to its end.
public enum StreamPage {
  static let page = ObjectPage("stream.info", capacity: 256, isShownEmpty: false) { write($0.stream, to: &$1) }

  /// Writes where the stream is and how it is read; nothing where there is none.
  public static func write(_ stream: String?, to out: inout TextWriter) {
    guard let stream else { return }
    out.text("path: ")
    out.line(stream)
    out.text("\nuse: cat ")
    out.line(stream)
    out.text(" > file; it begins at a key frame, waits for more, and is not listed so that walks over the tree end\n")
  }
}
