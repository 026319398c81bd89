// SPDX-License-Identifier: Apache-2.0
import Atomics
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

/// An immutable list of receivers that is swapped whole, between two frames.
final class BindingList: AtomicReference, Sendable {
  let bindings: [Binding]
  init(_ bindings: [Binding]) { self.bindings = bindings }
}

/// Size, format and rate of the frames a port gives.
final class StreamFormat: AtomicReference, Sendable {
  let layout: FrameLayout
  let rate: FrameRate
  init(layout: FrameLayout, rate: FrameRate) {
    self.layout = layout
    self.rate = rate
  }
}

/// The side of a node frames leave by. Frames are given by one thread at a time; bindings are changed by any.
final class OutPort: AtomicReference, Sendable {
  let counters = PortCounters()
  private let list = ManagedAtomic(BindingList([]))
  private let announced = ManagedAtomic<StreamFormat?>(nil)
  /// Makes changes of the list one at a time; the frame path never takes it.
  private let change = Mutex<Void>(())

  var bindings: [Binding] { list.load(ordering: .acquiring).bindings }

  /// What the frames are, or will be as far as is known.
  var format: StreamFormat? { announced.load(ordering: .acquiring) }

  func add(_ binding: Binding) {
    change.withLock { _ in
      list.store(BindingList(list.load(ordering: .acquiring).bindings + [binding]), ordering: .releasing)
    }
  }

  func remove(_ port: InPort) {
    change.withLock { _ in
      list.store(
        BindingList(list.load(ordering: .acquiring).bindings.filter { $0.port !== port }), ordering: .releasing)
    }
  }

  func removeAll() -> [Binding] {
    change.withLock { _ in list.exchange(BindingList([]), ordering: .acquiringAndReleasing).bindings }
  }

  /// Tells the receivers what is coming; called when it changes, not for every frame.
  func announce(_ format: StreamFormat?) {
    announced.store(format, ordering: .releasing)
    for binding in bindings { binding.port.upstreamChanged() }
  }

  /// Gives a frame to every receiver.
  ///
  /// - Parameter now: the time; passing it on along the way saves reading the clock at every hop.
  /// - Returns: the time after the last receiver took it.
  @inline(__always) @discardableResult
  func deliver(_ frame: consuming Frame, at now: Int64) -> Int64 {
    counters.countAlone(at: now)
    let receivers = list.load(ordering: .acquiring)
    let last = receivers.bindings.count - 1
    guard last >= 0 else {
      _ = consume frame
      return now
    }
    var time = now
    for index in 0..<last {
      let binding = receivers.bindings[index]
      time = binding.port.receive(frame.share(as: binding.port.user), from: binding.epoch, at: time)
    }
    let binding = receivers.bindings[last]
    time = binding.port.receive(frame, from: binding.epoch, at: time)
    counters.took(time &- now)
    return time
  }

  /// Whether every receiver would take a frame now without dropping it for want of room.
  var hasRoom: Bool {
    let receivers = list.load(ordering: .acquiring)
    // By index: an iterator over the array takes memory in an unoptimised build.
    for index in receivers.bindings.indices where !receivers.bindings[index].port.hasRoom { return false }
    return true
  }
}
