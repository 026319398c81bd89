// SPDX-License-Identifier: Apache-2.0
import Base
import Devices
import MediaCore
import MediaRuntime
import NodeText
import Reports

/// What a buffer costs: one that is taken out of a warm pool and given back, and the page that shows a thousand of them.
enum MemoryPools {
  static func run(_ options: Options) throws(BenchError) {
    let rounds = try options.count("--rounds", 9)
    let turns = try options.count("--turns", 200_000)
    do throws(Failure) {
      try buffers(rounds, turns)
      try pages(rounds)
    } catch {
      throw BenchError("\(error)")
    }
  }

  private static func median(_ rounds: Int, _ body: () -> Void) -> Double {
    var samples: [Double] = []
    for _ in 0..<rounds {
      let start = now()
      body()
      samples.append(Double(now() - start))
    }
    return samples.sorted()[samples.count / 2]
  }

  private static func buffers(_ rounds: Int, _ turns: Int) throws(Failure) {
    let pool = try Pool(name: "bench", size: 4096, count: 8, allocator: MemfdAllocator())
    let user = UserSlot(rawValue: 1)
    var missed = 0
    let time = median(rounds) {
      for _ in 0..<turns where pool.take(as: user) == nil { missed += 1 }
    }
    guard missed == 0 else { throw Failure(.noBufferSpace, "take", on: "bench", "\(missed) times") }
    report("memory_pools.take_and_give_back", time / Double(turns), "ns")
    pool.close()
  }

  /// Four pools of 250 buffers.
  private static func pages(_ rounds: Int) throws(Failure) {
    let registry = EngineRegistry(EngineCatalogue(heaps: ["memfd"], makeAllocator: { _ in MemfdAllocator() }))
    let logs = RuntimeLogs()
    let graph = try MediaGraph(registry: registry, allocator: MemfdAllocator(), listener: logs)
    let runtime = try Runtime(registry: registry, graph: graph, logs: logs)
    let text = (0..<4).map { "vb/\($0)/size = 4096\nvb/\($0)/count = 250\nvb/\($0)/enable = 1\n" }.joined()
    let answer = Monitor<Refusal??>(nil)
    runtime.loadConfig(Array(text.utf8)) { refusal in answer.change { $0 = .some(refusal) } }
    let refused = answer.wait { $0 } ?? nil
    if let refused { throw Failure(refused.errno, "load", on: "bench", refused.reason) }
    var writer = TextWriter(capacity: 1 << 18)
    let identity = SystemIdentity(
      program: "mpifs", version: "0", commit: "0", buildAuthor: "", buildTime: CivilTime(year: 2026, month: 1, day: 1))
    var shown = 0
    let all = graph.allocations()
    let render = median(rounds * 10) {
      writer.removeAll()
      VAllocPage.write(
        buffers: all.buffers, pools: all.pools, identity: identity, dialect: .rockit1432, to: &writer)
    }
    let whole = median(rounds * 10) {
      let all = graph.allocations()
      shown = all.buffers.count
      writer.removeAll()
      VAllocPage.write(
        buffers: all.buffers, pools: all.pools, identity: identity, dialect: .rockit1432, to: &writer)
    }
    guard shown == 1000 else { throw Failure(.invalidArgument, "count", on: "bench", "\(shown) buffers") }
    report("memory_pools.valloc_1000_render", render / 1000, "us")
    report("memory_pools.valloc_1000", whole / 1000, "us")
    _ = runtime.shutDown(milliseconds: 5000)
    graph.close()
  }
}
