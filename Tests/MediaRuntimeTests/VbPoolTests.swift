// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import Foundation
import LinuxMedia
import MediaCore
import Reports
import SystemPackage
import TestSupport
import Testing

@testable import MediaRuntime

/// Pools that are objects.
@Suite(.ownThread) struct VbPoolTests {
  private static func path(_ text: String) -> ObjectPath { Bench.path(text) }

  private func pool(_ studio: MemoryStudio, _ path: String = "vb/0") -> PoolReport? {
    studio.graph.objectState(Self.path(path))?.pool
  }

  private func users(_ studio: MemoryStudio) -> [String] {
    (studio.graph.objectState(Self.path("vb/0"))?.active ?? []).filter { $0.key == "user" }.map(\.value)
  }

  @Test func takesItsMemoryWhenItIsStartedAndGivesItBack() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    #expect(studio.apply(.create(Self.path("vb/0"))) == nil)
    #expect(studio.condition("vb/0") == .stopped && studio.held == 0 && pool(studio) == nil)
    #expect(studio.set("vb/0", "size", "100000") == nil && studio.set("vb/0", "count", "3") == nil)
    #expect(studio.set("vb/0", "heap", "memfd") == nil && studio.set("vb/0", "enable", "1") == nil)
    #expect(studio.condition("vb/0") == .running && studio.held == 3 * 102_400)
    let report = try #require(pool(studio))
    #expect(report.path == "vb/0" && report.name == "vb0" && report.users.isEmpty)
    #expect(report.total == 3 && report.free == 3 && report.minimumFree == 3 && report.bufferSize == 100_000)
    #expect(report.creatorPath == "vb/0" && !report.isCreatorGone)
    #expect(studio.fact("vb/0", "memory_bytes") == "307200" && studio.fact("vb/0", "heap") == "memfd")
    #expect(studio.set("vb/0", "count", "4")?.errno == .resourceBusy)
    #expect(studio.apply(.remove(Self.path("vb/0")))?.errno == .resourceBusy)
    #expect(studio.set("vb/0", "enable", "0") == nil && studio.held == 0)
    #expect(studio.apply(.remove(Self.path("vb/0"))) == nil)
  }

  @Test func severalTakeFromOne() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    let loaded = studio.load(
      """
      vb/0/size = 345600
      vb/0/count = 8
      vb/0/enable = 1
      vi/0/pool = vb/0
      vi/1/width = 320
      vi/1/height = 180
      vi/1/pool = vb/0
      vi/1/enable = 1
      vpss/0/0/pool = vb/0

      """ + MemoryStudio.pipeline)
    #expect(loaded == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 5 && studio.framesOut("vi/1") > 5 })
    let all = studio.graph.allocations()
    // There is no other pool.
    #expect(all.pools.map(\.name) == ["vb0"] && all.buffers.count == 8)
    #expect(all.pools[0].users.map(\.node) == ["vi", "vi", "vpss"])
    #expect(users(studio) == ["vi/0", "vi/1", "vpss/0/0"])
    // One leaves, the others go on.
    #expect(studio.set("vi/1", "enable", "0") == nil)
    #expect(eventually { studio.graph.allocations().pools[0].users.count == 2 })
    let seen = studio.framesOut("vpss/0/0")
    #expect(eventually { studio.framesOut("vpss/0/0") > seen + 5 })
  }

  @Test func whoNeedsItIsNamed() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    #expect(
      studio.load("vb/0/size = 345600\nvb/0/count = 6\nvi/0/pool = vb/0\nvi/0/width = 640\nvi/0/height = 360\n") == nil)
    let stopped = studio.set("vi/0", "enable", "1")
    #expect(stopped?.errno == .noBufferSpace && stopped?.reason == "takes its buffers from vb/0, which is stopped")
    #expect(stopped?.hint == "start that first: echo 1 > vb/0/enable")
    #expect(studio.load("vb/0/enable = 1\nvi/0/enable = 1\n") == nil)
    let busy = studio.set("vb/0", "enable", "0")
    #expect(busy?.errno == .resourceBusy && busy?.reason == "vb/0 gives its buffers to vi/0")
    #expect(studio.set("vi/0", "pool", "")?.errno == .resourceBusy)
    #expect(studio.set("vi/0", "enable", "0") == nil && studio.set("vb/0", "enable", "0") == nil)
    let removal = studio.apply(.remove(Self.path("vb/0")))
    #expect(removal?.errno == .resourceBusy && removal?.reason == "gives its buffers to vi/0")
    #expect(removal?.hint == "let that have its own first: echo > vi/0/pool")
    #expect(studio.set("vi/0", "pool", "vb/1")?.errno == .noSuchFileOrDirectory)
    #expect(studio.set("vi/0", "pool", "vi/1")?.errno == .invalidArgument)
    #expect(studio.set("vi/0", "pool", "vb/64")?.errno == .outOfRange)
    #expect(studio.set("vi/0", "pool", "") == nil && studio.apply(.remove(Self.path("vb/0"))) == nil)
  }

  @Test func onesThatAreTooSmallAreRefusedWithTheReason() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    #expect(
      studio.load("vb/0/size = 345599\nvb/1/size = 345600\nvb/1/count = 1\nvb/0/enable = 1\nvb/1/enable = 1\n") == nil)
    let small = studio.load("vi/0/pool = vb/0\n" + MemoryStudio.pipeline)
    #expect(small?.errno == .invalidArgument)
    #expect(small?.reason.contains("the buffers of vb0 have 345599 bytes, and a picture has 345600") ?? false)
    #expect(studio.runtime.objects.map(\.path.description) == ["vb/0", "vb/1"])
    let few = studio.load("vi/0/pool = vb/1\n" + MemoryStudio.pipeline)
    #expect(few?.errno == .noBufferSpace && few?.reason.contains("vb1 has 1 buffers, and it takes 2") ?? false)
  }

  @Test func aConfigurationMakesAPoolAnewUnderWhoTakesFromIt() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    let text = "vb/0/size = 345600\nvb/0/count = 6\nvb/0/enable = 1\nvi/0/pool = vb/0\n" + MemoryStudio.pipeline
    #expect(studio.load(text) == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 2 })
    let id = pool(studio)?.id
    #expect(studio.load(text.replacing("count = 6", with: "count = 7")) == nil)
    #expect(pool(studio)?.total == 7 && pool(studio)?.id != id)
    let seen = studio.framesOut("vpss/0/0")
    #expect(eventually { studio.framesOut("vpss/0/0") > seen + 2 })
    let saved = studio.config
    #expect(studio.load("replace\n" + saved) == nil && studio.config == saved)
    #expect(studio.load("replace\nvi/7/width = 64\n") == nil)
    #expect(eventually { studio.held == 0 })
  }

  @Test func oneThatIsWrappedIsOnePieceOfMemory() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    let text = "vb/0/size = 345600\nvb/0/count = 6\nvb/0/wrap = 1\nvb/0/enable = 1\nvi/0/pool = vb/0\n"
    #expect(studio.load(text + MemoryStudio.pipeline) == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 5 })
    let all = studio.graph.allocations()
    let buffers = all.buffers.filter { $0.poolID == pool(studio)?.id }
    #expect(buffers.map(\.sharing) == [.sharedOwner] + Array(repeating: .sharedView, count: 5))
    #expect(buffers.first?.size == 6 * 348_160 && Set(buffers.map(\.inode)).count == 1)
    #expect(studio.fact("vb/0", "memory_bytes") == "2088960")
    // Counted once, in the totals and as a block.
    #expect(studio.held == 2_088_960 + 630_784)
    #expect(
      all.zones.map(\.usedBytes) == [2_088_960 + 7 * 86_400]
        && all.zones[0].blocks.filter { $0.name == "vb0" }.count == 1)
  }

  @Test func onePieceOfMemoryHasABoundThatIsNamedBeforeAnythingIsTaken() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    #expect(studio.load("vb/0/size = 1073741824\nvb/0/count = 3\n") == nil)
    let refusal = studio.set("vb/0", "wrap", "1")
    #expect(refusal?.errno == .outOfRange && refusal?.path == "vb/0/wrap")
    #expect(refusal?.hint == "wrap = 1 takes 2147483648 bytes at most; wrap = 0 has no such bound")
    #expect(studio.set("vb/0", "count", "2") == nil && studio.set("vb/0", "wrap", "1") == nil)
    #expect(studio.set("vb/0", "count", "3")?.path == "vb/0/count")
  }

  @Test func whoTakesFromItIsKeptTrueWhileOutputsChange() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    let text = "vb/0/size = 345600\nvb/0/count = 8\nvb/0/enable = 1\nvpss/0/0/pool = vb/0\n"
    #expect(studio.load(text + MemoryStudio.pipeline) == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 2 })
    let before = pool(studio)?.users.map(\.node)
    #expect(before == ["vpss"])
    // Each size of the input has a converter of its own, which takes from the pool before the last one has left it.
    for width in [320, 480, 640] {
      #expect(studio.load("vi/0/width = \(width)\nvi/0/enable = 1\n") == nil)
      let seen = studio.framesOut("vpss/0/0")
      #expect(eventually { studio.framesOut("vpss/0/0") > seen + 3 })
      #expect(pool(studio)?.users.map(\.node) == before)
    }
    // More than have a place in the table of uses share one, and are told apart.
    let shared = try #require(studio.graph.environment.shared.value[Self.path("vb/0")])
    let pools = studio.graph.environment.pools
    for path in ["vi/8", "vi/9", "vi/10"] {
      let creator = PoolRegistry.Creator(path: path, generation: 0)
      try pools.add(shared, creator: creator, user: .anonymous, isLent: false)
    }
    #expect(users(studio) == ["vpss/0/0", "vi/8", "vi/9", "vi/10"])
    pools.giveUp(shared, user: .anonymous, path: "vi/9")
    #expect(users(studio) == ["vpss/0/0", "vi/8", "vi/10"])
    #expect(studio.set("vpss/0/0", "enable", "0") == nil)
    #expect(eventually { users(studio) == ["vi/8", "vi/10"] })
  }

  /// Keeps what it takes.
  private final class Hoard: @unchecked Sendable {
    private var kept: [Box] = []
    private final class Box {
      let ref: BufferRef
      init(_ ref: consuming BufferRef) { self.ref = ref }
    }
    func fill(from pool: Pool) { while let ref = pool.take(as: .anonymous, orWaits: true) { kept.append(Box(ref)) } }
    func empty() { kept = [] }
  }

  @Test func oneThatRunsDryCostsFramesWhichAreCountedAndComesBack() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    let text = "vb/0/size = 345600\nvb/0/count = 4\nvb/0/enable = 1\nvpss/0/0/pool = vb/0\n"
    #expect(studio.load(text + MemoryStudio.pipeline) == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 2 })
    #expect(pool(studio)?.minimumFree ?? -1 >= 0)
    let shared = try #require(studio.graph.environment.shared.value[Self.path("vb/0")])
    func lost() -> UInt64 { studio.graph.objectState(Self.path("vpss/0/0"))?.statistics.dropped.noBuffer ?? 0 }
    let hoard = Hoard()
    #expect(
      eventually {
        hoard.fill(from: shared)
        return lost() >= 3
      })
    #expect(pool(studio)?.minimumFree == -1 && shared.refused >= 3)
    #expect(studio.graph.dropRecords().contains { $0.cause == .noBuffer && $0.object == "vpss/0/0" })
    let seen = studio.framesOut("vpss/0/0")
    hoard.empty()
    #expect(eventually { studio.framesOut("vpss/0/0") > seen + 5 })
    #expect(pool(studio)?.minimumFree == -1, "it stays said")
    #expect(shared.free <= 4)
  }

  @Test func aHeapThatRefusesIsSaidAndNothingIsTaken() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    #expect(studio.load("vb/0/count = 4\nvb/0/heap = system\n") == nil)
    // There is no such heap where tests run as a rule; where there is, the fault is planted.
    studio.faults.fail(.open, with: .permissionDenied, times: 1)
    let refusal = studio.set("vb/0", "enable", "1")
    #expect(refusal?.errno == .permissionDenied && refusal?.path == "vb/0/enable")
    #expect(studio.held == 0 && studio.condition("vb/0") == .stopped)
    #expect(studio.set("vb/0", "heap", "cma")?.errno == .notSupported)
    #expect(studio.set("vb/0", "heap", "heap")?.errno == .invalidArgument)
    #expect(studio.set("vb/0", "heap", "memfd") == nil && studio.set("vb/0", "enable", "1") == nil)
  }

  @Test(arguments: [KernelCall.memfd, .truncate, .addSeals]) func aStartThatRunsOutHalfwayLeavesNothing(
    _ call: KernelCall
  ) throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    studio.faults.fail(call, with: call == .memfd ? .tooManyOpenFiles : .noMemory, times: 1, after: 3)
    let refusal = studio.load(MemoryStudio.pipeline)
    #expect(refusal?.errno == (call == .memfd ? .tooManyOpenFiles : .noMemory))
    #expect(studio.faults.pending == 0 && eventually { studio.held == 0 })
    #expect(studio.runtime.objects.isEmpty)
    #expect(studio.load(MemoryStudio.pipeline) == nil)
    #expect(eventually { studio.framesOut("vpss/0/0") > 2 })
  }
}

