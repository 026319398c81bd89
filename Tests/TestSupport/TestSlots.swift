// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// How many tests run at once: `MPIFS_TEST_WIDTH`, by default twice the processors this process may use and at least four, since
/// most tests wait for something most of the time.
final class TestSlots: Sendable {
  static let shared = TestSlots()

  let width: Int

  private struct State {
    var free: Int
    var waiting: [CheckedContinuation<Void, Never>] = []
    var first = 0
  }

  private let state: Mutex<State>

  private init() {
    let asked = ProcessInfo.processInfo.environment["MPIFS_TEST_WIDTH"].flatMap(Int.init)
    width = max(1, asked ?? max(4, 2 * ProcessInfo.processInfo.activeProcessorCount))
    state = Mutex(State(free: width))
  }

  /// Takes a slot, in the order asked.
  func acquire() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        guard state.free > 0 else {
          state.waiting.append(continuation)
          return false
        }
        state.free -= 1
        return true
      }
      if isFree { continuation.resume() }
    }
  }

  /// Gives a slot back: to the one who has waited longest.
  func release() {
    let next: CheckedContinuation<Void, Never>? = state.withLock { state in
      guard state.first < state.waiting.count else {
        state.free += 1
        return nil
      }
      state.first += 1
      return state.waiting[state.first - 1]
    }
    next?.resume()
  }
}
