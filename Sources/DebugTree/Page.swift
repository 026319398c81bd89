// SPDX-License-Identifier: Apache-2.0
import NodeFS
import NodeText

/// A read-only page.
func page(capacity: Int = 4096, _ write: @escaping @Sendable (inout TextWriter) -> Void) -> Node {
  Node.text(render: rendering(capacity, write))
}

/// Lets a page of NodeText write into NodeFS's buffer.
func rendering(
  _ capacity: Int = 4096, _ write: @escaping @Sendable (inout TextWriter) throws -> Void
) -> Node.Render {
  { buffer in
    var writer = TextWriter(capacity: capacity)
    try write(&writer)
    writer.withBytes { buffer.append(contentsOf: $0) }
  }
}
