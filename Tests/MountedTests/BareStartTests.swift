// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Starts where there is no `/proc`: early at boot, or in a bare chroot.
@Suite(.ownThread) struct BareStartTests {
  /// Runs a script with the program's path as `$1` under an empty `/proc`; its mounts go with its namespace.
  private func bare(_ script: String) throws -> Child.Outcome {
    try Machine.check()
    return try run(
      "unshare", "-m", "bash", "-c",
      """
      set -e; at=$(mktemp -d); trap 'umount -l "$at" 2>/dev/null || true; rm -f "$at.out"; rmdir "$at"' EXIT
      mount -t tmpfs none /proc
      \(script)
      """, "bash", Machine.binary)
  }

  @Test func theOptionsHold() throws {
    let version = try bare(#""$1" --version"#)
    #expect(version.status == 0 && version.text.hasPrefix("mpifs "), "\(version)")
    let bogus = try bare(#""$1" --bogus || echo $?"#)
    #expect(bogus.text == "64\n" && bogus.errors.contains("Unknown option '--bogus'"), "\(bogus)")
    let served = try bare(
      #"""
      "$1" --at "$at" --load none > "$at.out" & program=$!
      until grep -q "^mpifs: serving $at$" "$at.out"; do kill -0 $program; done
      cat "$at/config"; umount "$at"; wait $program; echo ended
      """#)
    #expect(served.text == "create\nended\n", "\(served)")
  }

  @Test func whatIsMountedThereIsNotHidden() throws {
    let outcome = try bare(#"mount -t tmpfs none "$at"; "$1" --at "$at" --load none || echo $?"#)
    #expect(outcome.text == "1\n", "\(outcome)")
    #expect(outcome.errors.contains("another filesystem is mounted there"), "\(outcome)")
  }
}
