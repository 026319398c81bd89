// SPDX-License-Identifier: Apache-2.0
import Reports
import TestSupport
import Testing

@testable import NodeText

/// The pages about where DMA-BUFs lie, and about contiguous memory: the columns are those of Rockchip's drivers, the figures made up.
@Suite(.ownThread) struct PhysicalMemoryPageTests {
  private func scan(_ buffers: MemoryScan.Buffer...) -> MemoryScan {
    var scan = MemoryScan()
    scan.list = .bufinfo
    scan.buffers = buffers
    return scan
  }

  private func buffer(
    _ inode: UInt64, _ size: UInt64, _ name: String?, _ exporter: String?, _ devices: [String]? = []
  ) -> MemoryScan.Buffer {
    var buffer = MemoryScan.Buffer(inode: inode, size: size)
    (buffer.name, buffer.exporter, buffer.attachments) = (name, exporter, devices)
    return buffer
  }

  private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  @Test func sgtHasTheVendorsColumns() throws {
    var memory = PhysicalMemoryReport()
    memory.ranges = [
      0x2250_7400: [
        PhysicalRange(start: 0x1040_0000, length: 1 << 20), PhysicalRange(start: 0x1060_0000, length: 640 << 10),
        PhysicalRange(start: 0x1080_0000, length: 968 << 10),
      ],
      7: [PhysicalRange(start: 0x3c00_0000, length: 2 << 20)], 5: [PhysicalRange(start: 0x1ff_f000, length: 512)],
    ]
    let page = rendered {
      DMABufSgtPage.write(
        scan(
          buffer(0x2250_7400, 2628 << 10, "402-allocator@4.0-s", "system-uncached"), buffer(9, 4096, "other", "system"),
          buffer(7, 2 << 20, nil, "reserved"), buffer(5, 512, "a\nb", "udmabuf")), memory, to: &$0)
    }
    #expect(page == String(decoding: try golden("rk_dmabuf_sgt.txt"), as: UTF8.self))
    #expect(lines(page).dropFirst().allSatisfy { $0.utf8.count == 65 + 61 || $0.hasSuffix(" Bytes)") })
  }

  @Test func heapInfoHasTheVendorsColumns() throws {
    var memory = PhysicalMemoryReport()
    memory.heaps = ["rk-dma-heap-cma", "system"]
    memory.ranges = [
      9: [PhysicalRange(start: 0x3c00_0000, length: 2 << 20)],
      // In two pieces, and known in part: neither has one begin and one end.
      8: [PhysicalRange(start: 0x1000, length: 4096), PhysicalRange(start: 0x9000, length: 60 << 10)],
      4: [PhysicalRange(start: 0x1000, length: 2048)],
    ]
    let page = rendered {
      DMAHeapInfoPage.write(
        scan(
          buffer(9, 2 << 20, "isp_statistics", "rk-dma-heap-cma", ["fdcc0000.rkcif", "fdc38100.rkvdec-core"]),
          buffer(8, 64 << 10, "a\nTotal 9", "system", nil), buffer(7, 4096, "screen", "drm"),
          buffer(6, 4096, "unknown", nil), buffer(4, 4096, nil, "rk-dma-heap-cma")), memory, to: &$0)
    }
    #expect(page == String(decoding: try golden("rk_dma_heap_info.txt"), as: UTF8.self))
  }

  @Test func withoutHeapsThereIsTheSumAlone() {
    let page = rendered { DMAHeapInfoPage.write(scan(buffer(1, 4096, "a", "system")), PhysicalMemoryReport(), to: &$0) }
    #expect(page == "\nTotal : 0x0 (0 KiB)\n")
  }

  @Test func heapsOfWhichSizesLieAddUpToTheMostThereIs() {
    var memory = PhysicalMemoryReport()
    memory.heaps = ["system"]
    let page = rendered {
      DMAHeapInfoPage.write(scan(buffer(2, .max, "a", "system"), buffer(1, .max, "b", "system")), memory, to: &$0)
    }
    #expect(page.hasSuffix("\nTotal : 0xffffffffffffffff (18014398509481983 KiB)\n"))
  }

  @Test func anAreaHasTheVendorsColumns() throws {
    var area = ContiguousArea(name: "rk-dma-heap-cma", total: 1536 << 10, used: 1280 << 10)
    area.bitmaps = [Array(repeating: .max, count: 9) + [0xffff, 0xdead_beef, 0]]
    let page = rendered { ContiguousAreaPage.write(area, to: &$0) }
    #expect(page == String(decoding: try golden("rk_cma.txt"), as: UTF8.self))
  }

