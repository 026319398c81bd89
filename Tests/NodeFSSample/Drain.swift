// SPDX-License-Identifier: Apache-2.0
import NodeFS
import Synchronization
import SystemPackage

/// A sink for one writer at a time that takes as many bytes as it has been given room for.
final class Drain: Sendable {
  private struct State {
    var room = 0
    var bytes = 0
    var sum: UInt64 = 0
    var writers = 0
    var writer: Cursor?
  }
  private let state = Mutex(State())

  var figures: (bytes: Int, sum: UInt64, writers: Int) {
    state.withLock { ($0.bytes, $0.sum, $0.writers) }
  }

  /// Writers that have it open. `close(2)` does not wait for the sink to learn of it.
  var writerCount: Int { state.withLock { $0.writer == nil ? 0 : 1 } }

  func open(_ opening: SinkOpening) throws(NodeError) -> Cursor {
    let cursor = Cursor(self, opening.signal)
    let isFirst = state.withLock {
      guard $0.writer == nil else { return false }
      $0.writer = cursor
      $0.writers += 1
      return true
    }
    guard isFirst else { throw NodeError(.resourceBusy, "it has a writer") }
    return cursor
  }

  func makeRoom(_ count: Int) {
    let writer = state.withLock {
      $0.room += count
      return $0.writer
    }
    writer?.signal.readable()
  }

  final class Cursor: SinkCursor {
    private let drain: Drain
    let signal: StreamSignal

    init(_ drain: Drain, _ signal: StreamSignal) {
      self.drain = drain
      self.signal = signal
    }

    func write(_ bytes: UnsafeRawBufferPointer) -> SinkWrite {
      drain.state.withLock { state in
        let count = min(state.room, bytes.count)
        guard count > 0 else { return .wouldBlock }
        state.room -= count
        state.bytes += count
        for byte in bytes[..<count] { state.sum &+= UInt64(byte) }
        return .taken(count)
      }
    }

    func close() { drain.state.withLock { $0.writer = nil } }
  }
}
