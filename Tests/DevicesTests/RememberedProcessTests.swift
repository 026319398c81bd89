// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import Reports
import TestSupport
import Testing

@testable import Devices

/// What is remembered of processes from look to look: what has not run need not be read again, and what has is.
@Suite(.ownThread) struct RememberedProcessTests {
  private let tree: KernelTree
  private let scanner: MemoryScanner

  init() throws {
    tree = try KernelTree()
    scanner = MemoryScanner(tree.roots, rest: 0)
  }

  private func look(_ depth: MemoryLook = .holders) throws -> MemoryScan { try scanner.look(depth) }

  /// Looks until everything that may be remembered is.
  private func settle() throws { for _ in 0..<3 { _ = try look() } }

  private func holders(_ scan: MemoryScan, _ inode: UInt64) -> [MemoryScan.Holder]? {
    scan.buffers.first { $0.inode == inode }?.holders
  }

  private func holder(_ process: Int32, _ descriptors: Int, _ mappings: Int = 0) -> MemoryScan.Holder {
    MemoryScan.Holder(process: process, descriptors: descriptors, mappings: mappings)
  }

  @Test func whatHasNotRunIsNotReadAgainAndIsThereAllTheSame() throws {
    for pid in 10...40 {
      try tree.process(pid, "p\(pid)")
      try tree.runs(pid, 1000)
      try tree.buffer(3, of: "\(pid)", inode: UInt64(pid), size: 4096, name: "b\(pid)")
    }
    let first = try look()
    #expect(first.remembered == 0 && first.bytes == 31 * 4096)
    try settle()
    let later = try look()
    // One in thirty-two is read all the same.
    #expect(later.remembered == 30 || later.remembered == 31)
    #expect(later.bytes == first.bytes && later.descriptors == first.descriptors)
    for (now, then) in zip(later.buffers, first.buffers) {
      #expect(now.inode == then.inode && now.name == then.name && now.exporter == then.exporter)
      #expect(now.size == then.size && now.holders == then.holders)
    }
    #expect(later.processes == first.processes && later.processesSeen == 31)
  }

  @Test func aDescriptorNumberThatIsAnotherBuffersIsSeen() throws {
    try tree.process(10, "swaps")
    try tree.runs(10, 1000)
    try tree.buffer(3, of: "10", inode: 70, size: 4096)
    try settle()
    // The same number and the same link; that it was done has taken processor time.
    try tree.remove("proc/10/fd/3")
    try tree.buffer(3, of: "10", inode: 71, size: 8192)
    try tree.runs(10, 1001)
    let scan = try look()
    #expect(scan.buffers.map(\.inode) == [71] && scan.bytes == 8192 && scan.remembered == 0)
  }

  @Test func aProcessNumberThatIsAnotherProcessesIsSeen() throws {
    try tree.process(10, "old")
    try tree.runs(10, 1000)
    try tree.buffer(3, of: "10", inode: 70, size: 4096)
    try settle()
    try tree.remove("proc/10")
    try tree.process(10, "young")
    try tree.runs(10, 900)
    try tree.buffer(3, of: "10", inode: 71, size: 8192)
    let scan = try look()
    #expect(scan.buffers.map(\.inode) == [71] && scan.processes.map(\.name) == ["young"])
  }

  @Test func whatHasGoneIsGone() throws {
    for pid in [10, 11] {
      try tree.process(pid, "p\(pid)")
      try tree.runs(pid, 1000)
      try tree.buffer(3, of: "\(pid)", inode: 70, size: 4096)
    }
    try settle()
    try tree.remove("proc/10")
    #expect(try holders(look(), 70) == [holder(11, 1)])
    try tree.remove("proc/11")
    let scan = try look()
    #expect(scan.buffers.isEmpty && scan.processes.isEmpty && scan.processesSeen == 0)
  }

  @Test func aThreadThatHasRunMakesItsProcessBeRead() throws {
    try tree.process(10, "threads")
    try tree.runs(10, 1000)
    for thread in [11, 12] { try tree.runs(10, 1000, thread: thread) }
    try tree.buffer(3, of: "10", inode: 70, size: 4096)
    for thread in [11, 12] { try tree.buffer(3, of: "10/task/\(thread)", inode: 70, size: 4096) }
    try settle()
    try tree.buffer(4, of: "10", inode: 71, size: 4096)
    try tree.runs(10, 1001, thread: 12)
    let scan = try look()
    #expect(scan.buffers.map(\.inode) == [71, 70] && scan.remembered == 0)
  }

  /// A kernel that accounts nothing writes zeros.
  @Test(arguments: ["0 0 0\n", "", "what\n", "5 6\n"])
  func withoutTheKernelsWordEverythingIsReadEachTime(_ text: String) throws {
    try tree.process(10, "p")
    try tree.file("proc/10/schedstat", text)
    try tree.buffer(3, of: "10", inode: 70, size: 4096)
    try settle()
    try tree.buffer(4, of: "10", inode: 71, size: 4096)
    let scan = try look()
    #expect(scan.remembered == 0 && scan.buffers.map(\.inode) == [71, 70])
  }

