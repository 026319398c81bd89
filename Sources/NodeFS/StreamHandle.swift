// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Synchronization
import SystemPackage

/// An open node whose parked requests are served when its owner says that something has changed.
protocol PumpedHandle: AnyObject, Sendable {
  /// Serves who waits, as far as it goes. On any thread but the owner's.
  func pump()
}

/// An open stream: a cursor, and the reads that wait for it.
final class StreamHandle: Handle, PumpedHandle, @unchecked Sendable {
  private struct Waiting {
    let request: Parked<Slice>
    let size: Int
  }

  private struct State {
    var waiting: Deque<Waiting> = []
    /// Taken from the cursor for a reader who was interrupted in that moment; the next one gets it.
    var leftover: Slice?
    /// Storage of the last read; used again once its reply is out.
    var scratch: Snapshot?
    var isClosed = false

    /// Whether somebody still waits. Who was answered by others (a signal, the node's removal) stands in nobody's way.
    mutating func isWaitedFor() -> Bool {
      while let first = waiting.first, first.request.isAnswered { waiting.removeFirst() }
      return !waiting.isEmpty
    }

    mutating func putBack(_ slice: Slice) {
      guard let rest = leftover else {
        leftover = slice
        return
      }
      let joined = Snapshot(capacity: slice.count + rest.count)
      slice.withUnsafeBytes { joined.text.append(contentsOf: $0) }
      rest.withUnsafeBytes { joined.text.append(contentsOf: $0) }
      leftover = Slice(joined, offset: 0, size: joined.text.count)
    }

    mutating func storage(_ size: Int) -> Snapshot {
      if scratch == nil || !isKnownUniquelyReferenced(&scratch) { scratch = nil }
      let snapshot = scratch ?? Snapshot(capacity: size)
      snapshot.text.removeAll()
      snapshot.text.reserve(size)
      scratch = snapshot
      return snapshot
    }
  }

  /// More than this is not given in one read.
  private static let largestRead = 256 << 10

  let signal: StreamSignal
  private let cursor: any StreamCursor
  private let state = Mutex(State())

  init(_ node: Node, cursor: any StreamCursor, signal: StreamSignal) {
    self.cursor = cursor
    self.signal = signal
    super.init(node)
  }

  override func read(offset: Int64, size: Int, isNonblocking: Bool) throws(NodeError) -> Reading {
    try checkNode()
    let outcome: Result<Reading, NodeError> = state.withLock {
      // Who came first is served first.
      if $0.isWaitedFor() { return .success(.wait) }
      guard let taken = take(size, &$0) else { return .success(.wait) }
      return taken.map(Reading.slice)
    }
    let reading = try outcome.get()
    if case .wait = reading, isNonblocking { throw NodeError(.resourceTemporarilyUnavailable) }
    return reading
  }

  /// Lets `request` wait for up to `size` bytes. `arm` as for `Parked.park`.
  func park(_ request: Parked<Slice>, size: Int, arm: (UInt64) -> Void) {
    guard request.park(arm: arm) else { return }
    let isClosed = state.withLock {
      if !$0.isClosed { $0.waiting.append(Waiting(request: request, size: size)) }
      return $0.isClosed
    }
    if isClosed { _ = request.complete(.failure(NodeError(.interrupted))) }
    pump()
  }

  /// Serves the reads that wait, as far as there is something.
  func pump() {
    state.withLock {
      while let first = $0.waiting.first {
        if !first.request.isAnswered {
          signal.expect()
          guard let answer = take(first.size, &$0) else { return }
          // Answered under the lock: if a signal to the reader was quicker, its bytes go back before anybody else
          // can take later ones.
          if !first.request.complete(answer), case .success(let slice) = answer, slice.count > 0 { $0.putBack(slice) }
        }
        $0.waiting.removeFirst()
      }
    }
  }

  /// The next bytes; nil when there are none now. An empty slice is the end.
  private func take(_ size: Int, _ state: inout State) -> Result<Slice, NodeError>? {
    if let left = state.leftover {
      let head = Slice(left.snapshot, offset: Int64(left.offset), size: min(size, left.count))
      let rest = left.count - head.count
      state.leftover =
        rest > 0 ? Slice(left.snapshot, offset: Int64(left.offset + head.count), size: rest) : nil
      return .success(head)
    }
    let wanted = min(size, Self.largestRead)
    let snapshot = state.storage(wanted)
    var outcome = StreamRead.wouldBlock
    snapshot.text.append(room: wanted) { room in
      outcome = cursor.read(into: UnsafeMutableRawBufferPointer(rebasing: room[..<wanted]))
      if case .bytes(let count) = outcome { return count }
      return 0
    }
    switch outcome {
    case .bytes(let count) where count > 0: return .success(Slice(snapshot, offset: 0, size: count))
    case .bytes, .wouldBlock: return nil
    case .end: return .success(Slice(snapshot, offset: 0, size: 0))
    case .failure(let errno): return .failure(NodeError(errno))
    }
  }

  override func release() {
    let waiting: Deque<Waiting> = state.withLock {
      let waiting = $0.waiting
      $0.isClosed = true
      $0.waiting = []
      return waiting
    }
    for entry in waiting { _ = entry.request.complete(.failure(NodeError(.interrupted))) }
    signal.onReadable(nil)
    // Under the lock, so that no read is still in the cursor.
    state.withLock { _ in cursor.close() }
  }
}
