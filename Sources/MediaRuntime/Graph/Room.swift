// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization

/// Lets sources and sessions wait for room downstream, in the mode in which nothing is dropped.
///
/// One for the whole graph: whoever takes a frame out of a queue or gives a buffer back says so, whoever waits looks
/// again.
final class Room: Sendable {
  /// False in normal operation: nobody waits, a full queue drops.
  let isLossless: Bool
  private let parked = Monitor(0)
  private let waiters = Atomic<Int>(0)
  private let blocked = Mutex<[Session]>([])
  /// Sources that wait for their receivers although the graph as a whole does not.
  private let unpaced = Atomic<Int>(0)

  init(isLossless: Bool) { self.isLossless = isLossless }

  /// A frame was taken from the port's queue. Whoever waits is woken when half of it is empty, not for every place:
  /// a wake-up costs more than a frame.
  @inline(__always) func made(in port: InPort) {
    guard isLossless || unpaced.load(ordering: .relaxed) > 0, port.waiting * 2 <= port.depth else { return }
    if waiters.add(0, ordering: .sequentiallyConsistent).newValue > 0 { wake() }
  }

  /// A source that is played as fast as its receivers take frames comes or goes.
  func countUnpaced(_ change: Int) { unpaced.add(change, ordering: .relaxed) }

  func wake() {
    let sessions = blocked.withLock { sessions in
      let all = sessions
      sessions = []
      waiters.subtract(all.count, ordering: .sequentiallyConsistent)
      return all
    }
    for session in sessions { session.schedule() }
    parked.wakeAll()
  }

  /// For a source's own thread: waits until `condition` holds or `cancelled` does.
  func wait(until condition: () -> Bool, cancelled: () -> Bool) {
    while !condition() && !cancelled() {
      waiters.add(1, ordering: .sequentiallyConsistent)
      // Bounded, so that a receiver that is taken away without a word holds nobody for long.
      _ = parked.wait(until: Clock.now() + .milliseconds(50)) { _ in condition() || cancelled() ? true : nil }
      waiters.subtract(1, ordering: .sequentiallyConsistent)
    }
  }

  /// For a session: schedules it again when there is room somewhere. The caller looks once more afterwards.
  func block(_ session: Session) {
    blocked.withLock { sessions in
      guard !sessions.contains(where: { $0 === session }) else { return }
      sessions.append(session)
      waiters.add(1, ordering: .sequentiallyConsistent)
    }
  }
}
