// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Synchronization
import SystemPackage

/// An open sink: a cursor, and the writes that wait for room in it.
final class SinkHandle: Handle, PumpedHandle, @unchecked Sendable {
  /// The bytes of a write that waits, and how many of them were taken.
  ///
  /// A wait may be ended by a signal to the writer while bytes are being taken for it. The lock makes the count that the
  /// writer is told exact: after `settle` nothing more is taken.
  final class Waiting: Sendable {
    private struct State {
      var taken = 0
      var isSettled = false
    }
    private let bytes: [UInt8]
    private let state = Mutex(State())

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = [UInt8](bytes) }

    /// - Returns: what the wait has come to; `nil` when it goes on.
    func feed(_ cursor: any SinkCursor) -> Result<Int, NodeError>? {
      state.withLock { state in
        while !state.isSettled, state.taken < bytes.count {
          let outcome = bytes.withUnsafeBytes {
            cursor.write(UnsafeRawBufferPointer(rebasing: $0[state.taken...]))
          }
          switch outcome {
          case .taken(let count) where count > 0: state.taken += count
          case .taken, .wouldBlock: return nil
          case .failure(let error): return .failure(error)
          }
        }
        return .success(state.taken)
      }
    }

    /// What the writer is told: bytes that were taken come before any error, as with a pipe.
    func settle(_ result: Result<Int, NodeError>) -> Result<Int, NodeError> {
      state.withLock { state in
        state.isSettled = true
        return state.taken > 0 ? .success(state.taken) : result
      }
    }
  }

  private struct Entry {
    let rest: Waiting
    let request: Parked<Int>
  }

  private struct State {
    var waiting: Deque<Entry> = []
    var isClosed = false

    /// Whether somebody still waits. Who was answered by others (a signal, the node's removal) stands in nobody's way.
    mutating func isWaitedFor() -> Bool {
      while let first = waiting.first, first.request.isAnswered { waiting.removeFirst() }
      return !waiting.isEmpty
    }
  }

  let signal: StreamSignal
  private let cursor: any SinkCursor
  private let state = Mutex(State())

  init(_ node: Node, cursor: any SinkCursor, signal: StreamSignal) {
    self.cursor = cursor
    self.signal = signal
    super.init(node)
  }

  /// Takes what fits now, for a descriptor that must not wait.
  func writeNow(_ bytes: UnsafeRawBufferPointer) -> Result<Int, NodeError> {
    if bytes.count == 0 { return .success(0) }
    // Who came first is served first.
    switch state.withLock({ $0.isWaitedFor() ? .wouldBlock : cursor.write(bytes) }) {
    case .taken(let count): return .success(count)
    case .failure(let error): return .failure(error)
    case .wouldBlock: return .failure(NodeError(.resourceTemporarilyUnavailable))
    }
  }

  /// Lets a write wait until all of it is taken. `arm` as for `Parked.park`.
  func park(_ rest: Waiting, _ request: Parked<Int>, arm: (UInt64) -> Void) {
    guard request.park(arm: arm) else { return }
    let isClosed = state.withLock {
      if !$0.isClosed { $0.waiting.append(Entry(rest: rest, request: request)) }
      return $0.isClosed
    }
    if isClosed { request.complete(.failure(NodeError(.interrupted))) }
    pump()
  }

  func pump() {
    state.withLock { state in
      while let first = state.waiting.first {
        if !first.request.isAnswered {
          signal.expect()
          guard let result = first.rest.feed(cursor) else { return }
          first.request.complete(result)
        }
        state.waiting.removeFirst()
      }
    }
  }

  override func release() {
    let waiting: Deque<Entry> = state.withLock {
      let waiting = $0.waiting
      $0.isClosed = true
      $0.waiting = []
      return waiting
    }
    for entry in waiting { entry.request.complete(.failure(NodeError(.interrupted))) }
    signal.onReadable(nil)
    // Under the lock, so that no write is still in the cursor.
    state.withLock { _ in cursor.close() }
  }
}
