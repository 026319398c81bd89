// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// Loads what muxers need, once and on a thread of its own: it is read from a disk, and whoever opens a stream must not hold up
/// others meanwhile.
final class MuxerLoader: Sendable {
  typealias Reply = @Sendable (Failure?) -> Void

  private let waiting = Mutex<[Reply]?>(nil)

  /// Calls `reply` once: from the loading thread, or from this one where no thread could be made.
  func load(_ factory: any MuxerFactory, reply: @escaping Reply) {
    let isFirst = waiting.withLock { waiting in
      defer { waiting = (waiting ?? []) + [reply] }
      return waiting == nil
    }
    guard isFirst else { return }
    do {
      _ = try Thread("muxers") { [self] in
        do throws(Failure) {
          try factory.load()
          answer(nil)
        } catch {
          answer(error)
        }
      }
    } catch {
      answer(Failure(error, "pthread_create", on: "muxers"))
    }
  }

  private func answer(_ failure: Failure?) {
    let replies = waiting.withLock { waiting in
      defer { waiting = nil }
      return waiting ?? []
    }
    for reply in replies { reply(failure) }
  }
}
