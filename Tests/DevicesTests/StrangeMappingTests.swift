// SPDX-License-Identifier: Apache-2.0
import Foundation
import Reports
import TestSupport
import Testing

@testable import Devices

/// Files that are called like DMA-BUFs, and lists that contradict what processes have.
@Suite(.ownThread) struct StrangeMappingTests {
  private let tree: KernelTree
  private let scanner: MemoryScanner

  init() throws {
    tree = try KernelTree()
    scanner = MemoryScanner(tree.roots)
  }

  private func look() throws -> MemoryScan { try scanner.look(.holders) }

  private func map(_ pid: Int, _ lines: String...) throws {
    try tree.file("proc/\(pid)/maps", lines.map { $0 + "\n" }.joined())
  }

  private func line(_ length: UInt64, _ device: String, _ inode: UInt64, offset: UInt64 = 0, name: String = "")
    -> String
  {
    let start: UInt64 = 0x7f00_0000_0000
    return "\(String(start, radix: 16))-\(String(start + length, radix: 16)) rw-s "
      + "\(String(offset, radix: 16)) \(device) \(inode)                    /dmabuf:\(name)"
  }

  @Test func aFileOfAnotherFilesystemIsNoBuffer() throws {
    try tree.process(40, "mapper")
    try tree.buffer(3, of: "40", inode: 79, size: 4096)
    try map(40, line(4096, "00:0a", 79), line(8192, "00:0a", 80), line(1 << 30, "00:2f", 81), line(4096, "08:01", 82))
    let scan = try look()
    #expect(scan.buffers.map(\.inode) == [80, 79] && scan.bytes == 4096 + 8192)
    #expect(scan.strangeMappings == 2 && scan.disagreements == 0)
  }

  /// What no buffer is seen on may be any filesystem.
  @Test func withoutABufferThatIsKnownOtherwiseNoneIsCounted() throws {
    try tree.process(40, "mapper")
    try map(40, line(4096, "00:0a", 79))
    let scan = try look()
    #expect(scan.buffers.isEmpty && scan.bytes == 0 && scan.strangeMappings == 1 && scan.processes.isEmpty)
    // It is learnt for good.
    try tree.buffer(3, of: "40", inode: 79, size: 4096)
    #expect(try look().strangeMappings == 0)
    try tree.remove("proc/40/fd/3")
    let later = try look()
    #expect(later.buffers.map(\.inode) == [79] && later.buffers.first?.isLowerBound == true)
  }

  @Test func aFilesystemThatIsMountedIsNotThatOfTheBuffers() throws {
    try tree.process(40, "forger")
    try tree.buffer(3, of: "40", inode: 5, size: 4096)
    try tree.file("proc/self/mountinfo", "22 1 0:47 / /tmp rw - tmpfs tmpfs rw\n")
    try map(40, line(4096, "00:2f", 5), line(1 << 30, "00:2f", 6))
    let scan = try look()
    #expect(scan.buffers.map(\.inode) == [5] && scan.bytes == 4096 && scan.strangeMappings == 2)
  }

  @Test func whereTwoLookLikeItNeitherIsTaken() throws {
    for (pid, device) in [(40, "00:0a"), (41, "00:2f")] {
      try tree.process(pid, "p")
      try tree.buffer(3, of: "\(pid)", inode: UInt64(pid), size: 4096)
      try map(pid, line(4096, device, UInt64(pid)), line(1 << 30, device, 90))
    }
    let scan = try look()
    #expect(scan.bytes == 8192 && scan.strangeMappings == 4 && scan.disagreements == 1)
  }

  @Test func aMappingBeyondItsBuffersEndIsADisagreement() throws {
    try tree.process(40, "mapper")
    try tree.buffer(3, of: "40", inode: 78, size: 4096)
    try tree.buffer(4, of: "40", inode: 79, size: 4096)
    try map(40, line(4096, "00:0a", 78))
    #expect(try look().disagreements == 0)
    try map(40, line(4096, "00:0a", 78), line(8192, "00:0a", 79))
    let scan = try look()
    #expect(scan.disagreements == 1 && scan.bytes == 8192)
    try map(40, line(4096, "00:0a", 78), line(4096, "00:0a", 79, offset: 4096))
    #expect(try look().disagreements == 1)
    // DRM's offsets name an object and no place in it.
    try map(40, line(4096, "00:0a", 78), line(4096, "00:0a", 79, offset: 0x1_0000_0000))
    #expect(try look().disagreements == 0)
  }

  @Test func ofTheListTooTheSizeIsTheEndOfAMapping() throws {
    try tree.bufferList(
      KernelTree.list(
        [KernelTree.line(inode: 5, size: 4096, count: 2), KernelTree.line(inode: 6, size: 4096, count: 1)], bytes: 8192)
    )
    try tree.process(40, "mapper")
    try map(40, line(4096, "00:0a", 5), line(8192, "00:0a", 6))
    let scan = try look()
    #expect(scan.disagreements == 1 && scan.bytes == 8192)
    #expect(scan.buffers.map { $0.holders.map(\.mappings) } == [[1], [1]])
  }

  @Test func aLineFeedInAMappedNameIsOne() throws {
    try tree.process(40, "mapper")
    try tree.buffer(3, of: "40", inode: 78, size: 4096)
    try map(40, line(4096, "00:0a", 78), line(4096, "00:0a", 79, name: #"a\012b"#))
    #expect(try look().buffers.map(\.name) == ["a\nb", nil])
  }

  // MARK: lists

  @Test func aBufferTheListDoesNotHaveIsADisagreementTheSecondTime() throws {
    let list = KernelTree.list([KernelTree.line(inode: 5, size: 4096, count: 1)], bytes: 4096)
    try tree.bufferList(list)
    try tree.process(10, "p")
    try tree.buffer(3, of: "10", inode: 5, size: 4096)
    try tree.buffer(4, of: "10", inode: 9, size: 4096)
    // It may have come or gone between the two.
    #expect(try look().disagreements == 0)
    let scan = try look()
    #expect(scan.disagreements == 1 && scan.bytes == 4096)
    try tree.remove("proc/10/fd/4")
    #expect(try look().disagreements == 0)
    try tree.buffer(5, of: "10", inode: 8, size: 4096)
    #expect(try look().disagreements == 0, "another one")
  }

  @Test func aBufferTheListHasTwiceIsCountedOnce() throws {
    let one = KernelTree.line(inode: 5, size: 4096, count: 1)
    try tree.bufferList(KernelTree.list([one, KernelTree.line(inode: 6, size: 100, count: 1), one], bytes: 8292))
    for depth in [MemoryLook.totals, .holders] {
      let scan = try scanner.look(depth)
      #expect(scan.bytes == 4196 && scan.buffers.map(\.inode) == [6, 5])
      // The line, and the kernel's sum.
      #expect(scan.disagreements == 2)
    }
  }
}
