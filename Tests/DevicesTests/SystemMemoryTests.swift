// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import Reports
import TestSupport
import Testing

@testable import Devices

/// The DMA-BUFs of a system as its kernel shows them, of several kernels and with what none should show.
@Suite(.ownThread) struct SystemMemoryTests {
  private func look(_ tree: KernelTree, _ depth: MemoryLook = .holders) -> MemoryScan {
    // These have descriptors enough.
    (try? MemoryScanner(tree.roots).look(depth)) ?? MemoryScan()
  }

  private func buffer(_ scan: MemoryScan, _ inode: UInt64) throws -> MemoryScan.Buffer {
    try #require(scan.buffers.first { $0.inode == inode })
  }

  // MARK: the kernel's list

  @Test func theKernelsListIsTheTotalAndProcessesAreTheHolders() throws {
    let tree = try KernelTree()
    try tree.bufferList(
      KernelTree.list(
        [
          KernelTree.line(inode: 5, size: 4096, count: 2, name: "a"),
          KernelTree.line(inode: 6, size: 1 << 20, count: 3, exporter: "drm", devices: ["fb000000.gpu", "vop"]),
          KernelTree.line(inode: 7, size: 8192, count: 1, exporter: "udmabuf"),
        ], bytes: 4096 + (1 << 20) + 8192))
    for (pid, name) in [(10, "camera"), (11, "viewer")] { try tree.process(pid, name) }
    try tree.buffer(3, of: "10", inode: 5, size: 4096, count: 2, name: "a")
    try tree.buffer(4, of: "10", inode: 6, size: 1 << 20, count: 3, exporter: "drm")
    try tree.buffer(9, of: "11", inode: 6, size: 1 << 20, count: 3, exporter: "drm")
    let scan = look(tree)
    #expect(scan.list == .bufinfo && scan.disagreements == 0)
    #expect(scan.bytes == 1_060_864 && scan.kernelBytes == scan.bytes)
    #expect(scan.buffers.map(\.inode) == [7, 6, 5], "the newest first")
    #expect(try buffer(scan, 6).attachments == ["fb000000.gpu", "vop"])
    #expect(try buffer(scan, 6).holders.map(\.process).sorted() == [10, 11])
    #expect(try buffer(scan, 5).holders == [MemoryScan.Holder(process: 10, descriptors: 1, mappings: 0)])
    #expect(scan.holderless.map(\.inode) == [7])
    #expect(scan.processes.map(\.name) == ["camera", "viewer"])
  }

  /// Of an RK3588 with 5.10 (github.com/rockchip-linux/mpp, issue 658), whose list has no title of names.
  @Test func aListOfRockchipsKernel() throws {
    let tree = try KernelTree()
    try tree.bufferList(
      """

      Dma-buf Objects:
      size    \tflags   \tmode    \tcount   \texp_name\tino     
      00987136\t00000002\t00080007\t00000001\tsystem-uncached\t00050561\t5448-edge_slave_alg
      \tAttached Devices:
      \tfdc38100.rkvdec-core
      Total 1 devices attached


      Total 1 objects, 987136 bytes

      """)
    let scan = look(tree)
    #expect(scan.bytes == 987_136 && scan.disagreements == 0)
    let only = try #require(scan.buffers.first)
    #expect(only.name == "5448-edge_slave_alg" && only.exporter == "system-uncached")
    #expect(only.attachments == ["fdc38100.rkvdec-core"] && only.inode == 50561)
  }

  @Test func aListWithoutInodesCountsEachOfItsBuffers() throws {
    let tree = try KernelTree()
    try tree.bufferList(
      "\nDma-buf Objects:\nsize    \tflags   \tmode    \tcount   \texp_name\n"
        + "00004096\t00000002\t00000003\t00000002\tion\n\tAttached Devices:\nTotal 0 devices attached\n\n"
        + "00004096\t00000002\t00000003\t00000002\tion\n\tAttached Devices:\nTotal 0 devices attached\n\n"
        + "\nTotal 2 objects, 8192 bytes\n")
    let scan = look(tree, .totals)
    #expect(scan.bytes == 8192 && scan.buffers.count == 2 && scan.disagreements == 0)
  }