/// What is told of buffers and who holds them.
@Suite(.ownThread) struct MemoryReportTests {
  @Test func aPlaceOfWhoLeftIsKeptWhileABufferIsChargedToIt() throws {
    let slots = UserSlots()
    let all = (1..<UserSlot.count).map { _ in slots.take() }
    #expect(Set(all).count == UserSlot.count - 1 && slots.take() == .anonymous)
    for slot in all { slots.name(slot, "vi", node: Int(slot.rawValue)) }
    slots.leave(all[3])
    slots.leave(all[9])
    #expect(slots.take { $0 == all[3] } == all[9])
    #expect(slots.users[Int(all[3].rawValue)]?.isGone == true)
    #expect(slots.take { $0 == all[3] } == .anonymous)
  }

  @Test func usesAreCountedBeyondWhatAByteHolds() throws {
    let pool = try Pool(name: "a", size: 4096, count: 1, allocator: MemfdAllocator())
    var held = UniqueArray()
    guard let first = pool.take(as: .anonymous) else {
      Issue.record("a new pool gave nothing")
      return
    }
    for _ in 0..<300 { held.append(first.share(as: .anonymous)) }
    #expect(first.buffer.uses(by: .anonymous) == 301 && first.buffer.references == 301)
  }

  /// Keeps references, which cannot be copied.
  private struct UniqueArray: ~Copyable {
    private final class Box {
      let ref: BufferRef
      init(_ ref: consuming BufferRef) { self.ref = ref }
    }
    private var boxes: [Box] = []
    mutating func append(_ ref: consuming BufferRef) { boxes.append(Box(ref)) }
  }

