// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import Synchronization

/// Counts the bytes of picture memory of this process: all that a graph allocated, and what devices lent it; and keeps what is
/// allocated within the limit.
///
/// The totals are the whole system's: with the DMA-BUFs of others, as they were last seen. The peak follows the vendor's `rk_dmabuf/peak`: it is set when a buffer is made, and a reset stores 0 until the next
/// one is.
final class MemoryLedger: Sendable {
  private let total = Atomic<Int>(0)
  private let peak = Atomic<Int>(0)
  private let bound: Atomic<Int>
  private let machine: Int
  private let refusals = Atomic<UInt64>(0)

  /// - Parameters:
  ///   - limit: bytes that may be held.
  ///   - machine: bytes there are at all, whatever the limit.
  init(limit: Int = .max, machine: Int = .max) {
    bound = Atomic(limit)
    self.machine = machine
  }

  let system = SystemShare()

  var totals: MemoryTotals {
    let own = max(0, total.load(ordering: .relaxed))
    return MemoryTotals(
      totalBytes: UInt64(max(0, own + system.others)), peakBytes: UInt64(max(0, peak.load(ordering: .relaxed))),
      ownBytes: UInt64(own), ownOtherBytes: UInt64(max(0, own - system.ownBuffers)),
      limitBytes: reach == .max ? nil : UInt64(max(0, reach)), refused: refused)
  }

  /// Bytes that may be held. What is held already stays where it is lowered.
  var limit: Int {
    get { bound.load(ordering: .relaxed) }
    set { bound.store(newValue, ordering: .relaxed) }
  }

  /// What may be held indeed.
  private var reach: Int { min(limit, machine) }

  /// Requests the limit did not allow.
  var refused: UInt64 { refusals.load(ordering: .relaxed) }

  /// What is counted is there: buffers that were reserved have been made, or others have made some, as far as anybody has seen.
  func notePeak() { peak.max(total.load(ordering: .relaxed) + system.others, ordering: .relaxed) }

  func resetPeak() { peak.store(0, ordering: .relaxed) }

  func add(_ bytes: Int) {
    let now = total.add(bytes, ordering: .relaxed).newValue
    peak.max(now + system.others, ordering: .relaxed)
  }

  func remove(_ bytes: Int) { total.subtract(bytes, ordering: .relaxed) }

  /// Counts bytes that are about to be allocated; ``notePeak()`` follows when they are.
  /// - Throws: ENOMEM where the limit would be passed; nothing is counted then.
  func reserve(_ bytes: Int, for name: String) throws(Failure) {
    var now = total.load(ordering: .relaxed)
    while true {
      guard let sum = Self.sum(now, bytes), sum <= reach else { throw refusal(bytes, now, name) }
      let result = total.weakCompareExchange(expected: now, desired: sum, ordering: .relaxed)
      guard !result.exchanged else { return }
      now = result.original
    }
  }

  /// The same without counting them.
  func admit(_ bytes: Int, for name: String) throws(Failure) {
    let now = total.load(ordering: .relaxed)
    guard let sum = Self.sum(now, bytes), sum <= reach else { throw refusal(bytes, now, name) }
  }

  private static func sum(_ now: Int, _ bytes: Int) -> Int? {
    let (sum, isOver) = now.addingReportingOverflow(bytes)
    return isOver ? nil : sum
  }

  private func refusal(_ bytes: Int, _ now: Int, _ name: String) -> Failure {
    refusals.add(1, ordering: .relaxed)
    // In bytes where the difference would be rounded away.
    let isClose = bytes < .max / 2 && (max(0, now) + bytes + 50_000) / 100_000 <= (reach + 50_000) / 100_000
    func text(_ bytes: Int) -> String { isClose ? "\(bytes) bytes" : Self.megabytes(bytes) }
    let sum = "asks \(text(bytes)) on top of \(text(max(0, now))) held"
    if machine < limit {
      return Failure(
        .noMemory, "allocate", on: name, "\(sum); there are \(text(machine)) here, whatever memory_limit says")
    }
    return Failure(.noMemory, Self.operation, on: name, "\(sum); memory_limit is \(text(limit))")
  }

  /// What failures of the limit name as what was tried.
  static let operation = "memory_limit"

  /// `12.3 MB`, in millions, rounded to the nearest tenth; bytes where that would be nothing.
  static func megabytes(_ bytes: Int) -> String {
    guard bytes >= 50_000 else { return "\(bytes) bytes" }
    let tenths = bytes / 100_000 + (bytes % 100_000 >= 50_000 ? 1 : 0)
    return tenths % 10 == 0 ? "\(tenths / 10) MB" : "\(tenths / 10).\(tenths % 10) MB"
  }
}

/// An allocator whose memory is counted for as long as it lives, and kept within the limit.
struct CountingAllocator: Allocator {
  let base: any Allocator
  let ledger: MemoryLedger

  var name: String { base.name }

  func admit(count: Int, size: Int, for name: String) throws(Failure) {
    let (bytes, isOver) = Self.whole(size).multipliedReportingOverflow(by: count)
    try ledger.admit(isOver ? .max : bytes, for: name)
    try base.admit(count: count, size: size, for: name)
  }

  func allocate(size: Int, label: String) throws(Failure) -> any Memory {
    let bytes = Self.whole(size)
    try ledger.reserve(bytes, for: label)
    do throws(Failure) {
      let memory = try base.allocate(size: size, label: label)
      // Where pages are wider, or a device takes more, it differs; and now it counts for the peak.
      ledger.add(memory.size - bytes)
      return CountedMemory(memory, ledger)
    } catch {
      ledger.remove(bytes)
      throw error
    }
  }

  /// As whole pages.
  private static func whole(_ size: Int) -> Int { size > .max - 4095 ? .max : (size + 4095) & ~4095 }
}

/// Memory that leaves the ledger when it goes. It has been counted.
final class CountedMemory: Memory {
  private let base: any Memory
  private let ledger: MemoryLedger

  fileprivate init(_ base: any Memory, _ ledger: MemoryLedger) {
    self.base = base
    self.ledger = ledger
    if base.isDMABuf { ledger.system.addOwn(base.size) }
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
  var physicalRanges: [PhysicalRange]? { base.physicalRanges }
  func beginCPUAccess(write: Bool) throws(Failure) { try base.beginCPUAccess(write: write) }
  func endCPUAccess(write: Bool) throws(Failure) { try base.endCPUAccess(write: write) }
}
