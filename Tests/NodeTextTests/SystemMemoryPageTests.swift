// SPDX-License-Identifier: Apache-2.0
import Reports
import TestSupport
import Testing

@testable import NodeText

/// The pages about the DMA-BUFs of the whole system.
@Suite(.ownThread) struct SystemMemoryPageTests {
  private func text(_ write: (inout TextWriter) -> Void) -> String {
    String(decoding: renderText(write), as: UTF8.self)
  }

  private func buffer(
    _ inode: UInt64, _ size: UInt64, name: String? = nil, exporter: String? = "system", devices: [String]? = [],
    holders: [Int32] = [], born: Int64 = 0
  ) -> MemoryScan.Buffer {
    var buffer = MemoryScan.Buffer(inode: inode, size: size)
    buffer.name = name
    buffer.exporter = exporter
    buffer.attachments = devices
    buffer.holders = holders.map { MemoryScan.Holder(process: $0, descriptors: 1, mappings: 0) }
    buffer.bornMicroseconds = born
    return buffer
  }

  private func scan(_ buffers: [MemoryScan.Buffer], _ names: [Int32: String] = [:], at time: Int64 = 0) -> MemoryScan {
    var scan = MemoryScan()
    scan.list = .bufinfo
    scan.tellsAttachments = true
    scan.depth = .holders
    scan.buffers = buffers
    scan.bytes = buffers.reduce(0) { $0 + $1.size }
    scan.processes = names.sorted { $0.key < $1.key }.map { MemoryScan.Process(id: $0.key, name: $0.value) }
    scan.monotonicMicroseconds = time
    return scan
  }

