// SPDX-License-Identifier: Apache-2.0
import Atomics
internal import MediaCore
import Synchronization

/// The buffers of a capture device, for reports. Lives as long as its source; what is in it changes at every restart.
///
/// "Free" is what is queued in the driver. Buffers of an earlier run that are still in use stay listed until they come
/// home.
final class CapturePool: BufferPool {
  private final class Content: AtomicReference, Sendable {
    let buffers: [Buffer]
    let size: Int
    let kind: String
    init(_ buffers: [Buffer], size: Int, kind: String) {
      self.buffers = buffers
      self.size = size
      self.kind = kind
    }
  }

  let id = PoolID.next()
  let name: String
  private let content = ManagedAtomic<Content>(Content([], size: 0, kind: "v4l2"))
  private let writer = Mutex(())
  private let queued = Atomic<Int>(0)
  private let low = Atomic<Int>(0)

  init(name: String) { self.name = name }

  var buffers: [Buffer] { content.load(ordering: .acquiring).buffers }
  var bufferSize: Int { content.load(ordering: .acquiring).size }
  var memoryKind: String { content.load(ordering: .acquiring).kind }
  var free: Int { queued.load(ordering: .relaxed) }
  var lowWater: Int { low.load(ordering: .relaxed) }

  /// A new run begins: its buffers are added, those of earlier runs that nobody holds go.
  func begin(_ buffers: [Buffer], size: Int, kind: String) {
    writer.withLock { _ in
      let held = content.load(ordering: .acquiring).buffers.filter { $0.references > 0 }
      content.store(Content(held + buffers, size: size, kind: kind), ordering: .releasing)
    }
    queued.store(0, ordering: .relaxed)
    low.store(buffers.count, ordering: .relaxed)
  }

  /// Drops a run's buffers that nobody holds.
  func end(_ buffers: [Buffer]) {
    remove { buffer in buffers.contains { $0 === buffer } && buffer.references == 0 }
    queued.store(0, ordering: .relaxed)
  }

  func forget(_ buffer: Buffer) { remove { $0 === buffer } }

  private func remove(where isGone: (Buffer) -> Bool) {
    let old = writer.withLock { _ in
      let before = content.load(ordering: .acquiring)
      content.store(
        Content(before.buffers.filter { !isGone($0) }, size: before.size, kind: before.kind), ordering: .releasing)
      return before
    }
    _ = old
  }

  func wasQueued() { queued.add(1, ordering: .relaxed) }

  func wasDequeued() {
    let left = queued.subtract(1, ordering: .relaxed).newValue
    if low.load(ordering: .relaxed) > left { low.store(left, ordering: .relaxed) }
  }

  /// A picture was lost because nothing was queued.
  func ranDry() { low.store(-1, ordering: .relaxed) }
}