  @Test func whatTheKernelAddsUpOtherwiseIsSaid() throws {
    let tree = try KernelTree()
    try tree.bufferList(KernelTree.list([KernelTree.line(inode: 5, size: 4096, count: 1)], bytes: 8192))
    #expect(look(tree).disagreements == 1)
    try tree.bufferList("\nDma-buf Objects:\n" + KernelTree.line(inode: 5, size: 4096, count: 1))
    #expect(look(tree).disagreements == 1, "a list that was cut has no total")
    let most = UInt64.max
    try tree.bufferList(
      KernelTree.list(
        [KernelTree.line(inode: 5, size: most, count: 1), KernelTree.line(inode: 6, size: 9, count: 1)], bytes: 8))
    #expect(look(tree).bytes == most && look(tree).disagreements == 2)
  }

  @Test func withoutBufinfoTheFolderOfSysfsIsTheList() throws {
    let tree = try KernelTree()
    for (inode, size) in [(8, 4096), (9, 12288)] {
      try tree.file("sys/kernel/dmabuf/buffers/\(inode)/size", "\(size)\n")
      try tree.file("sys/kernel/dmabuf/buffers/\(inode)/exporter_name", "qcom,system\n")
    }
    try tree.process(20, "app")
    try tree.buffer(3, of: "20", inode: 9, size: 12288, name: "frame")
    // Its entry comes late: until then it is in no total, whatever was looked at.
    try tree.buffer(4, of: "20", inode: 10, size: 100)
    let scanner = MemoryScanner(tree.roots)
    let scan = try scanner.look(.attachments)
    #expect(scan.depth == .holders, "names come from who holds them")
    #expect(scan.disagreements == 0)
    #expect(try scanner.look(.holders).disagreements == 1, "it does not come")
    #expect(scan.list == .sysfs && scan.refused.count == 1 && scan.refused[0].hasPrefix("bufinfo: "))
    #expect(scan.bytes == 16384)
    #expect(try buffer(scan, 9).name == "frame" && buffer(scan, 9).exporter == "qcom,system")
    #expect(try buffer(scan, 9).attachments == nil)
    #expect(scan.holderless.map(\.inode) == [8])
    #expect(look(tree, .totals).bytes == 16384)
  }

  // MARK: processes alone

  @Test func withoutAListEachBufferIsCountedOnceWhoeverHasIt() throws {
    let tree = try KernelTree()
    for pid in [30, 31, 32] { try tree.process(pid, "p\(pid)") }
    for pid in [30, 31] {
      try tree.buffer(3, of: "\(pid)", inode: 77, size: 4096, count: 3)
      try tree.buffer(4, of: "\(pid)", inode: 77, size: 4096, count: 3)
    }
    try tree.descriptor(5, of: "32", to: "/dev/null", "pos:\t0\nsize:\t123\n")
    // A file that is called like a buffer.
    try tree.descriptor(6, of: "32", to: "/dmabuf:not", "pos:\t0\nflags:\t02\nino:\t77\nsize:\t123\n")
    let scan = look(tree, .totals)
    #expect(scan.list == .processes && scan.depth == .holders)
    #expect(scan.bytes == 4096)
    #expect(try buffer(scan, 77).holders.map(\.descriptors) == [2, 2])
    #expect(scan.descriptors == 6 && scan.processesSeen == 3)
  }

