// SPDX-License-Identifier: Apache-2.0
internal import CLinux

/// The C library's heap, kept small for boards with little memory.
///
/// glibc keeps what was freed: it makes an arena a thread (up to eight times the processors), and the first freed block
/// of some megabytes raises the size from which blocks get mappings of their own (mallopt(3), M_MMAP_THRESHOLD), so that later engines
/// lie between small blocks that outlive them.
public enum Heap {
  /// Large blocks in mappings of their own, which go back when they are freed, and few arenas. Before the first thread.
  ///
  /// An engine's tables and pictures are hundreds of kilobytes each, and much of them is never touched. In a fresh mapping
  /// that costs nothing; in a block of the heap that was used before all of it is cleared and stays in memory: four
  /// encoders of 360p then need 42 MB instead of 19. A raw picture that a library reads from a file is mapped anew each time,
  /// some tenths of a millisecond for 1080p.
  public static func keepSmall() { _ = mpifs_limit_heap(256 << 10, 2) }

  /// Gives unused pages back to the kernel. Takes each arena's lock for some milliseconds.
  public static func trim() { _ = mpifs_trim_heap() }

  /// Bytes in use; `nil` where the C library does not tell. Takes each arena's lock for a moment.
  public static var used: UInt64? {
    var used: UInt64 = 0
    return mpifs_heap_bytes(&used) == 0 ? used : nil
  }

  private struct State {
    /// When it may be trimmed, CLOCK_MONOTONIC nanoseconds; 0: nobody waits for it.
    var due: Int64 = 0
    /// When it must be, however often something is freed meanwhile.
    var latest: Int64 = 0
  }
  private static let waiting = Monitor(State())

  /// Trims it half a second after the last call, two seconds after the first one at the latest, on a thread of its own: what
  /// is freed together is given back once, and nobody waits for it.
  public static func trimSoon() {
    let isFirst = waiting.withLock { state in
      let now = Clock.now()
      let isFirst = state.due == 0
      if isFirst { state.latest = now + .seconds(2) }
      state.due = min(state.latest, now + .milliseconds(500))
      return isFirst
    }
    guard isFirst else { return }
    do {
      _ = try Thread("heap") {
        while true {
          let due = waiting.withLock { $0.due }
          _ = waiting.wait(until: due) { _ in nil as Void? }
          let isDue = waiting.withLock { state in
            guard Clock.now() >= state.due else { return false }
            state.due = 0
            return true
          }
          if isDue { return trim() }
        }
      }
    } catch {
      // Without a thread the next call tries again.
      waiting.withLock { $0.due = 0 }
    }
  }
}
