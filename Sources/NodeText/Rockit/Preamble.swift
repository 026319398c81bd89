// SPDX-License-Identifier: Apache-2.0

import Reports

/// The three lines `valloc`, `vsys` and `vrgn` begin with: which node, which program, which build. The shape is the
/// vendor's, `<repository>:<40 hex digits>-v<x.y.z>` and `<author>-<date-time>`; the values are this program's own.
func writePreamble(_ module: StaticString, _ identity: SystemIdentity, to out: inout TextWriter) {
  out.text("module: ")
  out.text(module)
  out.text("\nversion: ")
  out.word(identity.program)
  out.byte(0x3A)
  out.word(identity.commit)
  out.text("-v")
  out.word(identity.version)
  out.text("\nbuild: ")
  out.line(identity.buildAuthor)
  out.byte(0x2D)
  writeCivil(identity.buildTime, between: 0x2D, to: &out)
  out.newline()
}

/// A section title of the `/dev/mpi` nodes: stars, title, stars.
func writeStarTitle(_ title: StaticString, leading: Int, trailing: Int, to out: inout TextWriter) {
  out.fill(0x2A, leading)
  out.text(title)
  out.fill(0x2A, trailing)
  out.newline()
}