  @Test func theMatrixCountsByModuleAndSumsBlocks() {
    func user(_ node: String, _ id: Int, _ uses: Int) -> BufferUser {
      BufferUser(node: node, nodeID: id, slot: id, uses: uses)
    }
    let pool = PoolReport(
      id: 4, name: "vi0", total: 4, free: 1, minimumFree: 0, bufferSize: 4096, creator: "mpifs", memory: .memfd)
    func buffer(_ id: Int, _ references: Int, _ users: [BufferUser], others: Int = 0) -> BufferReport {
      BufferReport(
        id: id, poolID: 4, references: references, size: 4096, creator: "mpifs", users: users, otherUses: others)
    }
    let report = AllocationsReport(
      buffers: [
        buffer(7, 3, [user("vpss", 2, 2), user("vi", 1, 1)]), buffer(8, 0, []),
        buffer(9, 2, [user("vpss", 2, 1), user("vpss", 3, 1)]), buffer(11, 2, [user("vi", 1, 1)], others: 1),
      ], pools: [pool])
    let use = report.use(of: pool)
    #expect(use.modules == ["vi", "vpss", "other"])
    #expect(use.rows.map(\.block) == [0, 2, 3] && use.rows.map(\.buffer) == [7, 9, 11])
    #expect(use.rows.map(\.counts) == [[1, 2, 0], [0, 2, 0], [1, 0, 1]])
    // Blocks, not uses.
    #expect(use.sums == [2, 2, 1])
    #expect(report.zones.map(\.name) == ["memfd"] && report.zones[0].blocks.map(\.buffer) == [7, 8, 9, 11])
    #expect(report.zones[0].usedBytes == 4 * 4096)
  }

