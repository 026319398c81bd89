// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Synchronization

/// Lines that are told as things happen, to any number of readers. Each reads from where it came in; one that is too slow loses the
/// oldest, and is told how many. Whoever tells waits for nobody.
///
/// Ownership: held by its channel; readers hold it too, so that they end with it.
final class EventLog: Sendable {
  /// Lines that are kept for slow readers.
  static let kept = 256

  private struct State {
    var lines: Deque<[UInt8]> = []
    /// Number of the oldest line that is kept.
    var first: UInt64 = 0
    var isRemoved = false
    var readers: [ObjectIdentifier: EventReader] = [:]

    var next: UInt64 { first + UInt64(lines.count) }
  }

  private let state = Mutex(State())

  /// - Parameter line: without its newline.
  func tell(_ line: String) {
    let waiting = state.withLock { state in
      state.lines.append(Array(line.utf8) + [UInt8(ascii: "\n")])
      if state.lines.count > Self.kept {
        state.lines.removeFirst()
        state.first += 1
      }
      return Array(state.readers.values)
    }
    for reader in waiting { reader.wake() }
  }

  /// The channel is removed for good: readers end.
  func retire() {
    let waiting = state.withLock { state in
      state.isRemoved = true
      return Array(state.readers.values)
    }
    for reader in waiting { reader.wake() }
  }

  /// - Parameter greeting: a line this reader gets before all others; called while nothing is told.
  func attach(_ greeting: () -> String) -> EventReader {
    state.withLock { state in
      let reader = EventReader(self, at: state.next, Array(greeting().utf8) + [UInt8(ascii: "\n")])
      state.readers[ObjectIdentifier(reader)] = reader
      return reader
    }
  }

  fileprivate func detach(_ reader: EventReader) {
    _ = state.withLock { $0.readers.removeValue(forKey: ObjectIdentifier(reader)) }
  }

  fileprivate enum Line {
    case line([UInt8], lost: UInt64)
    case none
    case gone
  }

  fileprivate func line(_ cursor: UInt64) -> Line {
    state.withLock { state in
      guard cursor < state.next else { return state.isRemoved ? .gone : .none }
      let number = max(cursor, state.first)
      return .line(state.lines[Int(number - state.first)], lost: number - cursor)
    }
  }
}

/// One reader of an ``EventLog``. `read` by one thread at a time.
final class EventReader: CodedStream {
  private struct Place {
    var cursor: UInt64
    var rest: ArraySlice<UInt8>
  }

  private let log: EventLog
  private let place: Mutex<Place>
  private let waiter = Mutex<(@Sendable () -> Void)?>(nil)

  fileprivate init(_ log: EventLog, at cursor: UInt64, _ greeting: [UInt8]) {
    self.log = log
    place = Mutex(Place(cursor: cursor, rest: greeting[...]))
  }

  func read(into target: UnsafeMutableRawBufferPointer) -> StreamReader.Outcome {
    guard target.count > 0 else { return .bytes(0) }
    return place.withLock { place in
      var filled = 0
      while filled < target.count {
        if place.rest.isEmpty {
          switch log.line(place.cursor) {
          case .none: return filled > 0 ? .bytes(filled) : .wouldBlock
          case .gone: return filled > 0 ? .bytes(filled) : .gone
          case .line(let line, let lost):
            place.cursor += lost + 1
            place.rest = (lost > 0 ? Array("event=lost lines=\(lost)\n".utf8) + line : line)[...]
          }
        }
        let count = min(place.rest.count, target.count - filled)
        for index in 0..<count { target[filled + index] = place.rest[place.rest.startIndex + index] }
        place.rest = place.rest.dropFirst(count)
        filled += count
      }
      return .bytes(filled)
    }
  }

  func whenReadable(_ body: @escaping @Sendable () -> Void) {
    waiter.withLock { $0 = body }
    let isReadable = place.withLock { place in
      if !place.rest.isEmpty { return true }
      if case .none = log.line(place.cursor) { return false }
      return true
    }
    if isReadable { wake() }
  }

  func close() {
    waiter.withLock { $0 = nil }
    log.detach(self)
  }

  fileprivate func wake() {
    let body = waiter.withLock { body in
      let taken = body
      body = nil
      return taken
    }
    body?()
  }
}