  @Test func aBufferThatIsOnlyMappedIsFoundAndKnownToBeAtLeastSoLarge() throws {
    let tree = try KernelTree()
    try tree.process(40, "mapper")
    try tree.file(
      "proc/40/maps",
      """
      55d0-55e0 r-xp 00000000 08:01 77 /usr/bin/mapper
      7f0000000000-7f0000002000 rw-s 00001000 00:0a 78                         /dmabuf:left over
      7f0000010000-7f0000011000 rw-s 00000000 00:0a 79                         /dmabuf:
      7f0000020000-7f0000021000 rw-s 00000000 08:01 80                         /dmabuf:a file
      7f0000030000-zz rw-s 00000000 00:0a 81                         /dmabuf:broken

      """)
    try tree.buffer(3, of: "40", inode: 79, size: 65536)
    let scan = look(tree)
    #expect(scan.buffers.map(\.inode) == [79, 78])
    let mapped = try buffer(scan, 78)
    #expect(mapped.isLowerBound && mapped.size == 0x3000 && mapped.name == "left over")
    #expect(mapped.holders == [MemoryScan.Holder(process: 40, descriptors: 0, mappings: 1)])
    let both = try buffer(scan, 79)
    #expect(!both.isLowerBound && both.size == 65536)
    #expect(both.holders == [MemoryScan.Holder(process: 40, descriptors: 1, mappings: 1)])
  }

  @Test func aThreadWithDescriptorsOfItsOwnIsLookedAt() throws {
    let tree = try KernelTree()
    try tree.process(50, "threads")
    try tree.buffer(3, of: "50", inode: 90, size: 4096)
    for thread in [50, 51, 52, 53, 54] { try tree.folder("proc/50/task/\(thread)/fd") }
    // 51 shares the table, 52 does not, and shares its own with 53; 54 has none.
    try tree.buffer(3, of: "50/task/51", inode: 90, size: 4096)
    for thread in [52, 53] { try tree.buffer(7, of: "50/task/\(thread)", inode: 91, size: 8192) }
    let scan = look(tree)
    #expect(scan.bytes == 12288 && scan.ownTables == 1)
    #expect(try buffer(scan, 90).holders == [MemoryScan.Holder(process: 50, descriptors: 1, mappings: 0)])
    #expect(try buffer(scan, 91).holders == [MemoryScan.Holder(process: 50, descriptors: 1, mappings: 0)])
  }

  @Test func descriptorsWithoutAnInodeAreSaidAndNotCounted() throws {
    let tree = try KernelTree()
    try tree.process(60, "old")
    // As Linux 5.4 writes it.
    try tree.descriptor(
      3, of: "60", to: "anon_inode:dmabuf", "pos:\t0\nflags:\t02\nmnt_id:\t9\nsize:\t4096\ncount:\t1\nexp_name:\tion\n")
    let scan = look(tree)
    #expect(scan.unidentified == 1 && scan.bytes == 0)
  }

  /// A container's root lists the descriptors of others and may read nothing of them.
  @Test func processesOfWhichPartMayNotBeReadAreCounted() throws {
    let tree = try KernelTree()
    for pid in 80...82 {
      try tree.process(pid, "closed")
      try tree.buffer(3, of: "\(pid)", inode: UInt64(pid), size: 4096)
    }
    try tree.remove("proc/80/fdinfo/3")
    try tree.folder("proc/80/fdinfo/3")
    try tree.remove("proc/81/fdinfo")
    try tree.file("proc/81/fdinfo", "")
    let scan = look(tree)
    #expect(scan.bytes == 4096 && scan.unreadable == 2 && scan.vanished == 0)
  }

  @Test func whatEndsWhileItIsLookedAtIsNoFailure() throws {
    let tree = try KernelTree()
    try tree.process(70, "closing")
    try tree.buffer(3, of: "70", inode: 5, size: 4096)
    try tree.buffer(4, of: "70", inode: 6, size: 4096)
    // Its descriptor was closed, its process has no table any more, and this one is nothing at all.
    try tree.remove("proc/70/fdinfo/3")
    try tree.folder("proc/71")
    try tree.file("proc/72", "")
    let scan = look(tree)
    #expect(scan.bytes == 4096 && scan.vanished == 2)
  }

