// SPDX-License-Identifier: Apache-2.0

public import Reports

/// Our books against the kernel's, as they were when `checked_us` says: buffers of the table without a descriptor, descriptors without an entry, buffers others hold.
public enum DMABufCheckPage {
  static let page = Page(
    "rk_dmabuf/check", capacity: 1024, needs: .check,
    "the table of buffers against this process's descriptors: what is missing, what is too many, what others hold"
  ) { write($0.lastMemoryCheck, to: &$1) }

  /// Writes the counts, then a line for each finding.
  public static func write(_ check: MemoryCheckReport?, to out: inout TextWriter) {
    guard let check else {
      out.text("not checked yet\n")
      return
    }
    if let failure = check.failure {
      out.text("failed: ")
      out.line(failure)
      out.newline()
      return
    }
    out.text("checked_us: ")
    out.number(check.checkedMicroseconds)
    out.newline()
    writeCount("buffers: ", check.buffers, to: &out)
    writeCount("dmabuf_descriptors: ", check.descriptors, to: &out)
    writeCount("buffers_without_descriptor: ", check.withoutDescriptor.count, to: &out)
    writeCount("descriptors_without_buffer: ", check.withoutBuffer.count, to: &out)
    writeCount("held_elsewhere: ", check.heldElsewhere.count, to: &out)
    writeCount("unreadable_processes: ", check.unreadableProcesses, to: &out)
    for finding in check.withoutDescriptor {
      writeFinding(finding, to: &out)
      out.text(" without a descriptor\n")
    }
    for finding in check.withoutBuffer {
      writeFinding(finding, to: &out)
      out.text(" in no pool\n")
    }
    for finding in check.heldElsewhere {
      writeFinding(finding, to: &out)
      out.text(" held elsewhere: the kernel counts ")
      out.number(finding.kernelCount ?? 0)
      out.text(", own ")
      out.number(finding.ownCount ?? 0)
      out.text(finding.holders.isEmpty ? "; by a device, or by whom cannot be seen" : "; by")
      for holder in finding.holders {
        out.byte(0x20)
        out.number(holder.process)
        out.text(" (")
        out.outsideWord(holder.name)
        out.byte(0x29)
      }
      out.newline()
    }
  }

  private static func writeCount(_ key: StaticString, _ count: Int, to out: inout TextWriter) {
    out.text(key)
    out.number(count)
    out.newline()
  }

  private static func writeFinding(_ finding: MemoryCheckReport.Finding, to out: inout TextWriter) {
    if let buffer = finding.buffer {
      out.text("buffer ")
      out.number(buffer)
    } else {
      out.text("descriptor ")
      out.number(finding.descriptor ?? -1)
    }
    out.byte(0x20)
    out.outsideWord(finding.name)
    out.text(" inode ")
    out.number(finding.inode)
    out.text(" size ")
    out.number(finding.size)
  }
}
