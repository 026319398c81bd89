// SPDX-License-Identifier: Apache-2.0
import NodeFS
import Synchronization

/// A stream of bytes: what is sent goes to every reader who has it open.
final class Feed: Sendable {
  private let cursors = Mutex<[ObjectIdentifier: Cursor]>([:])

  var cursorCount: Int { cursors.withLock { $0.count } }

  func open(_ opening: StreamOpening) -> Cursor {
    let cursor = Cursor(self, opening.signal)
    cursors.withLock { $0[ObjectIdentifier(cursor)] = cursor }
    return cursor
  }

  func send(_ bytes: [UInt8]) {
    for cursor in cursors.withLock({ Array($0.values) }) { cursor.add(bytes) }
  }

  /// Every reader gets the rest, then the end.
  func finish() {
    for cursor in cursors.withLock({ Array($0.values) }) { cursor.end() }
  }

  final class Cursor: StreamCursor {
    private struct State {
      var bytes: [UInt8] = []
      var hasEnded = false
    }
    private let state = Mutex(State())
    private let signal: StreamSignal
    private let feed: Feed

    init(_ feed: Feed, _ signal: StreamSignal) {
      self.feed = feed
      self.signal = signal
    }

    func add(_ bytes: [UInt8]) {
      state.withLock { $0.bytes += bytes }
      signal.readable()
    }

    func end() {
      state.withLock { $0.hasEnded = true }
      signal.readable()
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> StreamRead {
      state.withLock {
        if $0.bytes.isEmpty { return $0.hasEnded ? .end : .wouldBlock }
        let count = min(buffer.count, $0.bytes.count)
        buffer.copyBytes(from: $0.bytes[..<count])
        $0.bytes.removeFirst(count)
        return .bytes(count)
      }
    }

    func close() {
      _ = feed.cursors.withLock { $0.removeValue(forKey: ObjectIdentifier(self)) }
    }
  }
}
