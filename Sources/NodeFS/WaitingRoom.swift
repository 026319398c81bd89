// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization
import SystemPackage

/// All parked requests of a tree: finds them by id (interrupt), by node (removal), by deadline, and all (shutdown).
final class WaitingRoom: Sendable {
  private struct State {
    var parked: [UInt64: ParkedRequest] = [:]
    var closed: NodeError?
    /// The earliest deadline the clock thread knows of.
    var nextWake = Int64.max
  }

  private let state = Monitor(State())
  private let lastID = Atomic<UInt64>(0)
  /// Called, without a lock held, when a deadline earlier than all before came in.
  let onEarlierDeadline: @Sendable () -> Void

  init(onEarlierDeadline: @escaping @Sendable () -> Void = {}) {
    self.onEarlierDeadline = onEarlierDeadline
  }

  func nextID() -> UInt64 { lastID.wrappingAdd(1, ordering: .relaxed).newValue }

  /// Who waits, or is being answered.
  var count: Int { state.withLock { $0.parked.count } }

  /// Waits until every answer is out, which it is once the room is closed and nobody is in it. Returns whether that was
  /// before `deadline`, on the monotonic clock.
  func isEmpty(by deadline: Int64) -> Bool {
    state.wait(until: deadline) { $0.parked.isEmpty ? true : nil } ?? false
  }

  /// Returns the error to answer with at once, when nobody may wait any more.
  func enter(_ request: ParkedRequest) -> NodeError? {
    var wake = false
    let refusal: NodeError? = state.change {
      if let closed = $0.closed { return closed }
      $0.parked[request.id] = request
      if let deadline = request.deadline, deadline < $0.nextWake {
        $0.nextWake = deadline
        wake = true
      }
      return nil
    }
    if wake { onEarlierDeadline() }
    // A removal that ran between the lookup of the node and this moment has not seen the request.
    if refusal == nil, request.node.isRemoved { return NodeError(.gone, "the node was removed") }
    return refusal
  }

  /// The answer to `request` is out.
  func leave(_ request: ParkedRequest) {
    _ = state.change { $0.parked.removeValue(forKey: request.id) }
  }

  /// The caller of request `id` got a signal. `first` runs before it is answered, if it was still waiting.
  func interrupt(_ id: UInt64, first: () -> Void) {
    state.withLock { $0.parked[id] }?.cancel(NodeError(.interrupted), first: first)
  }

  /// Ends the waits for nodes that are gone.
  func nodesRemoved() {
    cancel(NodeError(.gone, "the node was removed")) { $0.node.isRemoved }
  }

  /// Answers what is overdue at `now`, telling `overdue` before, and returns when to look again (`Int64.max`: no
  /// deadline is pending).
  func expire(now: Int64, overdue: (ParkedRequest, NodeError) -> Void) -> Int64 {
    let (late, next): ([ParkedRequest], Int64) = state.change {
      var late: [ParkedRequest] = []
      var next = Int64.max
      for request in $0.parked.values {
        guard let deadline = request.deadline else { continue }
        if deadline <= now { late.append(request) } else { next = min(next, deadline) }
      }
      $0.nextWake = next
      return (late, next)
    }
    let error = NodeError(.timedOut, "no answer in time; the work goes on")
    for request in late { _ = request.cancel(error) { overdue(request, error) } }
    return next
  }

  /// From now on nobody may wait; who waits is answered with `error`.
  func close(_ error: NodeError) {
    state.change { $0.closed = error }
    cancel(error) { _ in true }
  }

  /// Lets requests wait again, for a tree that is served a second time.
  func reopen() {
    state.change {
      $0.closed = nil
      $0.nextWake = .max
    }
  }

  private func cancel(_ error: NodeError, where matches: (ParkedRequest) -> Bool) {
    let requests = state.withLock { $0.parked.values.filter(matches) }
    for request in requests { _ = request.cancel(error) {} }
  }
}
