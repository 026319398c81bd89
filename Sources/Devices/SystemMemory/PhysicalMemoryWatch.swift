// SPDX-License-Identifier: Apache-2.0
internal import Base
public import MediaCore
public import Reports
import Synchronization
internal import SystemPackage

/// Where this program's DMA-BUFs lie in memory, and the kernel's heaps and areas of contiguous memory: looked at by a thread that
/// is made when somebody asks, and ends when nobody does.
///
/// Whoever asks is called back from that thread; nobody waits.
public final class PhysicalMemoryWatch: Sendable {
  /// For so long a look is good enough for the next reader, nanoseconds.
  static let age = Int64.seconds(1)

  /// The pieces of this program's picture memory, each once. While a look has them, none of their mappings goes.
  public typealias Own = @Sendable () -> [any Memory]

  private struct State {
    var report = PhysicalMemoryReport()
    var time: Int64?
    var waiting: [@Sendable () -> Void] = []
    var isLooking = false
    var listeners: [@Sendable () -> Void] = []
  }

  private let state = Mutex(State())
  private let roots: KernelRoots
  private let own: Own

  /// Has heaps and areas at once: a node that is there before anybody has looked must not be empty, or `sendfile` finds nothing in it.
  public init(_ roots: KernelRoots = KernelRoots(), own: @escaping Own = { [] }) {
    self.roots = roots
    self.own = own
    var report = PhysicalMemoryReport()
    Self.lookAtAreas(roots, &report)
    state.withLock { [report] in $0.report = report }
  }

  public var report: PhysicalMemoryReport { state.withLock { $0.report } }

  public var isFresh: Bool {
    let now = Clock.now()
    return state.withLock { state in state.time.map { now - $0 < Self.age } ?? false }
  }

  /// Calls back when a look is there.
  public func refresh(_ done: @escaping @Sendable () -> Void) {
    let begins = state.withLock { state in
      state.waiting.append(done)
      defer { state.isLooking = true }
      return !state.isLooking
    }
    guard begins else { return }
    do throws(Errno) {
      _ = try Thread("memory layout") { [self] in run() }
    } catch {
      let told = state.withLock { state in
        state.report.refusal = "no thread to look with: \(error)"
        state.isLooking = false
        defer { state.waiting = [] }
        return state.waiting
      }
      for done in told { done() }
    }
  }

  /// Has `body` called, from any thread, when heaps or areas are others than before.
  public func changed(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.listeners.append(body) } }

  private func run() {
    var goesOn = true
    while goesOn {
      let new = look()
      let (told, listeners) = state.withLock { state in
        let isOther = state.report.heaps != new.heaps || state.report.areas.map(\.name) != new.areas.map(\.name)
        state.report = new
        state.time = Clock.now()
        defer { state.waiting = [] }
        return (state.waiting, isOther ? state.listeners : [])
      }
      // The tree follows before those are answered who may look for a node in it.
      for listener in listeners { listener() }
      for done in told { done() }
      goesOn = state.withLock { state in
        state.isLooking = !state.waiting.isEmpty
        return state.isLooking
      }
    }
  }

  private func look() -> PhysicalMemoryReport {
    let clock = ThreadClock.ofThisThread()
    let begun = clock?.nanoseconds() ?? 0
    var report = PhysicalMemoryReport()
    place(own().filter(\.isDMABuf), &report)
    Self.lookAtAreas(roots, &report)
    report.monotonicMicroseconds = Clock.now() / 1000
    report.costMicroseconds = ((clock?.nanoseconds() ?? 0) - begun) / 1000
    return report
  }

  private static func lookAtAreas(_ roots: KernelRoots, _ report: inout PhysicalMemoryReport) {
    let areas = ContiguousAreas(roots, ProcFiles())
    report.heaps = listDirectory(roots.heaps).sorted()
    report.areas = areas.look()
    (report.contiguousBytes, report.freeContiguousBytes) = areas.totals()
    if report.areas.count == 1, report.areas[0].total == nil { report.areas[0].total = report.contiguousBytes }
  }

  private func place(_ memories: [any Memory], _ report: inout PhysicalMemoryReport) {
    guard !memories.isEmpty else { return }
    do throws(Errno) {
      let pages = try PhysicalPages(proc: roots.proc)
      for memory in memories {
        if let ranges = memory.physicalRanges {
          report.ranges[memory.inode] = ranges
          report.placed += 1
          continue
        }
        var found = PhysicalPages.Found()
        if let address = memory.mapped { found = try pages.behind(address, size: memory.size) }
        if found.isWithheld { report.refusal = "\(roots.proc)/self/pagemap has no page numbers without CAP_SYS_ADMIN" }
        if found.ranges.isEmpty {
          report.unplaced += 1
        } else {
          report.ranges[memory.inode] = found.ranges
          if found.bytes == UInt64(memory.size) { report.placed += 1 } else { report.partlyPlaced += 1 }
        }
      }
    } catch {
      report.refusal = "\(roots.proc)/self/pagemap: \(error)"
      report.unplaced = memories.count - report.placed - report.partlyPlaced
    }
  }
}
