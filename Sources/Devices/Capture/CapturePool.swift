// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import MediaCore
import Synchronization

/// The buffers of a capture device, for reports. Lives as long as its source; what is in it changes at every restart.
///
/// "Free" is what is queued in the driver. Buffers of an earlier run that are still in use stay listed until they come
/// home.
final class CapturePool: BufferPool {
  private struct Content: Sendable {
    var buffers: [Buffer] = []
    var size = 0
    var kind = "v4l2"
  }

  let id = PoolID.next()
  let name: String
  private let content = Published(Content())
  private let writer = Mutex(())
  private let queued = Atomic<Int>(0)
  private let low = Atomic<Int>(0)

  init(name: String) { self.name = name }

  var buffers: [Buffer] { content.value.buffers }
  var bufferSize: Int { content.value.size }
  var memoryKind: String { content.value.kind }
  var free: Int { queued.load(ordering: .relaxed) }
  var lowWater: Int { low.load(ordering: .relaxed) }

  /// A new run begins: its buffers are added, those of earlier runs that nobody holds go.
  func begin(_ buffers: [Buffer], size: Int, kind: String) {
    writer.withLock { _ in
      let held = content.value.buffers.filter { $0.references > 0 }
      content.store(Content(buffers: held + buffers, size: size, kind: kind))
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
      let before = content.value
      content.store(
        Content(buffers: before.buffers.filter { !isGone($0) }, size: before.size, kind: before.kind))
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
