// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization

/// One module channel in the graph. For every node: frames in = frames out + dropped + in flight.
final class Node: Sendable {
  /// Unique in the process, never reused.
  let id: Int
  let path: ObjectPath
  let user: UserSlot
  let generation: UInt64
  let createdAt = Clock.now()
  let input: InPort
  let output: OutPort
  /// What was lost here in the last seconds.
  let losses = RecentLosses()
  let work: WorkCounters
  /// What the administration waits for on the object's behalf.
  let awaited = Published<Awaited?>(nil)

  private static let nextID = Atomic<Int>(1)

  /// - Parameter drops: where dropped frames are noted.
  init(
    _ path: ObjectPath, user: UserSlot, depth: Int, generation: UInt64, drops: DropLog? = nil
  ) {
    self.id = Node.nextID.wrappingAdd(1, ordering: .relaxed).oldValue
    self.path = path
    self.user = user
    self.generation = generation
    let mark = DropMark(drops, path, losses)
    let input = InPort(user: user, depth: depth, drops: mark)
    self.input = input
    self.output = OutPort(after: input)
    self.work = WorkCounters(drops: mark)
  }

  /// Who made a pool of it.
  var creator: PoolRegistry.Creator { PoolRegistry.Creator(path: "\(path)", generation: generation) }

  /// Whose log level decides about its lines.
  var module: ModuleKind { ModuleKind(path.kind) }
  /// Number in the vendor's pages.
  var channel: Int { path.output ?? path.number }

  /// Frames that left a second, over the last second.
  var framesPerSecond: Double { output.counters.rate(at: Clock.now())?.framesPerSecond ?? 0 }

  /// The figures of one moment: what left is read before what came, so that nothing seems to leave that never came.
  func figures() -> NodeFigures {
    var best = NodeFigures()
    for _ in 0..<4 {
      let before = input.counters.frames
      best.work = work.figures()
      best.output = output.counters.figures()
      best.input = input.counters.figures()
      if best.input.frames == before { break }
    }
    return best
  }
}

/// All counters of a node, as far as possible of one moment.
struct NodeFigures: Sendable {
  var input = PortFigures()
  var output = PortFigures()
  var work = WorkFigures()

  var dropped: DropCounts { input.dropped + work.dropped }
  /// Frames whose fate is not decided: in - out - dropped.
  var inFlight: Int {
    Int(clamping: Int64(bitPattern: input.frames &- output.frames &- dropped.total))
  }
}