  @Test func withoutProcessesTheReasonIsSaid() throws {
    let tree = try KernelTree()
    try tree.remove("proc")
    let scan = look(tree)
    #expect(scan.bytes == 0 && scan.refused.map { $0.prefix { $0 != ":" } } == ["bufinfo", "sysfs", "processes"])
  }

  @Test func nothingIsLookedAtThroughALink() throws {
    let tree = try KernelTree()
    try tree.process(75, "linked")
    try tree.buffer(3, of: "75", inode: 5, size: 4096)
    try tree.remove("proc/75/fdinfo/3")
    try tree.file("elsewhere", KernelTree.info(inode: 5, size: 4096, count: 1, exporter: "system", name: nil))
    try FileManager.default.createSymbolicLink(
      atPath: tree.root + "/proc/75/fdinfo/3", withDestinationPath: tree.root + "/elsewhere")
    #expect(look(tree).bytes == 0)
  }

  // MARK: names that lie

  @Test func aNameCannotForgeWhatFollowsItsLine() throws {
    let tree = try KernelTree()
    let forged = ["x\nTotal 0 objects, 0 bytes", "x\n\tAttached Devices:\n\tevil", "x\nTotal 9 devices attached"]
    try tree.bufferList(
      KernelTree.list(
        forged.enumerated().map {
          KernelTree.line(inode: UInt64($0.offset + 1), size: 4096, count: 1, name: $0.element, devices: ["real"])
        }, bytes: 3 * 4096))
    try tree.process(80, "a\nname\u{1b}[2J")
    try tree.buffer(3, of: "80", inode: 1, size: 4096, name: "y\nsize:\t999999\nino:\t4\nexp_name:\tz")
    let scan = look(tree)
    #expect(scan.bytes == 3 * 4096 && scan.kernelBytes == 3 * 4096 && scan.disagreements == 0)
    for buffer in scan.buffers { #expect(buffer.attachments == ["real"]) }
    // A name is whole without a process that says it.
    let names = look(tree, .totals).buffers.map(\.name)
    #expect(names == forged.reversed().map(Optional.some))
    #expect(try buffer(scan, 1).name == "y\nsize:\t999999\nino:\t4\nexp_name:\tz")
    #expect(scan.processes.map(\.name) == ["a\nname\u{1b}[2J"])
  }

  @Test func bytesThatAreNoTextStayTheNameTheyAre() throws {
    let tree = try KernelTree()
    let names: [[UInt8]] = [[0xff], [0xfe], [0x61, 0xc3], [0xc3, 0xa9], [0xed, 0xa0, 0x80]]
    for (index, name) in names.enumerated() {
      try tree.process(90 + index, "holder")
      let folder = tree.root + "/proc/\(90 + index)"
      let text = KernelTree.info(inode: UInt64(index + 1), size: 4096, count: 1, exporter: "system", name: "NAME")
      let bytes = Array(text.utf8).split(separator: Array("NAME".utf8)).joined(separator: name)
      try FileManager.default.createDirectory(atPath: folder + "/fdinfo", withIntermediateDirectories: true)
      try Data(bytes).write(to: URL(fileURLWithPath: folder + "/fdinfo/3"))
      try FileManager.default.createSymbolicLink(atPath: folder + "/fd/3", withDestinationPath: "/dmabuf:")
    }
    let found = look(tree).buffers.reversed().compactMap(\.name)
    #expect(found.count == 5 && Set(found).count == 5 && found[3] == "é")
    let foreign = found.map { $0.unicodeScalars.compactMap { ForeignByte.byte(of: $0) } }
    #expect(foreign == [[0xff], [0xfe], [0xc3], [], [0xed, 0xa0, 0x80]])
  }

  @Test func aDescriptorOfWhichNothingIsToldIsSaid() throws {
    func scan(_ break: (KernelTree) throws -> Void) throws -> MemoryScan {
      let tree = try KernelTree()
      try tree.process(40, "a")
      try tree.buffer(3, of: "40", inode: 1, size: 4096)
      try `break`(tree)
      return look(tree)
    }
    #expect(try scan { _ in }.bytes == 4096)
    #expect(try scan { try $0.remove("proc/40/fdinfo") }.unreadable == 1)
    #expect(try scan { try $0.remove("proc/40/fdinfo/3") }.unidentified == 1)
    #expect(try scan { try $0.file("proc/40/fdinfo/3", "") }.unidentified == 1)
    // One that is closed is gone, and so is a process.
    let closed = try scan { try $0.remove("proc/40/fd/3") }
    #expect(closed.unidentified == 0 && closed.unreadable == 0 && closed.bytes == 0)
    let ended = try scan {
      try $0.remove("proc/40/fdinfo")
      try $0.remove("proc/40/comm")
    }
    #expect(ended.unreadable == 0 && ended.unidentified == 0)
  }

  @Test func whatIsNoListIsNotTakenForOne() throws {
    for text in ["", "rubbish\n00004096\t00000002\n", "Total 0 objects, 0 bytes\n"] {
      let tree = try KernelTree()
      try tree.bufferList(text)
      try tree.process(40, "a")
      try tree.buffer(3, of: "40", inode: 1, size: 4096)
      let scan = look(tree, .totals)
      #expect(scan.list == .processes && scan.bytes == 4096)
      #expect(scan.refused.first == "bufinfo: Bad message")
    }
  }

  @Test func withoutProcNothingOfTheLookBeforeIsTold() throws {
    let tree = try KernelTree()
    try tree.process(40, "a")
    try tree.descriptor(3, of: "40", to: "/dmabuf:", "pos:\t0\nsize:\t4096\nexp_name:\tion\n")
    let scanner = MemoryScanner(tree.roots)
    #expect(try scanner.look(.holders).unidentified == 1)
    try tree.remove("proc")
    let scan = try scanner.look(.holders)
    #expect(scan.unidentified == 0 && scan.processesSeen == 0 && scan.refused.last?.hasPrefix("processes: ") == true)
  }

  // MARK: devices and groups

  @Test func whatDriversSayOfAProcessIsKeptOnceForEachClient() throws {
    let tree = try KernelTree()
    try tree.process(85, "compositor")
    let text = "pos:\t0\ndrm-driver:\tv3d\ndrm-client-id:\t7\ndrm-total-memory:\t12 KiB\n"
    for fd in [3, 4] { try tree.descriptor(fd, of: "85", to: "/dev/dri/renderD128", text) }
    try tree.descriptor(5, of: "85", to: "/dev/video0", "pos:\t0\n")
    let process = try #require(look(tree).processes.first)
    #expect(
      process.devices == [
        MemoryScan.DeviceUse(
          path: "/dev/dri/renderD128",
          lines: ["drm-driver:\tv3d", "drm-client-id:\t7", "drm-total-memory:\t12 KiB"])
      ])
  }

