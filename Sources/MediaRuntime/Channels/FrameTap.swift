// SPDX-License-Identifier: Apache-2.0
import MediaCore
import Reports
import Synchronization

/// Lets requests look at the next frame that passes a node, one of each form at a time. Costs the frame path one load.
final class FrameTap: Sendable {
  typealias Taker = @Sendable (consuming Frame) -> Void

  private let wanted = Atomic<Bool>(false)
  private let takers = Mutex<[(form: SnapshotForm, body: Taker)]>([])
  private let given = Mutex<KeyValue?>(nil)

  /// What the last file of raw pixels held, for `active`: known when it is made, as nothing else would be true of it.
  var rawFact: KeyValue? {
    get { given.withLock { $0 } }
    set { given.withLock { $0 = newValue } }
  }

  /// - Returns: false when a request of that form is waiting already.
  func request(_ form: SnapshotForm, _ body: @escaping Taker) -> Bool {
    let placed = takers.withLock { takers in
      guard !takers.contains(where: { $0.form == form }) else { return false }
      takers.append((form, body))
      return true
    }
    if placed { wanted.store(true, ordering: .releasing) }
    return placed
  }

  /// Takes the request back.
  /// - Returns: false when it has been served.
  func withdraw(_ form: SnapshotForm) -> Bool {
    takers.withLock { takers in
      guard let index = takers.firstIndex(where: { $0.form == form }) else { return false }
      takers.remove(at: index)
      return true
    }
  }

  @inline(__always) func pass(_ frame: borrowing Frame) {
    if wanted.load(ordering: .acquiring) { give(frame) }
  }

  private func give(_ frame: borrowing Frame) {
    wanted.store(false, ordering: .relaxed)
    let bodies = takers.withLock { takers in
      defer { takers = [] }
      return takers
    }
    for (_, body) in bodies { body(frame.share(as: .anonymous)) }
  }
}
