// SPDX-License-Identifier: Apache-2.0
import Foundation
import MediaCore
import Reports
import Synchronization
import TestSupport
import Testing

@testable import MediaRuntime

/// Objects are made, bound, started, stopped and removed while others run; nothing stalls or crashes.
@Suite(.ownThread, .serialized) struct GraphStressTests {
  private final class Until: Sendable {
    private let over = Atomic<Bool>(false)
    var isOver: Bool { over.load(ordering: .relaxed) }
    func end() { over.store(true, ordering: .relaxed) }
  }

  /// Random numbers that are the same in every run.
  private struct Dice {
    var state: UInt64
    mutating func roll(_ count: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(count))
    }
  }

  @Test(arguments: [false, true])
  func churnOnOneBranchNeverStallsTheOther(isUnthrottled: Bool) throws {
    let bench = try Bench(
      source: ScriptedSourceFactory(script: .init(isLive: !isUnthrottled, intervalMicroseconds: 300)),
      options: GraphOptions(workers: 3, isUnthrottled: isUnthrottled))
    try bench.pipeline()
    try bench.make("vi/1")
    try bench.start("vi/1")
    let until = Until()
    let graph = bench.graph
    // As the administration does it: one thread makes and removes, binds and starts.
    let churn = Background("churn") {
      var dice = Dice(state: 42)
      var objects: [ObjectPath: any ModuleObject] = [:]
      let names = ["venc/8", "venc/9", "vpss/8", "vpss/8/0", "vpss/8/1"].compactMap { ObjectPath($0) }
      let sources = ["vi/0", "vi/1", "vpss/0/0", "vpss/0/1", "vpss/8/0"].compactMap { ObjectPath($0) }
      for _ in 0..<1500 {
        let path = names[dice.roll(names.count)]
        switch dice.roll(8) {
        case 0, 1:
          if objects[path] == nil {
            objects[path] = try? graph.make(
              path,
              settings: ObjectSettings([
                "codec": .text("h264"), "width": .integer(16 + 16 * dice.roll(4)), "height": .integer(32),
                "format": .text("i420"), "gop": .integer(5),
              ]))
          }
        case 2: try? objects[path]?.start()
        case 3: objects[path]?.stop()
        case 4:
          if path.output == nil {
            // A group goes with its outputs, as the administration has it.
            for (other, object) in objects where other.group == path && other != path {
              object.stop()
              object.retire()
              objects[other] = nil
            }
          }
          objects[path]?.stop()
          objects[path]?.retire()
          objects[path] = nil
        case 5, 6:
          let source = sources[dice.roll(sources.count)]
          // Loops are kept out by whoever binds.
          if source.group != path, (try? graph.checkBinding(receiver: path, source: source)) != nil {
            graph.bind(receiver: path, source: source)
          }
        default: graph.bind(receiver: path, source: nil)
        }
      }
      for object in objects.values { object.stop() }
      for (_, object) in objects.sorted(by: { graph.environment.table.precedes($1.key, $0.key) }) { object.retire() }
    }
    let looker = Background("looker") {
      while !until.isOver {
        _ = graph.nodeReports()
        _ = graph.objectStates()
        _ = graph.health()
        _ = graph.allocations()
        _ = graph.encodersReport()
      }
    }
    let reader = Background("reader") {
      while !until.isOver {
        guard let path = ObjectPath("venc/0"), let reader = try? graph.openStream(path) else { return }
        for _ in 0..<20 { _ = reader.read(max: 1000) }
        reader.close()
      }
    }
    try churn.value
    let before = bench.figures("venc/0").output.frames
    #expect(eventually { bench.figures("venc/0").output.frames > before + 20 }, "the other branch goes on")
    until.end()
    try looker.value
    try reader.value
    #expect(graph.objectStates().map(\.path) == ["vi/0", "vi/1", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1"])
    bench.stop("vi/0", "vi/1")
    #expect(
      eventually {
        ["vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1"].allSatisfy { bench.figures($0).inFlight == 0 }
      })
    bench.finish()
    // Nothing is left behind: every buffer came home, every byte is given back.
    #expect(eventually { bench.graph.allocations().pools.isEmpty })
    #expect(eventually { bench.graph.memoryTotals().totalBytes == 0 })
  }

  @Test func eachRunningNodeBalancesAtEveryLook() throws {
    let bench = try Bench(source: ScriptedSourceFactory(script: .init(intervalMicroseconds: 100)))
    try bench.pipeline()
    for _ in 0..<500 {
      for name in ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0", "venc/1"] {
        let figures = bench.figures(name)
        // A queue, a worker and what passed between the reading of the two ends.
        #expect(figures.inFlight >= 0, "\(name): \(figures.inFlight)")
        #expect(eventually { bench.figures(name).inFlight < 64 }, "\(name): \(bench.figures(name).inFlight)")
      }
    }
    #expect(eventually { bench.figures("venc/1").output.frames > 50 })
    bench.finish()
  }
}
