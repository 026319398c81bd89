// SPDX-License-Identifier: Apache-2.0

import Reports

/// `vb/N/free`: buffers nobody holds now; 0 for a pool that is stopped.
public enum FreePage {
  static let page = ObjectPage("free", capacity: 16) { write($0.pool, to: &$1) }

  /// Writes the page.
  public static func write(_ pool: PoolReport?, to out: inout TextWriter) {
    out.number(pool?.free ?? 0)
    out.newline()
  }
}
