// SPDX-License-Identifier: Apache-2.0
import Base
import Foundation
import MediaCore
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

@Suite(.ownThread) struct StreamChannelTests {
  @Test func aStreamOpenedOnARunningChannelStartsWithParameterSets() throws {
    let bench = try Bench()
    try bench.pipeline()
    #expect(eventually { bench.figures("venc/0").output.frames > 15 })
    let reader = try bench.graph.openStream(Bench.path("venc/0"))
    var bytes: [UInt8] = []
    #expect(
      eventually {
        bytes.append(contentsOf: reader.read(max: 65536).bytes)
        return bytes.count > 2000
      })
    #expect(bytes.prefix(5) == [0, 0, 0, 1, 0x67])
    bench.stop("venc/0")
    var outcome = StreamReader.Outcome.wouldBlock
    #expect(
      eventually {
        outcome = reader.read(max: 65536).outcome
        return outcome == .end
      })
    bench.remove("venc/0")
    #expect(reader.read(max: 10).outcome == .gone)
    reader.close()
    bench.finish()
  }

  @Test func onlyEncodersHaveStreams() throws {
    let bench = try Bench()
    try bench.make("vi/0")
    #expect(throws: Refusal.self) { try bench.graph.openStream(Bench.path("vi/0")) }
    #expect(throws: Refusal.self) { try bench.graph.openStream(Bench.path("venc/0")) }
    bench.finish()
  }

  private final class Replies: Sendable {
    let results = Mutex<[Result<[UInt8], Failure>]>([])
    func add(_ result: Result<[UInt8], Failure>) { results.withLock { $0.append(result) } }
    var all: [Result<[UInt8], Failure>] { results.withLock { $0 } }
  }

  @Test func aSnapshotIsMadeOfANodeThatMovesAndOnlyOneAtATime() throws {
    let gate = GateBox()
    // Without frames it is to be the snapshot that gives up, after a time in which two are surely asked for.
    var options = GraphOptions(workers: 3, starvedAfter: .seconds(600))
    options.snapshotPatience = .seconds(6)
    let bench = try Bench(source: ScriptedSourceFactory(gate: gate), options: options)
    try bench.pipeline()
    for name in ["vi/0", "vpss/0/0", "vpss/0/1", "venc/0"] {
      let replies = Replies()
      bench.graph.snapshot(Bench.path(name), named: "snapshot.jpg") { replies.add($0) }
      #expect(eventually { replies.all.count == 1 })
      #expect((try? replies.all.first?.get().prefix(2)) == [0xff, 0xd8], "\(name)")
    }
    gate.close()
    let replies = Replies()
    #expect(eventually { gate.hasTurnedBack && bench.graph.isAtRest(besidesSources: true) })
    bench.graph.snapshot(Bench.path("venc/0"), named: "snapshot.jpg") { replies.add($0) }
    bench.graph.snapshot(Bench.path("venc/0"), named: "snapshot.jpg") { replies.add($0) }
    #expect(eventually { replies.all.count == 1 })
    guard case .failure(let busy) = replies.all[0] else {
      Issue.record("a second snapshot of the node must be refused")
      return
    }
    #expect(busy.errno == .resourceBusy)
    // No frame comes: the first ends by itself.
    #expect(eventually { replies.all.count == 2 })
    guard case .failure(let late) = replies.all[1] else {
      Issue.record("there was no frame to make a picture of")
      return
    }
    #expect(late.errno == .resourceTemporarilyUnavailable)
    bench.finish()
  }
}
