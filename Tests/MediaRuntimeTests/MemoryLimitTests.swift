// SPDX-License-Identifier: Apache-2.0
import Base
import Codecs
import Devices
import Foundation
import LinuxMedia
import MediaCore
import Reports
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// A runtime with the software engines, whose memory a test bounds and breaks.
final class MemoryStudio: Studio, Sendable {
  let faults = FaultInjector()
  let logs = RuntimeLogs()
  let graph: MediaGraph
  let runtime: Runtime

  init(limit: Int = .max, inspector: (any MemoryInspector)? = nil) throws {
    let faults = faults
    let catalogue = EngineCatalogue(
      encoders: SoftwareCodecs.encoderFactories(), decoders: SoftwareCodecs.decoderFactories(),
      scalers: SoftwareCodecs.scalerFactories(), sources: SoftwareCodecs.sourceFactories(), heaps: ["memfd", "system"],
      makeAllocator: { AllocatorPolicy.allocator(named: $0, kernel: faults) }, inspector: inspector)
    let registry = EngineRegistry(catalogue)
    graph = try MediaGraph(
      registry: registry, allocator: MemfdAllocator(kernel: faults),
      options: GraphOptions(memoryLimit: limit).patient, listener: logs)
    runtime = try Runtime(registry: registry, graph: graph, logs: logs, options: .patient)
  }

  func end() { shutDown() }

  @discardableResult func limit(_ text: String) -> Refusal? {
    let answer = Answer()
    runtime.setMemoryLimit(Array(text.utf8), reply: answer.reply)
    return answer.wait()
  }

  var held: UInt64 { graph.memoryTotals().totalBytes }
  var config: String { String(decoding: runtime.configText(), as: UTF8.self) }
  func framesOut(_ path: String) -> UInt64 { graph.objectState(Bench.path(path))?.statistics.framesOut ?? 0 }

  /// Six buffers of 348160 bytes, whole pages of 640x360, and what is scaled of it.
  static let pipeline = """
    vi/0/width = 640
    vi/0/height = 360
    vi/0/enable = 1
    vpss/0/source = vi/0
    vpss/0/enable = 1
    vpss/0/0/width = 320
    vpss/0/0/height = 180
    vpss/0/0/enable = 1

    """
}

