// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Reports
import Synchronization

/// Has the table of buffers held against the kernel's descriptors, by a thread of its own, for all who want to know.
final class MemoryCheckDesk: Sendable {
  typealias Done = @Sendable () -> Void

  /// For so long a check is good enough for the next reader, nanoseconds: as long as a look at the system's memory.
  private static let age = Int64.seconds(1)

  private struct State {
    var waiting: [Done] = []
    var isAtIt = false
    /// When the last one ended, CLOCK_MONOTONIC.
    var ended: Int64?
  }

  private let state = Synchronization.Mutex(State())
  private let check: @Sendable () -> MemoryCheckReport

  init(_ check: @escaping @Sendable () -> MemoryCheckReport) { self.check = check }

  var isFresh: Bool {
    let now = Clock.now()
    return state.withLock { $0.ended.map { now - $0 < Self.age } ?? false }
  }

  /// Calls back when a check has ended; who comes while one is made gets that one.
  func refresh(_ done: @escaping Done) {
    let begins = state.withLock { state in
      state.waiting.append(done)
      defer { state.isAtIt = true }
      return !state.isAtIt
    }
    guard begins else { return }
    do throws(Failure) {
      _ = try Thread.start("memory check") { [self] in
        _ = check()
        end(at: Clock.now())
      }
    } catch {
      // What the last one found is what there is.
      end(at: nil)
    }
  }

  private func end(at time: Int64?) {
    let waiting = state.withLock { state in
      (state.isAtIt, state.ended) = (false, time ?? state.ended)
      defer { state.waiting.removeAll() }
      return state.waiting
    }
    for done in waiting { done() }
  }
}
