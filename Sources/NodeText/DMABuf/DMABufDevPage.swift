// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_dmabuf/dev`: every DMA-BUF, the newest first, with the devices that are attached.
///
/// The first column is the buffer's inode in place of the kernel's pointer. Where no source tells of attachments, a `?` stands
/// for them: none would say that there are none.
public enum DMABufDevPage {
  static let page = Page("rk_dmabuf/dev", needs: .totals, "DMA-BUFs of the system and the devices attached to each") {
    write($0.systemMemory.latest, to: &$1)
  }

  /// Writes the vendor's heading, an empty line, and a line for each buffer.
  public static func write(_ scan: MemoryScan?, to out: inout TextWriter) {
    out.right("DMABUF" as StaticString, 16)
    out.byte(0x20)
    out.left("NAME", 16)
    out.byte(0x20)
    out.left("EXPORT", 16)
    out.byte(0x20)
    out.right("SIZE:KiB" as StaticString, 14)
    out.text(" AttachedDevices\n\n")
    for buffer in scan?.buffers ?? [] {
      out.hexadecimal(buffer.inode, digits: 16)
      out.byte(0x20)
      cut(buffer.name, to: &out)
      out.byte(0x20)
      cut(buffer.exporter, to: &out)
      out.byte(0x20)
      out.right(buffer.size >> 10, 10)
      out.text(" KiB")
      if buffer.attachments == nil { out.text(" ?") }
      for device in buffer.attachments ?? [] {
        out.byte(0x20)
        out.outsideWord(device)
      }
      out.newline()
    }
  }

  /// At most and at least 16 characters; `(null)` is what the kernel prints for none.
  private static func cut(_ text: String?, to out: inout TextWriter) {
    let start = out.count
    out.line(text ?? "(null)")
    if out.count - start > 16 { out.truncate(to: start + 16) }
    out.fill(0x20, 16 - (out.count - start))
  }
}
