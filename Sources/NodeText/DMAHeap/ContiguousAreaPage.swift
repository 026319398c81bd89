// SPDX-License-Identifier: Apache-2.0

public import Reports

/// The vendor kernel's `rk_cma/AREA` and, for the area of its heap, `rk_dma_heap/alloc_bitmap`
/// (`drivers/soc/rockchip/rk_cma_procfs.c` and `drivers/dma-buf/rk_heaps/rk-cma-heap.c` of Rockchip's kernel): how much there is
/// and is allocated, and which part of it.
///
/// A line of which the kernel tells nothing is left out. The areas are the kernel's, so their nodes come and go with them.
public enum ContiguousAreaPage {
  /// The directory of the areas, and the second name that the area of the heaps has.
  public static let folder = "rk_cma"
  public static let heapPath = "rk_dma_heap/alloc_bitmap"

  /// Bytes of the text of a usual area, about.
  public static let capacity = 4096

  /// Writes both sums in KiB, and the bitmap as words of 32 bits, eight to a line.
  public static func write(_ area: ContiguousArea, to out: inout TextWriter) {
    if let total = area.total {
      out.text("Total: ")
      out.number(total >> 10)
      out.text(" KiB\n")
    }
    if let used = area.used {
      out.text(" Used: ")
      out.number(used >> 10)
      out.text(" KiB\n")
    }
    guard !area.bitmaps.isEmpty else { return }
    out.newline()
    for words in area.bitmaps {
      for (index, word) in words.enumerated() {
        writeWord(word, to: &out)
        out.byte(index % 8 == 7 || index == words.count - 1 ? 0x0A : 0x20)
      }
    }
  }

  /// Eight digits, upper-case.
  private static func writeWord(_ word: UInt32, to out: inout TextWriter) {
    for shift in stride(from: UInt32(28), through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: word >> shift & 15)
      out.byte(digit < 10 ? 0x30 + digit : 0x37 + digit)
    }
  }

  /// What the node of an area is called: its name, with nothing in it that makes a line or that a terminal obeys.
  public static func nodeName(of area: ContiguousArea) -> String {
    String(decoding: renderText(capacity: 64) { $0.line(area.name) }, as: UTF8.self)
  }

  /// Path and area of each node there is. Of two areas with one name the first has it.
  public static func nodes(of memory: PhysicalMemoryReport) -> [(path: String, area: ContiguousArea)] {
    var nodes: [(path: String, area: ContiguousArea)] = []
    for area in memory.areas {
      let path = "\(folder)/\(nodeName(of: area))"
      if !nodes.contains(where: { $0.path == path }) { nodes.append((path, area)) }
    }
    if let area = memory.heapArea { nodes.append((heapPath, area)) }
    return nodes
  }

  /// Their lines of `help`.
  static func help(of memory: PhysicalMemoryReport) -> [SettingHelp] {
    nodes(of: memory).map { node in
      SettingHelp(
        path: node.path, kind: .info, type: "",
        note: node.path == heapPath
          ? "the area of contiguous memory a heap takes its buffers from" : "an area of contiguous memory of the kernel"
      )
    }
  }
}
