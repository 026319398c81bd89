// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Synchronization

/// Lets one request at a time look at the next frame that passes a node. Costs the frame path one load.
final class FrameTap: Sendable {
  typealias Taker = @Sendable (consuming Frame) -> Void

  private let wanted = Atomic<Bool>(false)
  private let taker = Mutex<Taker?>(nil)

  /// - Returns: false when a request is waiting already.
  func request(_ body: @escaping Taker) -> Bool {
    let placed = taker.withLock { taker in
      guard taker == nil else { return false }
      taker = body
      return true
    }
    if placed { wanted.store(true, ordering: .releasing) }
    return placed
  }

  /// Takes the request back.
  /// - Returns: false when it has been served.
  func withdraw() -> Bool {
    wanted.store(false, ordering: .relaxed)
    return taker.withLock { taker in
      defer { taker = nil }
      return taker != nil
    }
  }

  @inline(__always) func pass(_ frame: borrowing Frame) {
    if wanted.load(ordering: .acquiring) { give(frame) }
  }

  private func give(_ frame: borrowing Frame) {
    wanted.store(false, ordering: .relaxed)
    let body = taker.withLock { taker in
      defer { taker = nil }
      return taker
    }
    body?(frame.share(as: .anonymous))
  }
}