  @Test func theGroupsChargeIsShownWhereTheKernelTells() throws {
    let tree = try KernelTree()
    try tree.file("proc/self/cgroup", "0::/media.slice/mpifs\n")
    #expect(look(tree).cgroupBytes == nil)
    try tree.file("sys/fs/cgroup/media.slice/mpifs/memory.stat", "anon 1\ndmabuf 40960\nfile 3\n")
    #expect(look(tree).cgroupBytes == 40960)
  }

  // MARK: what is kept

  @Test func anAgeBeginsWithTheFirstLookThatSawTheBuffer() {
    var book = MemoryBook()
    func note(_ inodes: [UInt64], at time: Int64) -> (hasNew: Bool, buffers: [MemoryScan.Buffer]) {
      var scan = MemoryScan()
      scan.buffers = inodes.map { MemoryScan.Buffer(inode: $0, size: 1) }
      scan.monotonicMicroseconds = time
      let hasNew = book.note(&scan)
      return (hasNew, scan.buffers)
    }
    let first = note([1, 2], at: 100)
    #expect(first.hasNew && first.buffers.allSatisfy { $0.isOlder })
    let second = note([2, 3], at: 200)
    #expect(second.hasNew)
    #expect(second.buffers.map(\.bornMicroseconds) == [100, 200] && second.buffers.map(\.isOlder) == [true, false])
    #expect(!note([2, 3], at: 300).hasNew, "nothing is new")
    let fourth = note([1], at: 400)
    #expect(fourth.hasNew && fourth.buffers[0].bornMicroseconds == 400, "an inode that was gone is another buffer")
  }

