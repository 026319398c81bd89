// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import Glibc
import LinuxMedia
import MediaCore
import Reports
import SystemPackage
import TestSupport
import Testing

@testable import Devices

/// Where buffers lie, and what contiguous memory the kernel has: over a kernel that a test makes, and over this one.
@Suite(.ownThread) struct PhysicalMemoryTests {
  private let pageSize = Int(getpagesize())

  /// Memory that says it is a DMA-BUF, so that it counts.
  private final class Pretended: Memory {
    let base: any Memory
    let physicalRanges: [PhysicalRange]?
    init(_ base: any Memory, ranges: [PhysicalRange]? = nil) {
      self.base = base
      physicalRanges = ranges
    }
    var fileDescriptor: CInt { base.fileDescriptor }
    var size: Int { base.size }
    var inode: UInt64 { base.inode }
    let exporter = "system"
    let isDMABuf = true
    func kernelReferenceCount() -> Int? { 1 }
    func map() throws(Failure) -> UnsafeMutableRawPointer { try base.map() }
    var mapped: UnsafeMutableRawPointer? { base.mapped }
    func beginCPUAccess(write: Bool) throws(Failure) {}
    func endCPUAccess(write: Bool) throws(Failure) {}
  }

  private func memory(pages: Int, ranges: [PhysicalRange]? = nil) throws -> Pretended {
    Pretended(try MemfdAllocator().allocate(size: pages * pageSize, label: "test"), ranges: ranges)
  }

  /// A `pagemap` that has these entries from an address on.
  private func pagemap(_ tree: KernelTree, _ address: UnsafeRawPointer, _ entries: [UInt64]) throws {
    try tree.folder("proc/self")
    let fd = open(tree.root + "/proc/self/pagemap", O_WRONLY | O_CREAT, 0o644)
    try #require(fd >= 0)
    defer { close(fd) }
    let offset = off_t(Int(bitPattern: address) / pageSize * 8)
    let written = entries.withUnsafeBytes { pwrite(fd, $0.baseAddress, $0.count, offset) }
    try #require(written == entries.count * 8, "\(errno)")
  }

  private func page(_ number: UInt64) -> UInt64 { 1 << 63 | number }

  private func look(_ watch: PhysicalMemoryWatch) throws -> PhysicalMemoryReport {
    // A look is fresh for a second, which may pass before this thread goes on.
    let isFresh = eventually {
      let looked = Monitor(false)
      watch.refresh { looked.change { $0 = true } }
      let isOver = looked.wait(until: Clock.now() + .seconds(Int64(patience))) { $0 ? true : nil } ?? false
      return isOver && watch.isFresh
    }
    try #require(isFresh)
    return watch.report
  }

  // MARK: pages

