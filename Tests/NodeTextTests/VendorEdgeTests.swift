// SPDX-License-Identifier: Apache-2.0

import NodeText
import Reports
import TestSupport
import Testing

@Suite("The vendor's nodes at their edges", .ownThread)
struct VendorEdgeTests {
  private func valloc(_ buffers: [BufferReport], _ pools: [PoolReport] = [], _ dialect: Dialect) -> [Substring] {
    lines(
      rendered {
        VAllocPage.write(
          buffers: buffers, pools: pools, identity: Sample.identity(dialect), dialect: dialect, to: &$0)
      })
  }

  private func vsys(_ nodes: [NodeReport], _ dialect: Dialect) -> [Substring] {
    lines(rendered { VSysPage.write(nodes: nodes, identity: Sample.identity(dialect), dialect: dialect, to: &$0) })
  }

  // MARK: Empty

  @Test(arguments: Dialect.allCases)
  func emptyTablesKeepTitleAndHeader(_ dialect: Dialect) {
    let alloc = valloc([], [], dialect)
    #expect(alloc.count == 9)
    #expect(alloc[3].contains("*mpi buf list*"))
    #expect(alloc[4].hasPrefix("buf_id-pool_id-"))
    #expect(alloc[5] == "total:0               ")
    #expect(alloc[6].contains("*mpi pool list*"))
    #expect(alloc[7].hasPrefix("poid-"))
    #expect(alloc[8] == "")

    let sys = vsys([], dialect)
    #expect(sys.count == 7)
    #expect(sys[3].contains("*mpi node list*"))
    #expect(sys[3].count == 111)
    #expect(sys[4].hasPrefix("id---name--------"))
    #expect(sys[4].count == (dialect == .rockit1432 ? 117 : 170))
    #expect(sys[5].contains("*mpi node frame control*"))
    #expect(sys[5].count == 111 && sys[6].count == 111)

    let region = lines(
      rendered { VRgnPage.write(regions: RegionsReport(), nodes: [], identity: Sample.identity(dialect), to: &$0) })
    #expect(region.count == 8)
    #expect(region[3].count == 96 && region[4].count == 96 && region[5].count == 96 && region[6].count == 96)
    #expect(region[7] == "")

    #expect(renderText { VLogPage.write([], dialect: dialect, to: &$0) }.isEmpty)
    #expect(renderText { VEncInfoPage.write(EncodersReport(), dialect: dialect, to: &$0) }.isEmpty)
  }

  // MARK: valloc

  @Test(arguments: Dialect.allCases)
  func aBufferWithoutPoolDMABufOrSizeOfItsOwnPrintsTheVendorsNotAvailable(_ dialect: Dialect) {
    let view = BufferReport(id: 5, references: 1, size: 4096, sharing: .sharedView, creator: "cam")
    let owner = BufferReport(id: 4, references: 1, size: 8192, sharing: .sharedOwner, creator: "cam")
    let page = valloc([owner, view], [], dialect)
    let cells = page[6].split(separator: " ")
    #expect(cells[1] == "-1", "in no pool")
    #expect(cells[3] == (dialect == .rockit1432 ? "0" : "-1"), "no DMA-BUF")
    #expect(cells[4] == (dialect == .rockit1432 ? "0" : "-1"), "a view of shared memory")
    #expect(cells[5] == "0x10000005", "never a real address")
    if dialect == .rockit1481 {
      #expect(cells[6] == "0x0")
      #expect(cells[7] == "0x0")
    }
    #expect(page[7] == "total:8192            ", "shared memory counts once")
  }

  @Test func aPoolWhoseLowWaterMarkIsMinusOneShowsThatAFrameWasLost() {
    let pool = PoolReport(
      id: 1, total: 4, free: 0, minimumFree: -1, bufferSize: 10, creator: "mpifs",
      users: [BufferUser(node: "vi", nodeID: 1), BufferUser(node: "vpss", nodeID: 2)], memory: .memfd)
    let page = valloc([], [pool], .rockit1432)
    #expect(page[8] == "1    4     0    -1  10               mpifs            vi_1vpss_2")
  }

