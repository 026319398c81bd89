// SPDX-License-Identifier: Apache-2.0

import Reports

/// `vb/N/min_free`: fewest free buffers since the pool was started, -1 once a frame was lost for lack of one; `N/A` while it is
/// stopped.
public enum MinimumFreePage {
  static let page = ObjectPage("min_free", capacity: 16) { write($0.pool, to: &$1) }

  /// Writes the page.
  public static func write(_ pool: PoolReport?, to out: inout TextWriter) {
    if let pool { out.number(pool.minimumFree) } else { out.text("N/A") }
    out.newline()
  }
}
