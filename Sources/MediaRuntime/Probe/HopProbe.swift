// SPDX-License-Identifier: Apache-2.0
import Base
package import MediaCore
import Synchronization

/// Measures the frame path by itself, with every counter on: what a hop on one thread, a hop across threads and a
/// fan-out cost. For the benchmark command; uses the very ports, queues and sessions the modules use.
package final class HopProbe: Sendable {
  private let pool: Pool
  private let layout: FrameLayout
  private let room = Room(isLossless: true)
  private let service: Service

  /// - Parameter workers: threads that take frames from queues.
  package init(allocator: any Allocator, workers: Int) throws(Failure) {
    guard let layout = FrameLayout(.i420, width: 64, height: 48) else {
      throw Failure(.invalidArgument, "layout", on: "probe")
    }
    self.layout = layout
    pool = try Pool(name: "probe", size: layout.byteCount, count: 512, allocator: allocator)
    service = try Service(name: "probe", workers: workers)
  }

  deinit { service.close() }

  /// Passes frames on without touching them.
  private final class Passing: FrameHandler {
    let node: Node
    let tap = FrameTap()
    init(_ node: Node) {
      self.node = node
      node.input.connect(self)
      node.input.accept(true)
    }
    var hasRoom: Bool { node.output.hasRoom }
    func handle(_ frame: consuming Frame, at now: Int64) -> Int64 {
      tap.pass(frame)
      return node.output.deliver(frame, at: now)
    }
  }

  /// Takes frames from its queue and lets them go.
  private final class Taking: SessionWork {
    let node: Node
    let session: Session
    let room: Room
    let taken = Atomic<Int>(0)
    let goal: Int
    init(_ node: Node, service: Service, room: Room, goal: Int) {
      self.goal = goal
      self.node = node
      self.room = room
      session = Session(node.path, service: service)
      node.input.connect(session)
      session.attach(self)
      session.resume()
      node.input.accept(true)
    }
    func perform() -> Bool {
      guard let frame = node.input.queue.pop() else { return false }
      room.made(in: node.input)
      let start = Clock.now()
      session.began(at: start)
      let wait = start - frame.stamps.queued
      _ = consume frame
      let end = Clock.now()
      session.ended()
      node.output.counters.countLeaving(at: end, pts: end / 1000)
      node.work.record(.done, wait: wait, run: end - start, end: end)
      if taken.add(1, ordering: .relaxed).newValue == goal { room.wake() }
      return true
    }
  }

  private func node(_ index: Int, depth: Int) throws(Failure) -> Node {
    guard let path = ObjectPath("probe", index) else { throw Failure(.invalidArgument, "node", on: "\(index)") }
    return Node(
      path, user: UserSlot(rawValue: UInt8(1 + index)), depth: depth, generation: 1)
  }

  private func frame(_ number: UInt64, _ user: UserSlot) -> Frame? {
    guard let buffer = pool.take(as: user) else { return nil }
    return Frame(buffer, layout: layout, pts: Int64(number), sequence: number, stamps: FrameStamps())
  }

  /// Nanoseconds for each frame given through so many nodes on one thread.
  package func sameThread(hops: Int, frames: Int) throws(Failure) -> Double {
    let source = try node(0, depth: 0)
    var chain: [Passing] = []
    var last = source
    for index in 1...max(1, hops) {
      let passing = Passing(try node(index, depth: 0))
      passing.node.input.bind(to: last.output)
      last = passing.node
      chain.append(passing)
    }
    let start = Clock.now()
    for number in 0..<frames {
      guard let frame = frame(UInt64(number), source.user) else { continue }
      source.output.deliver(frame, at: Clock.now())
    }
    let elapsed = Clock.now() - start
    for passing in chain { passing.node.input.bind(to: nil) }
    return Double(elapsed) / Double(frames)
  }

  /// Nanoseconds for each frame given from one thread to so many queues, each with a session of its own, until all
  /// have been taken. Nothing is dropped.
  package func acrossThreads(receivers: Int, depth: Int, frames: Int) throws(Failure) -> Double {
    let source = try node(0, depth: 0)
    var takers: [Taking] = []
    for index in 1...max(1, receivers) {
      let taking = Taking(try node(index, depth: depth), service: service, room: room, goal: frames)
      taking.node.input.bind(to: source.output)
      takers.append(taking)
    }
    let start = Clock.now()
    for number in 0..<frames {
      if !source.output.hasRoom { room.wait(until: { source.output.hasRoom }, cancelled: { false }) }
      while true {
        if let frame = frame(UInt64(number), source.user) {
          source.output.deliver(frame, at: Clock.now())
          break
        }
        room.wait(until: { pool.free > 0 }, cancelled: { false })
      }
    }
    for taking in takers {
      while taking.taken.load(ordering: .relaxed) < frames {
        room.wait(until: { taking.taken.load(ordering: .relaxed) >= frames }, cancelled: { false })
      }
    }
    let elapsed = Clock.now() - start
    for taking in takers {
      taking.node.input.bind(to: nil)
      _ = taking.session.halt()
      taking.session.attach(nil)
    }
    return Double(elapsed) / Double(frames)
  }
}
