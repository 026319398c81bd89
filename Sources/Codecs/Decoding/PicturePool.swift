// SPDX-License-Identifier: Apache-2.0
import Base
import MediaCore
import Synchronization

/// The buffers a software decoder puts its pictures into: one pool, made anew when the stream's pictures no longer fit.
///
/// Owned by one decoder; only `interrupt` and the read-only properties may be used by other threads. Pictures of an old
/// pool stay valid until the last one who holds them lets go.
final class PicturePool: Sendable {
  /// How long a picture is waited for when the graph holds them all, nanoseconds.
  static let patience = Int64.milliseconds(500)

  private let configuration: DecoderConfiguration
  private let patience: Int64
  private let current = Mutex<Pool?>(nil)
  private let free = Wake(false)
  private let interrupted = Atomic<Bool>(false)

  /// - Parameter patience: how long a picture is waited for, nanoseconds.
  init(_ configuration: DecoderConfiguration, patience: Int64 = PicturePool.patience) {
    self.configuration = configuration
    self.patience = patience
  }

  deinit { current.withLock { $0 }?.leave() }

  var pool: Pool? { current.withLock { $0 } }
  var memoryKind: String { pool?.memoryKind ?? "" }
  var user: UserSlot { configuration.user }

  /// Makes sure that the pool's buffers hold `size` bytes and that there are enough of them.
  /// - Parameter references: pictures the decoder keeps besides those the graph has.
  /// - Returns: whether the pool is another one now.
  @discardableResult
  func prepare(size: Int, references: Int = 0) throws(Failure) -> Bool {
    let count = max(2, configuration.bufferCount) + min(max(0, references), 18)
    if let pool,
      configuration.pool == nil ? pool.bufferSize == size && pool.buffers.count >= count : pool.bufferSize >= size
    {
      return false
    }
    // The old one first: two sets of pictures of a large stream may be more than there is memory for.
    current.withLock { pool in
      pool?.leave()
      pool = nil
    }
    let new = try Pool.serving(
      configuration.pool, name: configuration.poolName, size: size, count: count, allocator: configuration.allocator)
    current.withLock { $0 = new }
    return true
  }

  /// A buffer if one is free now.
  func takeNow() -> BufferRef? { pool?.take(as: configuration.user) }

  /// A buffer, waiting for one while the graph holds them all.
  /// - Throws: ENOBUFS after the patience, ECANCELED when interrupted.
  func take() throws(Failure) -> BufferRef {
    guard let pool else { throw Failure(.noBufferSpace, "take", on: configuration.poolName, "no pool yet") }
    var deadline: Int64?
    while !interrupted.load(ordering: .acquiring) {
      let now = Clock.now()
      let end = deadline ?? now + patience
      deadline = end
      if let ref = pool.take(as: configuration.user, orWaits: now < end) { return ref }
      guard now < end else {
        throw Failure(
          .noBufferSpace, "take", on: configuration.poolName,
          "the graph has held all \(pool.buffers.count) for \(patience / .milliseconds(1)) ms")
      }
      let free = free
      pool.whenFree(as: configuration.user) { free.signal() }
      // A signal of an earlier wait may end this one early; another round does no harm.
      free.waitForSignal(until: end)
    }
    throw Failure(.canceled, "take", on: configuration.poolName)
  }

  func interrupt() {
    interrupted.store(true, ordering: .releasing)
    free.signal()
  }
}
