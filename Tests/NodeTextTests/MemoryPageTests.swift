// SPDX-License-Identifier: Apache-2.0

import Reports
import TestSupport
import Testing

@testable import NodeText

@Suite("Memory pages", .ownThread)
struct MemoryPageTests {
  @Test func theCheckCountsAndNamesWhatIsWrong() {
    typealias Finding = MemoryCheckReport.Finding
    var report = MemoryCheckReport(checkedMicroseconds: 1)
    (report.buffers, report.descriptors, report.unreadableProcesses) = (22, 21, 3)
    #expect(
      rendered { DMABufCheckPage.write(report, to: &$0) } == """
        checked_us: 1
        buffers: 22
        dmabuf_descriptors: 21
        buffers_without_descriptor: 0
        descriptors_without_buffer: 0
        held_elsewhere: 0
        unreadable_processes: 3

        """)
    report.withoutDescriptor = [Finding(buffer: 12, name: "vi0-3", inode: 123, size: 4096)]
    report.withoutBuffer = [Finding(descriptor: 14, name: "lost\nbuffers: 0", inode: 9, size: 8192, kernelCount: 1)]
    report.heldElsewhere = [
      Finding(buffer: 3, name: "vi0-1", inode: 7, size: 4096, kernelCount: 3, ownCount: 2),
      Finding(
        buffer: 4, name: "vi0-2", inode: 8, size: 4096, kernelCount: 4, ownCount: 2,
        holders: [.init(process: 4711, name: "gst\n(1)"), .init(process: 4712, name: "kmscube")]),
    ]
    let lines = rendered { DMABufCheckPage.write(report, to: &$0) }.split(separator: "\n")
    #expect(lines.count == 11 && lines[3] == "buffers_without_descriptor: 1" && lines[5] == "held_elsewhere: 2")
    #expect(lines[7] == "buffer 12 vi0-3 inode 123 size 4096 without a descriptor")
    // A name forges no line and no word.
    #expect(lines[8] == #"descriptor 14 "lost\nbuffers:_0" inode 9 size 8192 in no pool"#)
    #expect(
      lines[9]
        == "buffer 3 vi0-1 inode 7 size 4096 held elsewhere: the kernel counts 3, own 2; by a device, or by whom cannot be seen"
    )
    #expect(lines[10].hasSuffix(#"the kernel counts 4, own 2; by 4711 ("gst\n(1)") 4712 (kmscube)"#))
    #expect(rendered { DMABufCheckPage.write(nil, to: &$0) } == "not checked yet\n")
    report.failure = "readdir /proc/self/fd: No such\nfile"
    #expect(rendered { DMABufCheckPage.write(report, to: &$0) } == "failed: readdir /proc/self/fd: No such\\nfile\n")
  }

  @Test func freeBuffersOfAPoolAndOfOneThatIsStopped() {
    let pool = PoolReport(
      id: 1, total: 4, free: 2, minimumFree: -1, bufferSize: 10, creator: "mpifs", memory: .memfd)
    #expect(rendered { FreePage.write(pool, to: &$0) } == "2\n")
    #expect(rendered { MinimumFreePage.write(pool, to: &$0) } == "-1\n")
    #expect(rendered { FreePage.write(nil, to: &$0) } == "0\n")
    #expect(rendered { MinimumFreePage.write(nil, to: &$0) } == "N/A\n")
  }
}