  @Test(arguments: Dialect.allCases)
  func thirtyTwoUsersAllStandInTheRow(_ dialect: Dialect) {
    let users = (0..<32).map { BufferUser(node: "venc", nodeID: 100 + $0, slot: $0) }
    let buffer = BufferReport(
      id: 1, references: 33, kernelReferences: 40, size: 1, creator: "mpifs", users: users)
    let row = valloc([buffer], [], dialect)[5]
    let expected = (0..<32).map { "venc_\(100 + $0)(\($0)) " }.joined()
    #expect(row.hasSuffix("mpifs            " + expected))
  }

  @Test func aUserThatHasGoneIsNamedInTheNewerDialect() {
    let buffer = BufferReport(
      id: 1, references: 1, size: 1, creator: "mpifs",
      users: [BufferUser(node: "venc", nodeID: 9, slot: 3, isGone: true)])
    #expect(valloc([buffer], [], .rockit1481)[5].hasSuffix(" deleted_10000009(3) "))
    #expect(valloc([buffer], [], .rockit1432)[5].hasSuffix(" venc_9(3) "))
  }

  @Test(arguments: Dialect.allCases)
  func valuesTooLongForTheirColumnPushTheRowRight(_ dialect: Dialect) {
    let buffer = BufferReport(
      id: 12_345_678, poolID: 123_456_789, references: 1_234_567, kernelReferences: 7_654_321,
      size: 99_999_999_999, creator: "a-creator-with-a-long-name")
    let cells = valloc([buffer], [], dialect)[5].split(separator: " ")
    #expect(Array(cells.prefix(5)) == ["12345678", "123456789", "1234567", "7654321", "99999999999"])
    #expect(cells.last == "a-creator-with-a-long-name")
  }

  // MARK: vsys

  @Test func theStateWordFollowsTheFlags() {
    let cases: [(NodeFlags, String)] = [
      ([], "0x60"), ([.valid], "0x62"), ([.dead], "0x64"), ([.valid, .destroying], "0x462"),
      ([.valid, .flushing], "0x862"), ([.valid, .streaming, .boundAsSink, .autoStart], "0x7062"),
    ]
    for (flags, word) in cases {
      let row = vsys([NodeReport(id: 1, name: "venc", channel: 0, flags: flags)], .rockit1432)[5]
      #expect(row.split(separator: " ")[14] == word)
    }
  }

  @Test func lostFramesAreNotThoseDroppedOnPurpose() {
    let dropped = DropCounts(
      frameControl: 1, queueFull: 10, noBuffer: 100, deviceError: 1000, late: 10000, rateControl: 2,
      formatMismatch: 100_000, disabled: 3, flushed: 4)
    #expect(dropped.total == 111_120)
    let node = NodeReport(
      id: 1, name: "venc", channel: 0, input: PortReport(frames: 200_000, dropped: dropped))
    #expect(vsys([node], .rockit1432)[5].split(separator: " ")[5] == "111110")
  }