@Suite(.ownThread) struct MemoryLimitTests {
  @Test func theSumIsSaidInWords() throws {
    let ledger = MemoryLedger(limit: 90_000_000)
    try ledger.reserve(80_100_000, for: "vi0")
    let failure = #expect(throws: Failure.self) { try ledger.reserve(12_340_000, for: "vpss0.1") }
    #expect(failure?.errno == .noMemory && failure?.subject == "vpss0.1")
    #expect(failure?.detail == "asks 12.3 MB on top of 80.1 MB held; memory_limit is 90 MB")
    #expect(ledger.totals.totalBytes == 80_100_000 && ledger.refused == 1)
    try ledger.reserve(9_900_000, for: "vpss0.1")
    #expect(throws: Failure.self) { try ledger.reserve(1, for: "a") }
    #expect(throws: Failure.self) { try ledger.reserve(.max, for: "a") }
    #expect(throws: Failure.self) { try ledger.admit(.max, for: "a") }
    #expect(ledger.totals.peakBytes == 0, "nothing has been made of it")
    ledger.notePeak()
    ledger.remove(90_000_000)
    #expect(ledger.totals.totalBytes == 0 && ledger.totals.peakBytes == 90_000_000)
    #expect(
      ["12.3 MB", "1 MB", "0.1 MB", "49999 bytes", "2.1 MB"]
        == [12_349_999, 999_999, 50_000, 49_999, 2_050_000].map {
          MemoryLedger.megabytes($0)
        })
  }

  @Test func noLimitAllowsMoreThanThereIs() throws {
    let ledger = MemoryLedger(limit: 90_000_000, machine: 63_600_000)
    #expect(ledger.totals.limitBytes == 63_600_000)
    try ledger.reserve(60_000_000, for: "vi0")
    let failure = #expect(throws: Failure.self) { try ledger.reserve(4_000_000, for: "vb0") }
    #expect(failure?.errno == .noMemory && failure?.operation != MemoryLedger.operation)
    #expect(
      failure?.detail
        == "asks 4 MB on top of 60 MB held; there are 63.6 MB here, whatever memory_limit says")
    ledger.limit = 61_000_000
    let other = #expect(throws: Failure.self) { try ledger.reserve(4_000_000, for: "vb0") }
    #expect(other?.detail == "asks 4 MB on top of 60 MB held; memory_limit is 61 MB")
    #expect(ledger.totals.limitBytes == 61_000_000 && ledger.refused == 2)
  }

  @Test func manyWhoAskAtOnceNeverPassIt() throws {
    let ledger = MemoryLedger(limit: 1000)
    let threads = (0..<8).map { _ in
      Background {
        for _ in 0..<5000 {
          if (try? ledger.reserve(300, for: "a")) != nil {
            ledger.notePeak()
            #expect(ledger.totals.totalBytes <= 1000)
            ledger.remove(300)
          }
        }
      }
    }
    for thread in threads { try thread.value }
    // How many of them met is the scheduler's affair.
    #expect(ledger.totals.totalBytes == 0 && ledger.totals.peakBytes <= 900)
    for _ in 0..<3 { try ledger.reserve(300, for: "a") }
    ledger.notePeak()
    #expect(throws: Failure.self) { try ledger.reserve(300, for: "a") }
    #expect(ledger.totals.peakBytes == 900)
  }

  @Test func aPoolAsksForAllOfItselfAndTakesNothingWhenThatIsTooMuch() throws {
    let ledger = MemoryLedger(limit: 100_000)
    let faults = FaultInjector()
    let allocator = CountingAllocator(base: MemfdAllocator(kernel: faults), ledger: ledger)
    let failure = #expect(throws: Failure.self) {
      _ = try Pool(name: "vi0", size: 30_000, count: 4, allocator: allocator)
    }
    #expect(failure?.detail == "asks 131072 bytes on top of 0 bytes held; memory_limit is 100000 bytes")
    #expect(faults.count(of: .memfd) == 0 && ledger.totals.totalBytes == 0)
    let pool = try Pool(name: "vi0", size: 30_000, count: 3, allocator: allocator)
    #expect(ledger.totals.totalBytes == 3 * 32768)
    pool.close()
    #expect(ledger.totals.totalBytes == 0)
  }

  @Test func aStartThatWouldPassItIsRefusedAndNothingIsTaken() throws {
    let studio = try MemoryStudio(limit: 2_500_000)
    defer { studio.end() }
    // The input alone fits, the scaler's output does not.
    let refusal = studio.load(MemoryStudio.pipeline)
    #expect(refusal?.errno == .noMemory)
    #expect(
      refusal?.reason.contains("asks 0.6 MB on top of 2.1 MB held; memory_limit is 2.5 MB") ?? false, "\(refusal!)")
    #expect(refusal?.hint == "stop or shrink something, or raise memory_limit")
    #expect(eventually { studio.held == 0 && studio.graph.allocations().pools.isEmpty })
    #expect(studio.runtime.objects.isEmpty)
    #expect(studio.graph.memoryTotals().refused == 1)
  }

  @Test func itIsSetWhileEverythingRuns() throws {
    let studio = try MemoryStudio(limit: 2_500_000)
    defer { studio.end() }
    #expect(studio.runtime.memoryLimitText == "auto")
    #expect(studio.limit("2800000\n") == nil)
    #expect(studio.load(MemoryStudio.pipeline) == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 2 })
    #expect(studio.fact("vi/0", "memory_bytes") == "2088960")
    #expect(studio.fact("vpss/0/0", "memory_bytes") == "630784")
    #expect(studio.held == 2_088_960 + 630_784)
    // What is held stays, and nothing is added to it.
    #expect(studio.limit("2000000") == nil && studio.runtime.memoryLimitText == "2000000")
    let seen = studio.framesOut("vpss/0/0")
    #expect(eventually { studio.framesOut("vpss/0/0") > seen + 2 })
    #expect(studio.load("vi/1/width = 32\nvi/1/height = 32\nvi/1/enable = 1\n")?.errno == .noMemory)
    #expect(studio.limit("auto") == nil && studio.runtime.memoryLimitText == "auto")
    for (bad, errno) in [
      ("", Errno.invalidArgument), ("12 MB", .invalidArgument), ("-1", .outOfRange), ("1048575", .outOfRange),
      ("0x100000", .invalidArgument), ("9999999999999999999", .outOfRange), ("2000000\n3000000\n", .invalidArgument),
    ] {
      let refusal = studio.limit(bad)
      #expect(refusal?.errno == errno && refusal?.path == "memory_limit", "\(bad)")
    }
    #expect(studio.runtime.memoryLimitText == "auto")
    #expect(studio.logs.errors.records.last.map { String(describing: $0).contains("memory_limit") } ?? false)
  }

  @Test func itIsPartOfTheConfiguration() throws {
    let studio = try MemoryStudio(limit: 2_500_000)
    defer { studio.end() }
    #expect(studio.config == "create\n")
    #expect(studio.load("memory_limit = 4000000\n" + MemoryStudio.pipeline) == nil)
    #expect(studio.config.hasPrefix("create\nmemory_limit = 4000000\nvi/0/input"))
    let saved = studio.config
    // A transaction that fails leaves the limit as it was.
    #expect(studio.load("memory_limit = 2800000\nvi/1/enable = 1\n")?.errno == .noMemory)
    #expect(studio.config == saved)
    #expect(studio.load("memory_limit = 1\n")?.reason.hasPrefix("line 1: memory_limit: is out of range") ?? false)
    #expect(studio.load("memory_limit = 3000000\nmemory_limit = auto\n")?.errno == .invalidArgument)
    // What a replacement does not name is as it is by itself.
    #expect(studio.load("replace\nvi/3/width = 64\n") == nil)
    #expect(studio.runtime.memoryLimitText == "auto" && studio.config.hasPrefix("create\nvi/3/input"))
    #expect(studio.load("replace\n" + saved) == nil && studio.config == saved)
  }
}