  @Test func untilItHasBeenStillForAWhileItIsRead() throws {
    let scanner = MemoryScanner(tree.roots, rest: .seconds(3600))
    try tree.process(10, "p")
    try tree.runs(10, 1000)
    try tree.buffer(3, of: "10", inode: 70, size: 4096)
    for _ in 0..<4 { #expect(try scanner.look(.holders).remembered == 0) }
    try tree.buffer(4, of: "10", inode: 71, size: 4096)
    #expect(try scanner.look(.holders).buffers.map(\.inode) == [71, 70])
  }

  /// Where two processes share a table, one changes what the other has while that sleeps. Not a word of it, and it is seen in
  /// the end all the same.
  @Test func eachIsReadAnewNowAndThen() throws {
    try tree.process(10, "p")
    try tree.runs(10, 1000)
    try tree.buffer(3, of: "10", inode: 70, size: 4096)
    try settle()
    try tree.buffer(4, of: "10", inode: 71, size: 4096)
    var seen = 0
    for _ in 0..<ProcessWalk.rounds where try look().buffers.count == 2 { seen += 1 }
    #expect(seen > 0 && seen <= Int(ProcessWalk.rounds))
  }

  @Test func mappingsAreRememberedToo() throws {
    try tree.process(10, "maps")
    try tree.runs(10, 1000)
    try tree.buffer(3, of: "10", inode: 70, size: 8192)
    try tree.file("proc/10/maps", "7f0000000000-7f0000002000 rw-s 00000000 00:0a 70   /dmabuf:\n")
    try settle()
    #expect(try holders(look(), 70) == [holder(10, 1, 1)])
    try tree.file("proc/10/maps", "")
    try tree.runs(10, 1001)
    #expect(try holders(look(), 70) == [holder(10, 1, 0)])
  }

  @Test func aNewNameIsTakenFromWhoeverTellsIt() throws {
    for (pid, name) in [(10, "asleep"), (11, "names it")] {
      try tree.process(pid, name)
      try tree.runs(pid, 1000)
      try tree.buffer(3, of: "\(pid)", inode: 70, size: 4096, name: "old")
    }
    try settle()
    try tree.remove("proc/11/fd/3")
    try tree.buffer(3, of: "11", inode: 70, size: 4096, name: "young")
    try tree.runs(11, 1001)
    let scan = try look()
    #expect(scan.buffers.map(\.name) == ["young"] && holders(scan, 70) == [holder(10, 1), holder(11, 1)])
  }

  @Test func whatDriversSayIsReadEachTime() throws {
    try tree.process(10, "draws")
    try tree.runs(10, 1000)
    try tree.descriptor(3, of: "10", to: "/dev/dri/card0", "drm-client-id:\t7\ndrm-engine-render:\t5 ns\n")
    try settle()
    try tree.file("proc/10/fdinfo/3", "drm-client-id:\t7\ndrm-engine-render:\t9 ns\n")
    #expect(try look().processes.first?.devices.first?.lines.last == "drm-engine-render:\t9 ns")
  }

  @Test func threadsOfTheKernelAreNotReadAgainAndProgramsAre() throws {
    for (pid, parent, flags) in [(2, 0, 0x20_8040), (12, 2, 0x420_8060), (13, 1, 0x20_8040), (14, 1, 0x40_0000)] {
      try tree.process(pid, "p")
      try tree.file("proc/\(pid)/stat", "\(pid) (a) name) S \(parent) 0 0 0 -1 \(flags) 0 0\n")
    }
    _ = try look()
    for pid in [2, 12, 13, 14] { try tree.buffer(3, of: "\(pid)", inode: UInt64(pid), size: 4096) }
    // A child of another than kthreadd becomes a program.
    #expect(try look().buffers.map(\.inode) == [14, 13])
  }

  @Test func aHundredThousandDescriptorsAreAllSeen() throws {
    try tree.process(10, "many")
    try tree.runs(10, 1000)
    let folder = tree.root + "/proc/10"
    for number in 0..<100_000 { symlink(number % 10 == 0 ? "/dmabuf:" : "/dev/null", "\(folder)/fd/\(number)") }
    try tree.folder("proc/10/fdinfo")
    for number in stride(from: 0, to: 100_000, by: 10) {
      let file = fopen("\(folder)/fdinfo/\(number)", "w")
      fputs(KernelTree.info(inode: UInt64(number / 20 + 1), size: 4096, count: 2, exporter: "e", name: nil), file)
      fclose(file)
    }
    let scan = try look()
    #expect(scan.descriptors == 100_000 && scan.buffers.count == 5000 && scan.bytes == 5000 * 4096)
    #expect(scan.buffers.allSatisfy { $0.holders == [holder(10, 2)] })
  }
}
