// SPDX-License-Identifier: Apache-2.0

public import Reports

/// `rk_dmabuf/source`: where the figures come from and what that source cannot see, `key: value`.
public enum DMABufSourcePage {
  static let page = Page(
    "rk_dmabuf/source", capacity: 2048, needs: .look(.holders), needsLayout: true,
    "where the figures of rk_dmabuf come from, and their limits"
  ) {
    write($0.systemMemory, $0.memory, $0.physicalMemory, to: &$1)
  }

  /// Writes the page.
  public static func write(
    _ report: SystemMemoryReport, _ memory: MemoryTotals, _ physical: PhysicalMemoryReport = PhysicalMemoryReport(),
    to out: inout TextWriter
  ) {
    if let failure = report.failure {
      out.text("failed: ")
      out.line(failure)
      out.text("; the figures are those of the look before\n")
    }
    guard let scan = report.holders ?? report.latest else { return out.text("source: none yet\n") }
    out.text("source: ")
    switch scan.list {
    case .iterator:
      out.text("the kernel's BPF iterator of DMA-BUFs, ")
      if scan.tellsAttachments { out.text("debugfs dma_buf/bufinfo for attached devices, ") }
      out.text("and descriptors and mappings of every process for who holds what\n")
    case .bufinfo:
      out.text("debugfs dma_buf/bufinfo, and descriptors and mappings of every process for who holds what\n")
    case .sysfs: out.text("/sys/kernel/dmabuf/buffers, and descriptors and mappings of every process\n")
    case .processes: out.text("descriptors and mappings of every process\n")
    }
    out.text("not_seen: ")
    switch scan.list {
    case .iterator, .bufinfo:
      out.text(scan.tellsAttachments ? "nothing of the totals; " : "attached devices; ")
      out.text(
        "holders inside the kernel show as no process, descriptors under way in sockets too\n")
    case .sysfs: out.text("attached devices; buffers younger than their entry; names of buffers no process has open\n")
    case .processes:
      out.text(
        "buffers that only the kernel holds or that are under way in sockets; attached devices; processes this program may not look at (root sees all with CAP_SYS_PTRACE)\n"
      )
    }
    for refusal in scan.refused {
      out.text("not_used: ")
      out.line(refusal)
      out.newline()
    }
    let lines: [(StaticString, UInt64?)] = [
      ("dmabuf_bytes: ", scan.bytes), ("dmabuf_count: ", UInt64(scan.buffers.count)),
      ("kernel_bytes: ", scan.kernelBytes),
      ("own_bytes: ", memory.ownBytes), ("own_bytes_that_are_no_dmabuf: ", memory.ownOtherBytes),
      ("cgroup_dmabuf_bytes: ", scan.cgroupBytes),
      ("only_mapped: ", UInt64(scan.buffers.count { $0.isLowerBound })),
      ("without_a_process: ", UInt64(scan.holderless.count)), ("descriptors: ", UInt64(scan.descriptors)),
      ("processes: ", UInt64(scan.processesSeen)), ("remembered_processes: ", UInt64(scan.remembered)),
      ("unreadable_processes: ", UInt64(scan.unreadable)),
      ("vanished_processes: ", UInt64(scan.vanished)), ("threads_with_own_descriptors: ", UInt64(scan.ownTables)),
      ("descriptors_without_inode: ", UInt64(scan.unidentified)),
      ("mappings_not_counted: ", UInt64(scan.strangeMappings)), ("disagreements: ", UInt64(scan.disagreements)),
      ("sgt_buffers: ", UInt64(physical.placed)), ("sgt_buffers_in_part: ", UInt64(physical.partlyPlaced)),
      ("sgt_buffers_unknown: ", UInt64(physical.unplaced)), ("cma_areas: ", UInt64(physical.areas.count)),
      ("cma_bytes: ", physical.contiguousBytes), ("cma_free_bytes: ", physical.freeContiguousBytes),
      ("layout_cost_us: ", UInt64(max(0, physical.costMicroseconds))),
      ("cost_us: ", UInt64(max(0, scan.costMicroseconds))), ("age_limit_ms: ", UInt64(report.ageMilliseconds)),
    ]
    for (key, value) in lines {
      guard let value else { continue }
      out.text(key)
      out.number(value)
      out.newline()
    }
    out.text(
      "size: dmabuf_bytes and own_bytes_that_are_no_dmabuf; own buffers as they are now, others as they were at the last look\n"
    )
    out.text("sgt: physical memory of own DMA-BUFs")
    if let refusal = physical.refusal {
      out.text("; none is known: ")
      out.line(refusal)
      out.newline()
    } else {
      out.text(
        ": of udmabuf all, of others what was touched of their mappings, where the kernel shows those: nothing of mappings of bare page frames, as heaps make them\n"
      )
    }
    out.text("peak: exact for own buffers; of others what the looks saw, which miss what comes and goes between two\n")
  }
}