  @Test func whatIsNotToldOfAnAreaIsLeftOut() {
    func page(_ area: ContiguousArea) -> String { rendered { ContiguousAreaPage.write(area, to: &$0) } }
    #expect(page(ContiguousArea(name: "a")) == "")
    #expect(page(ContiguousArea(name: "a", total: 4096)) == "Total: 4 KiB\n")
    #expect(page(ContiguousArea(name: "a", total: 8192, used: 0)) == "Total: 8 KiB\n Used: 0 KiB\n")
    var ranges = ContiguousArea(name: "a", used: 4096)
    ranges.bitmaps = [[1], [2, 3]]
    #expect(page(ranges) == " Used: 4 KiB\n\n00000001\n00000002 00000003\n")
  }

  @Test func theAreaOfAHeapHasTwoNodes() {
    var memory = PhysicalMemoryReport()
    func paths() -> [String] { ContiguousAreaPage.nodes(of: memory).map(\.path) }
    memory.areas = [ContiguousArea(name: "linux,cma"), ContiguousArea(name: "vpu")]
    #expect(paths() == ["rk_cma/linux,cma", "rk_cma/vpu"])
    memory.heaps = ["system", "vpu"]
    #expect(paths() == ["rk_cma/linux,cma", "rk_cma/vpu", "rk_dma_heap/alloc_bitmap"])
    #expect(ContiguousAreaPage.nodes(of: memory)[2].area.name == "vpu")
    // Whose area the default is, two of them do not tell.
    memory.heaps = ["default_cma_region", "system"]
    #expect(paths() == ["rk_cma/linux,cma", "rk_cma/vpu"])
    memory.areas.removeLast()
    #expect(paths() == ["rk_cma/linux,cma", "rk_dma_heap/alloc_bitmap"])
  }

  @Test func noNameOfAnAreaForgesALineOrHidesAnother() {
    var memory = PhysicalMemoryReport()
    memory.areas = [ContiguousArea(name: "a\n==> x <==", total: 1), ContiguousArea(name: "a\\n==> x <==", total: 2)]
    let nodes = ContiguousAreaPage.nodes(of: memory)
    #expect(nodes.map(\.path) == ["rk_cma/a\\n==> x <=="] && nodes[0].area.total == 1)
    var sources = Sample.sources(.rockit1432)
    sources.physicalMemory = { [memory] in memory }
    let report = rendered { ReportPage.write(Moment(sources), to: &$0) }
    #expect(lines(report).count { $0.hasPrefix("==> ") && $0.contains("x <==") } == 1)
  }

  @Test func reportAndHelpHaveTheAreas() {
    var sources = Sample.sources(.rockit1432)
    sources.physicalMemory = {
      var memory = PhysicalMemoryReport()
      memory.areas = [ContiguousArea(name: "reserved", total: 8192, used: 4096)]
      memory.heaps = ["reserved"]
      return memory
    }
    let report = rendered { ReportPage.write(Moment(sources), to: &$0) }
    for path in ["rk_cma/reserved", "rk_dma_heap/alloc_bitmap"] {
      #expect(report.contains("\n==> \(path) <==\nTotal: 8 KiB\n Used: 4 KiB\n"), "\(path)")
    }
    let help = rendered { HelpPage.page.render(Moment(sources), &$0) }
    #expect(lines(help).contains { $0.hasPrefix("rk_cma/reserved ") && $0.contains(" info ") })
    #expect(lines(help).contains { $0.hasPrefix("rk_dma_heap/alloc_bitmap ") })
  }

  @Test func theSourceSaysWhatIsKnownAndWhyNoMoreIs() {
    var memory = PhysicalMemoryReport()
    (memory.placed, memory.partlyPlaced, memory.unplaced) = (3, 2, 1)
    memory.contiguousBytes = 65_536
    func page() -> String {
      rendered {
        var report = SystemMemoryReport()
        report.latest = scan()
        DMABufSourcePage.write(report, MemoryTotals(totalBytes: 0, peakBytes: 0), memory, to: &$0)
      }
    }
    let lines = "\nsgt_buffers: 3\nsgt_buffers_in_part: 2\nsgt_buffers_unknown: 1\ncma_areas: 0\ncma_bytes: 65536\n"
    #expect(page().contains(lines))
    #expect(!page().contains("cma_free_bytes"))
    memory.refusal = "pagemap: no\nsource: forged"
    #expect(page().contains("\nsgt: physical memory of own DMA-BUFs; none is known: pagemap: no\\nsource: forged\n"))
  }
}
