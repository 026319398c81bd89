// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// One receiver of a source, for as long as they are bound.
final class Binding: Sendable {
  let port: InPort
  /// What the receiver must still agree to when a frame arrives; a stale binding brings nothing.
  let epoch: UInt64
  init(port: InPort, epoch: UInt64) {
    self.port = port
    self.epoch = epoch
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
  /// Swapped between two frames.
  private let list = Published<[Binding]>([])
  private let announced = Published<StreamFormat?>(nil)
  /// Makes changes of the list one at a time; the frame path never takes it.
  private let change = Mutex<Void>(())

  /// - Parameter input: the other side of the node.
  init(after input: InPort) { self.input = input }

  var bindings: [Binding] { list.value }

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
    change.withLock { _ in
      list.store(list.value + [binding])
    }
  }

  func remove(_ port: InPort) {
    change.withLock { _ in
      list.store(list.value.filter { $0.port !== port })
    }
  }

  func removeAll() -> [Binding] {
    change.withLock { _ in list.exchange([]) }
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
    counters.countLeaving(at: now, pts: frame.pts)
    let receivers = list.edition
    let last = receivers.value.count - 1
    guard last >= 0 else {
      _ = consume frame
      return now
    }
    var time = now
    for index in 0..<last {
      let binding = receivers.value[index]
      time = binding.port.receive(frame.share(as: binding.port.user), from: binding.epoch, at: time)
    }
    let binding = receivers.value[last]
    time = binding.port.receive(frame, from: binding.epoch, at: time)
    counters.took(time &- now)
    return time
  }

  /// Whether every receiver would take a frame now without dropping it for want of room.
  var hasRoom: Bool {
    let receivers = list.edition
    // By index: an iterator over the array takes memory in an unoptimised build.
    for index in receivers.value.indices where !receivers.value[index].port.hasRoom { return false }
    return true
  }
}
