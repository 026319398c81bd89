// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import Synchronization

/// Counts the bytes of picture memory of this process: all that a graph allocated, and what devices lent it.
///
/// The totals are the whole system's: with the DMA-BUFs of others, as they were last seen. The peak follows the vendor's `rk_dmabuf/peak`: it is set when a buffer is made, and a reset stores 0 until the next
/// one is.
final class MemoryLedger: Sendable {
  private let total = Atomic<Int>(0)
  private let peak = Atomic<Int>(0)
  let system = SystemShare()

  var totals: MemoryTotals {
    MemoryTotals(
      totalBytes: UInt64(max(0, total.load(ordering: .relaxed) + system.others)),
      peakBytes: UInt64(max(0, peak.load(ordering: .relaxed))),
      ownBytes: UInt64(max(0, total.load(ordering: .relaxed))),
      ownOtherBytes: UInt64(max(0, total.load(ordering: .relaxed) - system.ownBuffers)))
  }

  /// Others have made a buffer, as far as anybody has seen.
  func noteOthersPeak() { peak.max(total.load(ordering: .relaxed) + system.others, ordering: .relaxed) }

  func resetPeak() { peak.store(0, ordering: .relaxed) }

  func add(_ bytes: Int) {
    let now = total.add(bytes, ordering: .relaxed).newValue
    peak.max(now + system.others, ordering: .relaxed)
  }

  func remove(_ bytes: Int) { total.subtract(bytes, ordering: .relaxed) }
}

/// An allocator whose memory is counted for as long as it lives.
struct CountingAllocator: Allocator {
  let base: any Allocator
  let ledger: MemoryLedger

  var name: String { base.name }

  func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    let memory = try base.allocate(size: size, label: label)
    return CountedMemory(memory, ledger)
  }
}

/// Memory that leaves the ledger when it goes.
private final class CountedMemory: Memory {
  private let base: any Memory
  private let ledger: MemoryLedger

  init(_ base: any Memory, _ ledger: MemoryLedger) {
    self.base = base
    self.ledger = ledger
    if base.isDMABuf { ledger.system.addOwn(base.size) }
    ledger.add(base.size)
  }

  deinit {
    if base.isDMABuf { ledger.system.addOwn(-base.size) }
    ledger.remove(base.size)
  }

  var fileDescriptor: CInt { base.fileDescriptor }
  var size: Int { base.size }
  var inode: UInt64 { base.inode }
  var exporter: String { base.exporter }
  var isDMABuf: Bool { base.isDMABuf }
  func kernelReferenceCount() -> Int? { base.kernelReferenceCount() }
  func map() throws(Failure) -> UnsafeMutableRawPointer { try base.map() }
  var mapped: UnsafeMutableRawPointer? { base.mapped }
  func beginCPUAccess(write: Bool) throws(Failure) { try base.beginCPUAccess(write: write) }
  func endCPUAccess(write: Bool) throws(Failure) { try base.endCPUAccess(write: write) }
}
