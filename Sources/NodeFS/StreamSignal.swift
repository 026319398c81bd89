// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// Tells NodeFS that a stream's reader may have something to read, or that the stream has ended.
///
/// Cheap when nobody waits (one atomic load), never blocks, callable from any thread.
public final class StreamSignal: Sendable {
  /// Somebody waits, and nobody has been told to look yet.
  private let isAwaited = Atomic<Bool>(false)
  private let wake = Hook()

  init() {}

  func onReadable(_ body: (@Sendable () -> Void)?) { wake.set(body) }

  /// A reader is about to look for the last time before it waits.
  func expect() {
    isAwaited.store(true, ordering: .sequentiallyConsistent)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  /// Call after the data is where the cursor finds it.
  public func readable() {
    // Against the reader's "set the flag, then look once more": one of the two sees the other.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    guard isAwaited.load(ordering: .sequentiallyConsistent),
      isAwaited.exchange(false, ordering: .sequentiallyConsistent)
    else { return }
    wake.call()
  }
}