  /// The vendor's columns: a capture of an RK3588 with Android 12, of which only the widths of blanks are the driver's.
  @Test func devHasTheVendorsColumns() {
    let page = text {
      DMABufDevPage.write(
        scan([
          buffer(
            0x2250_7400, 2628 << 10, name: "402-allocator@4.0-s", exporter: "system-uncached",
            devices: ["fb000000.gpu", "display-subsystem", "fb000000.gpu"]),
          buffer(7, 2048 << 10, name: "5448-edge_slave_alg", devices: ["fdc38100.rkvdec-core"]),
          buffer(6, 8_294_900, exporter: "drm"), buffer(5, 1, name: "a\nb", devices: nil),
        ]), to: &$0)
    }
    #expect(
      page == """
                  DMABUF NAME             EXPORT                 SIZE:KiB AttachedDevices

        0000000022507400 402-allocator@4. system-uncached        2628 KiB fb000000.gpu display-subsystem fb000000.gpu
        0000000000000007 5448-edge_slave_ system                 2048 KiB fdc38100.rkvdec-core
        0000000000000006 (null)           drm                    8100 KiB
        0000000000000005 a\\nb             system                    0 KiB ?

        """)
  }

  @Test func byProcessPutsWhoHoldsMostFirst() {
    let page = text {
      DMABufByProcessPage.write(
        scan(
          [
            buffer(5, 3000, name: "leak", exporter: "udmabuf", holders: [20]),
            buffer(4, 2000, name: "leak", exporter: "udmabuf", holders: [20]),
            buffer(3, 4001, name: "shared", holders: [10, 20]), buffer(2, 900),
          ], [10: "viewer", 20: "a very long name"]), to: &$0)
    }
    #expect(
      page == """
        #   pid process                     rss            pss  buffers     fds    maps  exporters names
             20 "a_very_long_name"         9001           7000        3       3       0  udmabuf*2,system*1 leak*2,shared*1
             10 viewer                     4001           2000        1       1       0  system*1 shared*1
              - (no_process)                900            900        1       0       0  system*1 -*1
        # all: 9901 bytes in 4 buffers; processes that could not be looked at: 0

        """)
  }

  /// A kernel may say what it likes: figures of twenty digits are words of their own all the same.
  @Test func columnsNeverTouch() {
    let most = UInt64.max
    var seen = scan([], [20: String(repeating: "n", count: 40)])
    seen.buffers = [buffer(5, most, holders: [20]), buffer(4, most)]
    for index in seen.buffers[0].holders.indices { seen.buffers[0].holders[index].descriptors = .max }
    seen.buffers[0].holders[0].mappings = .max
    let rows = text { DMABufByProcessPage.write(seen, to: &$0) }.split(separator: "\n").dropFirst().dropLast()
    let words = rows.map { $0.split(separator: " ").map(String.init) }
    #expect(words.map(\.count) == [9, 9])
    #expect(words[0][2...6] == ["\(most)", "\(most)", "1", "\(Int.max)", "\(Int.max)"])
    var report = SystemMemoryReport()
    report.seconds = [MemoryMoment(second: 100, bytes: most, most: most, least: most, count: .max)]
    let history = text {
      DMABufHistoryPage.write(
        report, now: ClockReading(monotonicMicroseconds: 0, realtimeMicroseconds: 0), to: &$0)
    }
    #expect(history.split(separator: "\n").last?.split(separator: " ").count == 7)
  }

  @Test func whatADriverSaysOfAProcessStandsBehindTheTable() {
    var seen = scan([], [7: "top"])
    seen.processes[0].devices = [
      MemoryScan.DeviceUse(path: "/dev/dri/card0", lines: ["drm-driver:\tv3d", "drm-total-memory:\t12 KiB"])
    ]
    let page = text { DMABufByProcessPage.write(seen, to: &$0) }
    #expect(page.hasSuffix("\n# device: 7 /dev/dri/card0 drm-driver:v3d drm-total-memory:12_KiB\n"))
  }

  @Test func growthNamesTheLeakerAndWhatNobodyHolds() {
    let mark = MemoryMark(name: "before", monotonicMicroseconds: 1_000_000, bytes: 700, inodes: [1, 2])
    let page = text {
      DMABufGrowthPage.write(
        [mark],
        scan(
          [
            buffer(6, 50, name: "x", born: 3_500_000), buffer(5, 300, name: "leak", holders: [20], born: 3_000_000),
            buffer(4, 300, name: "leak", holders: [20], born: 2_000_000),
            buffer(3, 100, name: "cam", holders: [10, 20], born: 2_500_000), buffer(2, 400, holders: [10]),
          ], [10: "viewer", 20: "leaker"], at: 4_000_000), to: &$0)
    }
    #expect(
      page == """
        mark before: 3.000000 s ago; 2 buffers 700 bytes then, 5 buffers 1150 bytes now: 4 came (750 bytes), 1 went
          pid=20 process=leaker buffers=2 bytes=600 name=leak exporter=system age=1.000000..2.000000
          pid=10 process=viewer buffers=1 bytes=100 name=cam exporter=system age=1.500000..1.500000
          pid=20 process=leaker buffers=1 bytes=100 name=cam exporter=system age=1.500000..1.500000
          held by the kernel or a dead process:
          buffers=1 bytes=50 name=x exporter=system age=0.500000..0.500000

        """)
  }

  @Test func growthSaysWhatToDoWithoutAMark() {
    #expect(text { DMABufGrowthPage.write([], scan([]), to: &$0) }.hasPrefix("no mark: echo mark > growth"))
  }

  @Test(arguments: ["mark", "mark\n", " mark  a.b-C_9 \r\n", "clear", "clear x\n"])
  func commandsOfGrowth(_ command: String) throws {
    let intake = try #require(DMABufGrowthPage.page.takes)
    let wanted: [String: Intake.Action] = [
      "mark": .markMemory("mark"), "mark\n": .markMemory("mark"), " mark  a.b-C_9 \r\n": .markMemory("a.b-C_9"),
      "clear": .clearMemoryMark(nil), "clear x\n": .clearMemoryMark("x"),
    ]
    #expect(try intake.parse(Array(command.utf8)) == wanted[command])
  }

  @Test(arguments: [
    "", "\n", "Mark", "mark a b", "mark a;b", "mark \u{1b}", "mark a123456789012345678901234567890ab", "0",
  ])
  func whatIsNoCommandOfGrowthIsRefused(_ command: String) throws {
    let intake = try #require(DMABufGrowthPage.page.takes)
    #expect(throws: Intake.Mistake.self) { try intake.parse(Array(command.utf8)) }
  }

  /// Line feeds, terminal sequences, blanks and commas in names: as many lines and words as with tame ones.
  @Test func noNameForgesALineOrAWord() {
    let hostile = "x\n  pid=1 process=init buffers=9\u{1b}[2J,y*3\u{9b}"
    func pages(_ name: String) -> [String] {
      let seen = scan([buffer(5, 10, name: name, exporter: name, devices: [name], holders: [20])], [20: name])
      let mark = MemoryMark(name: "m", monotonicMicroseconds: 0, bytes: 0, inodes: [])
      return [
        text { DMABufGrowthPage.write([mark], seen, to: &$0) }, text { DMABufByProcessPage.write(seen, to: &$0) },
      ]
    }
    for (bad, good) in zip(pages(hostile), pages("tame")) {
      let shape = { (page: String) in page.split(separator: "\n").map { $0.split(separator: " ").count } }
      #expect(shape(bad) == shape(good))
      #expect(bad.utf8.allSatisfy { $0 == 0x0A || 0x20..<0x7F ~= $0 })
    }
    let dev = text { DMABufDevPage.write(scan([buffer(5, 10, name: hostile, exporter: hostile)]), to: &$0) }
    #expect(dev.split(separator: "\n").count == 2 && dev.utf8.allSatisfy { $0 == 0x0A || $0 >= 0x20 })
  }

  @Test func theHistoryHasBothClocks() {
    var report = SystemMemoryReport()
    report.intervalMilliseconds = 1000
    report.minutes = [MemoryMoment(second: 60, bytes: 4096, most: 8192, least: 0, count: 1)]
    report.seconds = [MemoryMoment(second: 100, bytes: 4096, most: 4096, least: 4096, count: 1)]
    let page = text {
      DMABufHistoryPage.write(
        report, now: ClockReading(monotonicMicroseconds: 101_000_000, realtimeMicroseconds: 101_000_000), to: &$0)
    }
    let rows = page.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.split(separator: " ") }
    #expect(rows[0] == ["minute", "60", "1970-01-01T00:01:00.000000Z", "4096", "8192", "0", "1"])
    #expect(rows[1] == ["second", "100", "1970-01-01T00:01:40.000000Z", "4096", "4096", "4096", "1"])
  }

  @Test func whatTheIteratorCannotSeeIsSaidUnlessBufinfoTellsIt() {
    var report = SystemMemoryReport()
    var scan = scan([buffer(5, 4096)])
    scan.list = .iterator
    scan.tellsAttachments = false
    scan.refused = ["bufinfo: Permission denied"]
    report.holders = scan
    func lines() -> [Substring] {
      text { DMABufSourcePage.write(report, MemoryTotals(totalBytes: 0, peakBytes: 0), to: &$0) }.split(separator: "\n")
    }
    #expect(
      lines().prefix(3) == [
        "source: the kernel's BPF iterator of DMA-BUFs, and descriptors and mappings of every process for who holds what",
        "not_seen: attached devices; holders inside the kernel show as no process, descriptors under way in sockets too",
        "not_used: bufinfo: Permission denied",
      ])
    scan.refused = []
    scan.tellsAttachments = true
    report.holders = scan
    #expect(lines()[0].contains("iterator of DMA-BUFs, debugfs dma_buf/bufinfo for attached devices, and "))
    #expect(lines()[1].hasPrefix("not_seen: nothing of the totals; "))
  }

  @Test func theSourceSaysWhatItCannotSee() {
    var report = SystemMemoryReport()
    var seen = scan([buffer(5, 10)])
    seen.kernelBytes = 10
    seen.unreadable = 3
    (seen.remembered, seen.strangeMappings) = (41, 2)
    report.holders = seen
    let memory = MemoryTotals(totalBytes: 17, peakBytes: 0, ownBytes: 9, ownOtherBytes: 7)
    let page = text { DMABufSourcePage.write(report, memory, to: &$0) }
    #expect(page.hasPrefix("source: debugfs dma_buf/bufinfo"))
    for line in [
      "dmabuf_bytes: 10", "kernel_bytes: 10", "own_bytes: 9", "own_bytes_that_are_no_dmabuf: 7",
      "unreadable_processes: 3", "remembered_processes: 41", "mappings_not_counted: 2",
      "without_a_process: 1",
    ] { #expect(page.contains("\n\(line)\n"), "\(line)") }
    #expect(!page.contains("cgroup"), "a figure the kernel does not give is left out")
    report.holders?.list = .processes
    report.holders?.refused = ["bufinfo: no\npermission"]
    let other = text { DMABufSourcePage.write(report, memory, to: &$0) }
    #expect(other.contains("not_used: bufinfo: no\\npermission\n"))
    #expect(other.contains("not_seen: buffers that only the kernel holds"))
  }
}