  @Test func theHistoryKeepsItsLengthAndTheExtremesOfEachMoment() throws {
    var history = MemoryHistory()
    for second in Int64(0)..<2000 { history.note(second: second, bytes: UInt64(second), count: 1) }
    history.note(second: 1999, bytes: 5, count: 2)
    let seconds = history.recent.inOrder
    #expect(seconds.count == MemoryHistory.seconds && seconds.first?.second == 1700)
    #expect(seconds.last == MemoryMoment(second: 1999, bytes: 5, most: 1999, least: 5, count: 2))
    let minutes = history.long.inOrder
    #expect(minutes.map(\.second) == (0...33).map { $0 * 60 })
    #expect(minutes[1] == MemoryMoment(second: 60, bytes: 119, most: 119, least: 60, count: 1))
    for second in stride(from: Int64(2040), to: 200_000, by: 60) { history.note(second: second, bytes: 1, count: 1) }
    #expect(history.long.inOrder.count == MemoryHistory.minutes)
    // Bytes of both rings.
    #expect((MemoryHistory.seconds + MemoryHistory.minutes) * MemoryLayout<MemoryMoment>.stride <= 70_000)
  }

  @Test func aMarkIsOfALookThatBeganAfterIt() throws {
    let tree = try KernelTree()
    try tree.process(90, "leaker")
    try tree.buffer(3, of: "90", inode: 5, size: 4096)
    let watch = SystemMemoryWatch(tree.roots, isSampling: false)
    // A look is fresh for a second, which may pass before this thread goes on.
    let isFresh = eventually {
      let looked = Monitor(false)
      watch.refresh(.holders) { looked.change { $0 = true } }
      let isOver = looked.wait(until: Clock.now() + .seconds(Int64(patience))) { $0 ? true : nil } ?? false
      return isOver && watch.isFresh(.holders)
    }
    #expect(isFresh && watch.report.holders?.bytes == 4096)
    // A look a moment old would not know this one.
    try tree.buffer(4, of: "90", inode: 6, size: 4096)
    let answers = Monitor<[String]>([])
    watch.mark("now") { refusal in answers.change { $0.append(refusal?.reason ?? "set") } }
    let end = Clock.now() + .seconds(Int64(patience))
    #expect(answers.wait(until: end, for: { $0.isEmpty ? nil : $0 }) == ["set"])
    #expect(watch.report.marks.map(\.inodes) == [[5, 6]])
    for number in 1...SystemMemoryWatch.mostMarks {
      watch.mark("m\(number)") { refusal in answers.change { $0.append(refusal?.errno == .noSpace ? "full" : "set") } }
    }
    let all = answers.wait(until: Clock.now() + .seconds(Int64(patience))) {
      $0.count == SystemMemoryWatch.mostMarks + 1 ? $0 : nil
    }
    #expect(all?.filter { $0 == "full" }.count == 1 && all?.last == "full")
    #expect(watch.clearMark("m1") && !watch.clearMark("m1") && watch.clearMark(nil))
    #expect(watch.report.marks.isEmpty)
  }
}
