// SPDX-License-Identifier: Apache-2.0

import Reports

/// The columns that `rk_dmabuf/dev` and `rk_dmabuf/sgt` have in common (`drivers/soc/rockchip/rk_dmabuf_procfs.c` of Rockchip's
/// kernel).
enum DMABufColumns {
  /// What continues a buffer's line stands below them.
  static let width = 65

  /// The heading without its last title.
  static func writeHeading(to out: inout TextWriter) {
    out.right("DMABUF" as StaticString, 16)
    out.byte(0x20)
    out.left("NAME", 16)
    out.byte(0x20)
    out.left("EXPORT", 16)
    out.byte(0x20)
    out.right("SIZE:KiB" as StaticString, 14)
  }

  static func write(_ buffer: MemoryScan.Buffer, to out: inout TextWriter) {
    out.hexadecimal(buffer.inode, digits: 16)
    out.byte(0x20)
    cut(buffer.name, to: &out)
    out.byte(0x20)
    cut(buffer.exporter, to: &out)
    out.byte(0x20)
    out.right(buffer.size >> 10, 10)
    out.text(" KiB")
  }

  /// At most and at least 16 bytes; `(null)` is what the kernel prints for none.
  private static func cut(_ text: String?, to out: inout TextWriter) {
    let start = out.count
    out.line(text ?? "(null)")
    if out.count - start > 16 {
      // No half of a character.
      var end = start + 16
      while end > start, out.written(at: end) & 0xC0 == 0x80 { end -= 1 }
      out.truncate(to: end)
    }
    out.fill(0x20, 16 - (out.count - start))
  }
}
