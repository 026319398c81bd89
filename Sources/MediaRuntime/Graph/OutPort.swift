// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// One receiver of a source, for as long as they are bound, and the next one of the same source.
///
/// A chain of constants, which the frame path walks without retaining anything but its beginning.
final class Binding: Sendable {
  let port: InPort
  /// Who takes the frames where the port has no queue: lives as long as somebody may be handing one on.
  let handler: (any FrameHandler)?
  /// What the receiver must still agree to when a frame arrives; a stale binding brings nothing.
  let epoch: UInt64
  let next: Binding?

  init(port: InPort, handler: (any FrameHandler)?, epoch: UInt64, next: Binding? = nil) {
    self.port = port
    self.handler = handler
    self.epoch = epoch
    self.next = next
  }

  fileprivate func followed(by next: Binding?) -> Binding {
    Binding(port: port, handler: handler, epoch: epoch, next: next)
  }
}

/// Size, format and rate of the frames a port gives.
struct StreamFormat: Sendable {
  let layout: FrameLayout
  let rate: FrameRate
}

/// The side of a node frames leave by. Frames are given by one thread at a time; bindings are changed by any.
final class OutPort: Sendable {
  let counters = PortCounters(isOutput: true)
  /// Where the node's frames come from, for a node that takes frames.
  private let input: InPort
  private let hasEnded = Atomic<Bool>(false)
  /// The receivers in their order. Swapped between two frames: guarded by the counters' write lock.
  private nonisolated(unsafe) var first: Binding?
  private let announced = Published<StreamFormat?>(nil)
  /// The same for reports, and to make changes one at a time; the frame path never takes it.
  private let list = Mutex<[Binding]>([])

  /// - Parameter input: the other side of the node.
  init(after input: InPort) { self.input = input }

  var bindings: [Binding] { list.withLock { $0 } }

  /// Its source has come to its end: no frame will leave here until it is started anew.
  func end(_ isOver: Bool) { hasEnded.store(isOver, ordering: .relaxed) }

  /// Whether no more frames leave here because the source up the way has come to its end.
  var isOver: Bool {
    var port = self
    // A graph has no loops; the bound is for the moment in which it is being changed.
    for _ in 0..<64 {
      if port.hasEnded.load(ordering: .relaxed) { return true }
      guard port.input.waiting == 0, let upstream = port.input.upstream else { return false }
      port = upstream
    }
    return false
  }

  /// What the frames are, or will be as far as is known.
  var format: StreamFormat? { announced.value }

  func add(_ binding: Binding) {
    change { $0.append(binding) }
  }

  func remove(_ port: InPort) {
    change { $0.removeAll { $0.port === port } }
  }

  func removeAll() -> [Binding] {
    change { all in
      defer { all = [] }
      return all
    }
  }

  private func change<Result: Sendable>(_ body: (inout sending [Binding]) -> sending Result) -> Result {
    list.withLock { all in
      let result = body(&all)
      var chain: Binding?
      for binding in all.reversed() { chain = binding.followed(by: chain) }
      // The old chain is let go of after the frame path may go on.
      counters.block.begin()
      swap(&first, &chain)
      counters.block.end()
      return result
    }
  }

  /// Tells the receivers what is coming; called when it changes, not for every frame.
  func announce(_ format: StreamFormat?) {
    announced.store(format)
    for binding in bindings { binding.port.upstreamChanged() }
  }

  /// Gives a frame to every receiver.
  ///
  /// - Parameter now: the time; passing it on along the way saves reading the clock at every hop.
  /// - Returns: the time after the last receiver took it.
  @inline(__always) @discardableResult
  func deliver(_ frame: consuming Frame, at now: Int64) -> Int64 {
    counters.block.begin()
    counters.leave(at: now, pts: frame.pts, bytes: 0)
    let held = first
    counters.block.end()
    guard let first = consume held else {
      _ = consume frame
      return now
    }
    let time = Self.give(frame, to: first, at: now)
    counters.took(time &- now)
    return time
  }

  private static func give(_ frame: consuming Frame, to binding: Binding, at now: Int64) -> Int64 {
    guard let next = binding.next else { return binding.port.receive(frame, by: binding, at: now) }
    let time = binding.port.receive(frame.share(as: binding.port.user), by: binding, at: now)
    return give(frame, to: next, at: time)
  }

  /// Whether every receiver would take a frame now without dropping it for want of room.
  var hasRoom: Bool {
    counters.block.begin()
    var binding = first
    counters.block.end()
    while let receiver = binding {
      guard receiver.port.hasRoom else { return false }
      binding = receiver.next
    }
    return true
  }
}
