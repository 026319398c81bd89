// SPDX-License-Identifier: Apache-2.0

import Reports

/// The vendor's `version`: one line. The vendor's is what git says of the driver's directory; this program's own is its
/// name, version and commit.
public enum MPPVersionPage {
  static let page = Page("mpp_service/version", capacity: 128, "version of this program, one line") {
    write($0.identity, to: &$1)
  }

  /// Writes the page.
  public static func write(_ identity: SystemIdentity, to out: inout TextWriter) {
    out.word(identity.program)
    out.byte(0x20)
    out.word(identity.version)
    out.byte(0x20)
    out.word(identity.commit)
    out.newline()
  }
}
