// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A system call that waits for its answer without holding a thread.
///
/// Whoever completes it first wins: the handler, an interrupt, the deadline, removal of the node, shutdown. The others
/// are told that they came too late.
class ParkedRequest: @unchecked Sendable {
  // `@unchecked` for the subclass; this class only has constants.
  let id: UInt64
  /// Whose removal ends the wait.
  let node: Node
  /// What the caller waits for.
  let operation: Refusal.Operation
  let caller: Caller
  /// On the monotonic clock; nil waits for ever.
  let deadline: Int64?

  init(id: UInt64, node: Node, operation: Refusal.Operation, caller: Caller, deadline: Int64?) {
    self.id = id
    self.node = node
    self.operation = operation
    self.caller = caller
    self.deadline = deadline
  }

  /// Ends the wait with an error; `first` runs before the answer is sent, if this is it. Returns whether it was.
  @discardableResult
  func cancel(_ error: NodeError, first: () -> Void) -> Bool { false }
}

/// A parked request whose answer carries a `Value`.
final class Parked<Value: Sendable>: ParkedRequest, @unchecked Sendable {
  private enum Phase {
    /// The request is being made interruptible; an answer must not free it yet. Holds an early answer.
    case arming(Result<Value, NodeError>?)
    case waiting
    case done
  }

  private let phase = Mutex(Phase.arming(nil))
  private let room: WaitingRoom
  private let send: @Sendable (Result<Value, NodeError>) -> Void

  init(
    in room: WaitingRoom, node: Node, operation: Refusal.Operation = .read,
    caller: Caller = Caller(pid: 0, uid: 0, gid: 0), deadline: Int64?,
    send: @escaping @Sendable (Result<Value, NodeError>) -> Void
  ) {
    self.room = room
    self.send = send
    super.init(id: room.nextID(), node: node, operation: operation, caller: caller, deadline: deadline)
  }

  /// Enters the waiting room. `arm` tells the kernel side how to interrupt the wait; until it has returned no answer is
  /// sent (libfuse may call the interrupt function from inside, where the request must not be freed).
  ///
  /// - Returns: Whether there is still somebody to answer.
  func park(arm: (UInt64) -> Void) -> Bool {
    if let refusal = room.enter(self) { _ = complete(.failure(refusal)) }
    arm(id)
    let early: Result<Value, NodeError>? = phase.withLock {
      guard case .arming(let early) = $0 else { return nil }
      $0 = early == nil ? .waiting : .done
      return early
    }
    guard let early else { return true }
    send(early)
    room.leave(self)
    return false
  }

  /// Answers; `first` runs before the answer is sent, if this is the first answer. Returns whether it was.
  @discardableResult
  func complete(_ result: Result<Value, NodeError>, first: () -> Void = {}) -> Bool {
    let step: ParkedStep = phase.withLock {
      switch $0 {
      case .arming(nil):
        $0 = .arming(result)
        return .kept
      case .arming, .done: return .late
      case .waiting:
        $0 = .done
        return .send
      }
    }
    if step != .late { first() }
    if step == .send {
      send(result)
      // Only now: whoever sees the room empty may take away what the answer is sent through.
      room.leave(self)
    }
    return step != .late
  }

  /// Whether an answer was given.
  var isAnswered: Bool {
    phase.withLock {
      switch $0 {
      case .arming(nil), .waiting: false
      case .arming, .done: true
      }
    }
  }

  override func cancel(_ error: NodeError, first: () -> Void) -> Bool { complete(.failure(error), first: first) }
}

/// What an answer to a parked request came to.
private enum ParkedStep {
  /// Somebody else answered before.
  case late
  /// Kept until the request may be freed.
  case kept
  case send
}