  @Test func pagesThatFollowEachOtherAreOneRange() throws {
    let tree = try KernelTree()
    let buffer = try memory(pages: 8)
    let address = try buffer.map()
    // One in swap, one not there: what stands on both sides of it is two, even where the numbers follow each other.
    try pagemap(
      tree, address,
      [page(16), page(17), page(18), page(40), 0, page(41), 1 << 62 | 42, 1 << 61 | page(43)])
    let report = try look(PhysicalMemoryWatch(tree.roots) { [buffer] })
    let size = UInt64(pageSize)
    #expect(
      report.ranges == [
        buffer.inode: [
          PhysicalRange(start: 16 * size, length: 3 * size), PhysicalRange(start: 40 * size, length: size),
          PhysicalRange(start: 41 * size, length: size), PhysicalRange(start: 43 * size, length: size),
        ]
      ])
    #expect(report.partlyPlaced == 1 && report.placed == 0 && report.unplaced == 0 && report.refusal == nil)
  }

  @Test func moreIsReadThanOneReadGives() throws {
    let tree = try KernelTree()
    let buffer = try memory(pages: 20_000)
    let address = try buffer.map()
    try pagemap(tree, address, (0..<20_000).map { page(100 + $0) })
    let report = try look(PhysicalMemoryWatch(tree.roots) { [buffer] })
    #expect(
      report.ranges[buffer.inode] == [
        PhysicalRange(start: 100 * UInt64(pageSize), length: 20_000 * UInt64(pageSize))
      ])
    #expect(report.placed == 1)
  }

  @Test func numbersThatAreWithheldAreSaidAndNotShown() throws {
    let tree = try KernelTree()
    let buffer = try memory(pages: 2)
    try pagemap(tree, try buffer.map(), [page(0), page(0)])
    let report = try look(PhysicalMemoryWatch(tree.roots) { [buffer] })
    #expect(report.ranges.isEmpty && report.unplaced == 1)
    #expect(report.refusal == "\(tree.root)/proc/self/pagemap has no page numbers without CAP_SYS_ADMIN")
  }

  @Test func addressesThatDoNotFitAreNone() throws {
    let tree = try KernelTree()
    let buffer = try memory(pages: 3)
    try pagemap(tree, try buffer.map(), [page((1 << 55) - 1), page(7), page((1 << 52) - 1)])
    let report = try look(PhysicalMemoryWatch(tree.roots) { [buffer] })
    #expect(
      report.ranges[buffer.inode] == [
        PhysicalRange(start: 7 * UInt64(pageSize), length: UInt64(pageSize))
      ])
  }

  @Test func whatIsNotMappedIsNotKnownAndNothingIsMappedForIt() throws {
    let tree = try KernelTree()
    let (bare, known) = (
      try memory(pages: 2),
      try memory(pages: 2, ranges: [PhysicalRange(start: 1 << 20, length: 2 * UInt64(pageSize))])
    )
    try tree.file("proc/self/pagemap", "")
    let plain = try MemfdAllocator().allocate(size: 4096, label: "plain")
    let report = try look(PhysicalMemoryWatch(tree.roots) { [bare, known, plain] })
    #expect(report.ranges == [known.inode: [PhysicalRange(start: 1 << 20, length: 2 * UInt64(pageSize))]])
    #expect(report.placed == 1 && report.unplaced == 1 && bare.mapped == nil)
  }

  @Test func withoutAPagemapTheReasonIsTold() throws {
    let tree = try KernelTree()
    let buffer = try memory(pages: 1)
    let report = try look(PhysicalMemoryWatch(tree.roots) { [buffer] })
    #expect(report.refusal == "\(tree.root)/proc/self/pagemap: No such file or directory" && report.unplaced == 1)
  }

  /// This machine's own kernel: as much as was touched, or the word that it keeps the numbers to itself.
  @Test func whatWasTouchedIsFoundOnThisMachine() throws {
    let buffer = try MemfdAllocator().allocate(size: 16 * pageSize, label: "test")
    let address = try buffer.map()
    for page in 0..<16 { address.storeBytes(of: 1, toByteOffset: page * pageSize, as: UInt8.self) }
    let found = try PhysicalPages().behind(address, size: buffer.size)
    if found.isWithheld {
      #expect(found.ranges.isEmpty)
    } else {
      #expect(found.bytes == UInt64(buffer.size) && found.ranges.reduce(0) { $0 + $1.length } == found.bytes)
      let pages = found.ranges.flatMap { stride(from: $0.start, through: $0.last, by: pageSize) }
      #expect(Set(pages).count == 16)
    }
  }

  // MARK: contiguous memory

  private func areas(_ tree: KernelTree) -> [ContiguousArea] { ContiguousAreas(tree.roots, ProcFiles()).look() }

  private func debugArea(
    _ tree: KernelTree, _ name: String, count: String = "64", used: String = "33", order: String = "0",
    bitmap: String? = "4294967295 1\n"
  ) throws {
    let folder = "sys/kernel/debug/cma/\(name)"
    try tree.file("\(folder)/count", count + "\n")
    try tree.file("\(folder)/used", used + "\n")
    try tree.file("\(folder)/order_per_bit", order + "\n")
    if let bitmap { try tree.file("\(folder)/bitmap", bitmap) }
  }

  @Test func anAreaIsAsDebugfsHasIt() throws {
    let tree = try KernelTree()
    try debugArea(tree, "linux,cma")
    try debugArea(tree, "a", count: "128", order: "2")
    var area = ContiguousArea(name: "linux,cma", total: 64 * UInt64(pageSize), used: 33 * UInt64(pageSize))
    area.bitmaps = [[.max, 1]]
    #expect(areas(tree).map(\.name) == ["a", "linux,cma"] && areas(tree)[1] == area)
    // Two words where one would do.
    #expect(areas(tree)[0].bitmaps == [] && areas(tree)[0].total == 128 * UInt64(pageSize))
  }

  /// Linux 6.15 and later: the bitmap of each range, and a link to the first.
  @Test func anAreaOfSeveralRangesHasABitmapForEach() throws {
    let tree = try KernelTree()
    try debugArea(tree, "a", count: "96", used: "2", bitmap: nil)
    try tree.file("sys/kernel/debug/cma/a/ranges/0/bitmap", "1 0\n")
    try tree.file("sys/kernel/debug/cma/a/ranges/1/bitmap", "2\n")
    try FileManager.default.createSymbolicLink(
      atPath: tree.root + "/sys/kernel/debug/cma/a/bitmap", withDestinationPath: "ranges/0/bitmap")
    #expect(areas(tree).first?.bitmaps == [[1, 0], [2]])
    try tree.remove("sys/kernel/debug/cma/a/ranges/1/bitmap")
    #expect(areas(tree).first?.bitmaps == [])
  }

  @Test func sysfsTellsWhatDebugfsDoesNot() throws {
    let tree = try KernelTree()
    for (name, total, free) in [("a", "100", "25"), ("b", "100", "101")] {
      try tree.file("sys/kernel/mm/cma/\(name)/total_pages", total + "\n")
      try tree.file("sys/kernel/mm/cma/\(name)/available_pages", free + "\n")
    }
    // Linux 6.12 has counters there and no sizes.
    try tree.file("sys/kernel/mm/cma/c/alloc_pages_success", "9\n")
    #expect(
      areas(tree) == [
        ContiguousArea(name: "a", total: 100 * UInt64(pageSize), used: 75 * UInt64(pageSize)),
        ContiguousArea(name: "b", total: 100 * UInt64(pageSize)), ContiguousArea(name: "c"),
      ])
  }

  @Test(arguments: [
    "", "\n", "-1\n", "99999999999999999999999\n", "x\n", "1 2\n", "18446744073709551615\n",
  ])
  func aNumberThatIsNoneIsNotTold(text: String) throws {
    let tree = try KernelTree()
    try tree.file("sys/kernel/debug/cma/a/count", text)
    try tree.file("sys/kernel/debug/cma/a/used", "1\n")
    let area = try #require(areas(tree).first)
    #expect(area.total == nil && area.used == UInt64(pageSize) && area.bitmaps.isEmpty)
  }

  @Test(arguments: ["", "1 -2\n", "1 4294967296\n", "1 x\n", "1 2 3\n", "1,2\n", "\u{0}\n"])
  func aBitmapThatIsNoneIsNotShown(bitmap: String) throws {
    let tree = try KernelTree()
    try debugArea(tree, "a", bitmap: bitmap)
    let area = try #require(areas(tree).first)
    #expect(area.bitmaps.isEmpty && area.total == 64 * UInt64(pageSize))
  }

  @Test func moreInUseThanThereIsIsNotTold() throws {
    let tree = try KernelTree()
    try debugArea(tree, "a", used: "65")
    #expect(areas(tree).first?.used == nil && areas(tree).first?.total == 64 * UInt64(pageSize))
    try debugArea(tree, "a", order: "64")
    #expect(areas(tree).first?.bitmaps == [])
  }

  @Test func filesAndLinksAreNoAreasAndTooManyAreCut() throws {
    let tree = try KernelTree()
    try tree.file("sys/kernel/debug/cma/file", "1\n")
    try FileManager.default.createSymbolicLink(
      atPath: tree.root + "/sys/kernel/debug/cma/link", withDestinationPath: "/proc")
    #expect(areas(tree).isEmpty)
    for number in 0..<300 { try tree.folder("sys/kernel/debug/cma/many\(number)") }
    #expect(areas(tree).count <= ContiguousAreas.most)
  }

  @Test func theOnlyAreaIsAsLargeAsTheKernelsTotal() throws {
    let tree = try KernelTree()
    try tree.file("proc/meminfo", "MemTotal:  9 kB\nCmaTotal:          65536 kB\nCmaFree:   100 kB\n")
    try tree.folder("sys/kernel/mm/cma/reserved")
    try tree.folder("dev/dma_heap")
    for heap in ["system", "reserved"] { try tree.file("dev/dma_heap/\(heap)", "") }
    let watch = PhysicalMemoryWatch(tree.roots)
    // They are there before anybody looks.
    #expect(watch.report.areas == [ContiguousArea(name: "reserved", total: 65536 << 10)] && !watch.isFresh)
    #expect(watch.report.heaps == ["reserved", "system"])
    let report = try look(watch)
    #expect(report.areas == [ContiguousArea(name: "reserved", total: 65536 << 10)])
    #expect(report.contiguousBytes == 65536 << 10 && report.freeContiguousBytes == 100 << 10)
    try tree.file("proc/meminfo", "CmaTotal: 18446744073709551615 kB\nCmaFree: 1 MB\n")
    let lie = try look(watch)
    #expect(lie.contiguousBytes == nil && lie.freeContiguousBytes == nil && lie.areas[0].total == nil)
  }

  @Test func whoFollowsTheAreasIsToldBeforeWhoAskedIsAnswered() throws {
    let tree = try KernelTree()
    try debugArea(tree, "a")
    let watch = PhysicalMemoryWatch(tree.roots)
    let events = Monitor<[String]>([])
    watch.changed { events.change { $0.append("changed \(watch.report.areas.map(\.name))") } }
    func ask() -> [String]? {
      let before = events.withLock { $0.count { $0 == "answered" } }
      watch.refresh { events.change { $0.append("answered") } }
      return events.wait(until: Clock.now() + .seconds(Int64(patience))) {
        $0.count { $0 == "answered" } > before ? $0 : nil
      }
    }
    #expect(ask() == ["answered"])
    try tree.remove("sys/kernel/debug/cma/a")
    #expect(ask() == ["answered", "changed []", "answered"])
  }
}