  @Test func everyCauseOfADropHasItsOwnCount() {
    var counts = DropCounts()
    for (index, cause) in DropCause.allCases.enumerated() { counts[cause] = 1 << UInt64(index) }
    for (index, cause) in DropCause.allCases.enumerated() { #expect(counts[cause] == 1 << UInt64(index)) }
    #expect(counts.total == (1 << UInt64(DropCause.allCases.count)) - 1)
  }

  @Test func frameControlTablesOfBothSidesAreShown() {
    let node = NodeReport(
      id: 6, name: "vpss", channel: 0,
      input: PortReport(frameControl: (0..<30).map { $0 % 3 }), output: PortReport(frameControl: [0, 1]))
    let page = vsys([node], .rockit1432)
    #expect(page[8] == "6    vpss        in   " + (0..<10).map { _ in "0 1 2 " }.joined())
    #expect(page[9] == "6    vpss        out  0 1 ")
    #expect(page.count == 10)
    let cells = page[5].split(separator: " ")
    #expect(cells[7] == "30" && cells[11] == "2", "fbase is the length of the table")
  }

  // MARK: vrgn

  @Test func aLongTypeAndANinthRegionPushRight() {
    let regions = RegionsReport(
      regions: [
        RegionReport(
          id: 0, shape: .overlayExtended, width: 1, height: 2, format: .bgra4444, canvasBufferID: 1, canvasReferences: 2
        ),
        RegionReport(id: 1, shape: .line, width: 1, height: 2, format: .nv12),
      ],
      attachments: (0..<9).map { RegionAttachment(regionID: $0, nodeID: 1, x: $0, y: 1000 + $0) })
    let node = NodeReport(id: 1, name: "venc", channel: 0)
    let page = lines(
      rendered {
        VRgnPage.write(regions: regions, nodes: [node], identity: Sample.identity(.rockit1432), to: &$0)
      })
    #expect(page[5] == "0        OVERLAY_EX 1       2        ARGB4444  1        2        1        ")
    #expect(page[6] == "1        LINE      1       2        -1        -1       -1       1        ")
    // A y of four digits touches the next number, as on the board.
    #expect(page[9].hasPrefix("1    venc       0 0   10001 1   10012 2   1002"))
    #expect(page[9].hasSuffix("8 8   1008"))
  }

  // MARK: vlog

  @Test func aLogLineCannotForgeAnother() {
    let record = LogRecord(
      monotonicMicroseconds: 1, module: ModuleKind("vi"), level: .debug, function: "f\n", line: 1,
      text: "a\r\n[venc][err][000000000.000000]\u{1B}[2Jb")
    let old = rendered { VLogPage.write([record], dialect: .rockit1432, to: &$0) }
    #expect(old == "\r\n[vi][dbg][000000000.000001]f\\n,1:a\\r\\n[venc][err][000000000.000000]\\x1b[2Jb")
    let new = rendered { VLogPage.write([record], dialect: .rockit1481, to: &$0) }
    #expect(
      new
        == "[vi    ][dbg][        0.1     ] {f_                :0001} a\\r\\n[venc][err][000000000.000000]\\x1b[2Jb\r\n"
    )
  }

  @Test func theNewerLogCutsFunctionNamesAtEighteen() {
    let record = LogRecord(
      monotonicMicroseconds: 1_000_000_000_123_456, module: .memory, level: .warning,
      function: "a_function_with_a_long_name", line: 12345, text: "x")
    let text = rendered { VLogPage.write([record], dialect: .rockit1481, to: &$0) }
    #expect(
      text == "[mb    ][wrn][1000000000.123456] {a_function_with_a_:12345} \u{1B}[1;33mx\u{1B}[0m\r\n")
  }

  @Test(arguments: Dialect.allCases)
  func onlyTheNewestWholeLinesThatFitAreShown(_ dialect: Dialect) {
    let records = (0..<2000).map {
      LogRecord(
        monotonicMicroseconds: Int64($0), module: .system, level: .debug, function: "tick", line: 1,
        text: "number \($0)")
    }
    let one = renderText { VLogPage.writeRecord(records[1999], dialect: dialect, to: &$0) }
    let text = renderText { VLogPage.write(records, dialect: dialect, to: &$0) }
    #expect(text.count <= VLogPage.capacity)
    #expect(text.count > VLogPage.capacity - one.count, "as many as fit")
    #expect(text.suffix(one.count).elementsEqual(one))
    let first = String(decoding: text.prefix(dialect == .rockit1432 ? 7 : 6), as: UTF8.self)
    #expect(first == (dialect == .rockit1432 ? "\r\n[sys]" : "[sys  "), "begins with a whole line")
    let none = renderText { VLogPage.write(records, dialect: dialect, capacity: 3, to: &$0) }
    #expect(none.isEmpty)
  }

  // MARK: rk_dmabuf

  @Test func sizeAndPeakRoundDownInTheirOwnUnits() {
    let text: (MemoryTotals) -> String = { totals in
      rendered {
        DMABufSizePage.write(totals, to: &$0)
        DMABufPeakPage.write(totals, to: &$0)
      }
    }
    #expect(
      text(MemoryTotals(totalBytes: 67_125_248, peakBytes: 1_619_001_344)) == "Total: 65552 KiB\nPeak: 1544 MiB\n")
    #expect(text(MemoryTotals(totalBytes: 1023, peakBytes: 900 * 1024)) == "Total: 0 KiB\nPeak: 0 MiB\n")
  }
}