  @Test func whoMadeABufferIsSaidWhenHeHasGone() throws {
    let studio = try MemoryStudio()
    defer { studio.end() }
    #expect(studio.load(MemoryStudio.pipeline) == nil)
    // A picture is held by somebody who does not give it back.
    let object = try #require(studio.graph.object(Bench.path("vi/0")))
    let kept = KeptFrame()
    #expect(object.tap.request(.jpeg) { kept.keep($0.share(as: .anonymous)) })
    #expect(eventually { kept.isThere })
    #expect(studio.load("replace\nvi/5/width = 64\n") == nil)
    #expect(eventually { studio.graph.allocations().pools.count == 1 })
    let all = studio.graph.allocations()
    #expect(all.pools.map(\.creatorPath) == ["vi/0"] && all.pools.map(\.isCreatorGone) == [true])
    #expect(all.buffers.map(\.otherUses) == [1] && all.buffers.map(\.isCreatorGone) == [true])
    // Another object of that number is not who made it.
    #expect(studio.load("vi/0/width = 64\nvi/0/height = 64\n") == nil)
    #expect(studio.graph.allocations().pools.map(\.isCreatorGone) == [true])
    kept.drop()
    #expect(eventually { studio.held == 0 && studio.graph.allocations().pools.isEmpty })
  }
}
