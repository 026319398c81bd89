// SPDX-License-Identifier: Apache-2.0
import CAllocationCount
import MediaCore
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct DropRingTests {
  /// A record whose words all follow from one number, so that half of another shows.
  private static func record(_ number: UInt64) -> DropRing.Record {
    DropRing.Record(
      time: Int64(bitPattern: number &* 3), number: number, pts: Int64(bitPattern: ~number), what: number &* 7)
  }

  @Test func theLastRecordsAreKeptInOrder() {
    let ring = DropRing()
    #expect(ring.records.isEmpty)
    for number in 1...3 as ClosedRange<UInt64> { ring.write(Self.record(number)) }
    #expect(ring.records == (1...3).map(Self.record))
    for number in 4...1000 as ClosedRange<UInt64> { ring.write(Self.record(number)) }
    #expect(ring.records == (745...1000).map(Self.record))
  }

  /// A ring with writers and a reader at once.
  private final class Stress: Sendable {
    static let writers = 4
    let ring = DropRing()
    let writing = Atomic<Int>(Stress.writers)
    let reads = Atomic<Int>(0)
    let faults = Atomic<Int>(0)

    func write(_ writer: Int) {
      var number: UInt64 = 0
      while reads.load(ordering: .relaxed) < 200 {
        number += 1
        ring.write(DropRingTests.record(UInt64(writer) << 32 | number))
      }
      writing.subtract(1, ordering: .releasing)
    }

    func read() {
      while writing.load(ordering: .acquiring) > 0 {
        let seen = ring.records
        var last = [UInt64](repeating: 0, count: Stress.writers)
        for record in seen {
          let writer = Int(record.number >> 32)
          // Whole, of a writer there is, and each writer's in the order it wrote them.
          if record == DropRingTests.record(record.number), writer < last.count, record.number > last[writer] {
            last[writer] = record.number
          } else {
            faults.add(1, ordering: .relaxed)
          }
        }
        if !seen.isEmpty { reads.add(1, ordering: .relaxed) }
      }
    }
  }

  @Test func aReaderSeesWholeRecordsOfManyWritersInTheirOrder() {
    let stress = Stress()
    onThreads(Stress.writers + 1, "drops") { $0 < Stress.writers ? stress.write($0) : stress.read() }
    #expect(stress.faults.load(ordering: .relaxed) == 0)
    // With nobody else in the ring every slot takes its record again.
    for number in 1...256 as ClosedRange<UInt64> { stress.ring.write(Self.record(number)) }
    #expect(stress.ring.records == (1...256).map(Self.record))
  }

  @Test func notingADropAllocatesNothing() throws {
    let log = DropLog()
    let mark = DropMark(log, try #require(ObjectPath("vpss/3/2")))
    mark.note(.unknown, .late, .work, at: 1)
    var number = 0
    let allocations = fewestAllocations(by: allocation_count, in: 1000) {
      mark.note(DroppedFrame(number: UInt64(number), pts: 5), .queueFull, .input, at: Int64(number))
      number += 1
    }
    #expect(allocations == 0)
  }

  @Test func aRecordSaysWhichFrameWhereAndWhy() throws {
    let log = DropLog()
    for path in ["venc/0", "vpss/63/3", "vo/1"] {
      let mark = DropMark(log, try #require(ObjectPath(path)))
      for cause in DropCause.allCases {
        for stage in DropStage.allCases {
          let number = UInt64(cause.index * 10)
          mark.note(DroppedFrame(number: number, pts: -7), cause, stage, at: 1_234_567)
          let wanted = DropRecord(
            monotonicMicroseconds: 1234, object: path, number: number, ptsMicroseconds: -7, cause: cause, stage: stage)
          #expect(log.records.contains(wanted), "\(wanted)")
        }
      }
    }
    DropMark(log, try #require(ObjectPath("vi/0"))).note(.unknown, .noBuffer, .source, at: 9_000_000)
    let last = try #require(log.records.last)
    #expect(last.object == "vi/0" && last.number == nil && last.ptsMicroseconds == nil)
  }

  @Test func whatIsLeftOutAsAskedPushesOutNoLoss() throws {
    let log = DropLog()
    let mark = DropMark(log, try #require(ObjectPath("venc/0")))
    mark.note(DroppedFrame(number: 1, pts: 1), .queueFull, .input, at: 1000)
    for number in 2...2000 as ClosedRange<UInt64> {
      mark.note(DroppedFrame(number: number, pts: 1), .frameControl, .input, at: Int64(number) * 1000)
    }
    let records = log.records
    #expect(records.first?.cause == .queueFull)
    #expect(records.count == 1 + DropRing.capacity)
  }

  // MARK: in the graph

  @Test func everyDropOfAPipelineIsNotedWithItsFrame() throws {
    let script = EncoderScript()
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(limit: 90)), encoder: ScriptedEncoderFactory(script: script))
    try bench.make("vi/0")
    try bench.make("venc/0", ["codec": .text("h264"), "fps_src": .integer(30), "fps_dst": .integer(10)])
    bench.bind("venc/0", "vi/0")
    try bench.start("venc/0", "vi/0")
    // A drop is counted first, and noted then.
    #expect(eventually { bench.graph.isAtRest() })
    #expect(bench.figures("vi/0").output.frames == 90)
    let records = bench.graph.dropRecords().filter { $0.object == "venc/0" }
    let dropped = bench.figures("venc/0").dropped
    for cause in DropCause.allCases {
      #expect(UInt64(records.count { $0.cause == cause }) == dropped[cause], "\(cause)")
    }
    let left = records.filter { $0.cause == .frameControl }
    #expect(left.count == 60 && left.allSatisfy { $0.stage == .input })
    // Two of three, each once, in the order they came.
    #expect(left.compactMap(\.number) == (0..<90).filter { $0 % 3 != 0 }.map { UInt64($0) + (left[0].number ?? 0) - 1 })
    #expect(left.compactMap(\.ptsMicroseconds).count == 60)
    bench.finish()
  }
}
