// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_dmabuf/dev`: every DMA-BUF, the newest first, with the devices that are attached.
///
/// The first column is the buffer's inode in place of the kernel's pointer. Where no source tells of attachments, a `?` stands
/// for them: none would say that there are none.
public enum DMABufDevPage {
  static let page = Page(
    "rk_dmabuf/dev", needs: .look(.attachments), "DMA-BUFs of the system and the devices attached to each"
  ) {
    write($0.systemMemory.attached, to: &$1)
  }

  /// Writes the vendor's heading, an empty line, and a line for each buffer.
  public static func write(_ scan: MemoryScan?, to out: inout TextWriter) {
    DMABufColumns.writeHeading(to: &out)
    out.text(" AttachedDevices\n\n")
    for buffer in scan?.buffers ?? [] {
      DMABufColumns.write(buffer, to: &out)
      if buffer.attachments == nil { out.text(" ?") }
      for device in buffer.attachments ?? [] {
        out.byte(0x20)
        out.outsideWord(device)
      }
      out.newline()
    }
  }
}
