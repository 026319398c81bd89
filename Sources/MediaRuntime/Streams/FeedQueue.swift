// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import Synchronization
import SystemPackage

/// Coded bytes on their way from one writer to a decoder channel: a ring of fixed size between them.
///
/// The writer never waits in here: what does not fit is not taken, and the writer is told when there is room. What one
/// writer wrote is one stream; the next writer's bytes are taken when the decoder has the rest of it.
///
/// Ownership: owns the ring. The parker's lock guards everything that is not atomic; it is held for copying bytes.
final class FeedQueue: @unchecked Sendable {
  static let capacity = 512 << 10

  /// What the reader got.
  enum Taken: Equatable {
    case bytes(Int)
    /// Nothing now.
    case empty
    /// The writer has closed and everything of it was taken. Told once.
    case ended
  }

  private let path: ObjectPath
  private let parker = Parker()
  private let ring = UnsafeMutableRawPointer.allocate(byteCount: FeedQueue.capacity, alignment: 64)
  private let accepted = Atomic<UInt64>(0)
  private let waiting = Atomic<Int>(0)

  // Guarded by the parker's lock.
  private var first = 0
  private var count = 0
  private weak var writer: FeedWriter?
  private var hasEnded = false
  private var isRetired = false
  private var refusal: Refusal?
  /// Since the queue was last empty: when bytes came, and whether some found no room. CLOCK_MONOTONIC nanoseconds.
  private var began: Int64 = 0
  private var lastCame: Int64 = 0
  private var wasFull = false

  init(_ path: ObjectPath) { self.path = path }

  deinit { ring.deallocate() }

  /// Bytes taken from writers so far, and bytes that wait now; without the lock.
  var bytesIn: UInt64 { accepted.load(ordering: .relaxed) }
  var bytesWaiting: Int { waiting.load(ordering: .relaxed) }

  // MARK: the channel

  /// Takes bytes from now on, beginning with an empty queue.
  func open() {
    parker.lock()
    refusal = nil
    clear()
    let waiter = writer
    parker.unlock()
    waiter?.wake()
  }

  /// Takes nothing from now on; writers are told why.
  func close(_ why: Refusal) {
    parker.lock()
    refusal = why
    clear()
    parker.broadcast()
    let waiter = writer
    parker.unlock()
    waiter?.wake()
  }

  /// The channel is gone for good.
  func retire() {
    parker.lock()
    isRetired = true
    parker.unlock()
    close(Refusal(Errno(rawValue: ENODEV), path: "\(path)/feed", reason: "\(path) has been removed"))
  }

  private func clear() {
    first = 0
    count = 0
    hasEnded = false
    wasFull = false
    waiting.store(0, ordering: .relaxed)
  }

  // MARK: the reader, one thread

  func take(into target: UnsafeMutableRawBufferPointer) -> Taken {
    parker.lock()
    guard count > 0 else {
      let isEnd = hasEnded
      hasEnded = false
      let waiter = isEnd ? writer : nil
      parker.unlock()
      waiter?.wake()
      return isEnd ? .ended : .empty
    }
    let size = min(count, target.count)
    let head = min(size, FeedQueue.capacity - first)
    if let base = target.baseAddress {
      memcpy(base, ring + first, head)
      if head < size { memcpy(base + head, ring, size - head) }
    }
    first = (first + size) % FeedQueue.capacity
    count -= size
    if count == 0 { wasFull = false }
    waiting.store(count, ordering: .relaxed)
    // Not for every few bytes: a wake-up costs more than a picture.
    let waiter = count <= FeedQueue.capacity / 2 ? writer : nil
    parker.unlock()
    waiter?.wake()
    return .bytes(size)
  }

  /// Waits until there is something to take, `cancelled` holds, or the time has come.
  func wait(until deadline: Int64, cancelled: () -> Bool) {
    parker.lock()
    while count == 0, !hasEnded, !cancelled(), parker.wait(until: deadline) {}
    parker.unlock()
  }

  /// Wakes the reader for something else.
  func wakeReader() {
    parker.lock()
    parker.broadcast()
    parker.unlock()
  }

  /// Whether bytes have been coming for a while, not in one burst, faster than they are taken, and all of them have
  /// found room: a live stream whose rate is higher than it is played at.
  func growsSteadily(at now: Int64) -> Bool {
    parker.lock()
    defer { parker.unlock() }
    return count > 0 && !wasFull && !hasEnded && lastCame - began > 300_000_000 && now - lastCame < 250_000_000
  }

  // MARK: the writer

  /// - Throws: EBUSY when there is a writer, ENODEV when the channel has been removed.
  func attach() throws(Refusal) -> FeedWriter {
    let new = FeedWriter(self)
    parker.lock()
    defer { parker.unlock() }
    if isRetired, let refusal { throw refusal }
    guard writer == nil else {
      throw Refusal(
        .resourceBusy, path: "\(path)/feed", reason: "another program has it open for writing",
        hint: "one writer at a time; close that first")
    }
    writer = new
    return new
  }

  fileprivate func write(_ bytes: UnsafeRawBufferPointer) -> FeedWriter.Outcome {
    parker.lock()
    defer { parker.unlock() }
    if let refusal { return .refused(refusal) }
    // What the writer before has left is played first.
    guard !hasEnded, let base = bytes.baseAddress else { return .wouldBlock }
    let size = min(bytes.count, FeedQueue.capacity - count)
    lastCame = Clock.now()
    if size < bytes.count { wasFull = true }
    guard size > 0 else { return .wouldBlock }
    if count == 0 { began = lastCame }
    let end = (first + count) % FeedQueue.capacity
    let head = min(size, FeedQueue.capacity - end)
    memcpy(ring + end, base, head)
    if head < size { memcpy(ring, base + head, size - head) }
    count += size
    waiting.store(count, ordering: .relaxed)
    accepted.add(UInt64(size), ordering: .relaxed)
    parker.signal()
    return .taken(size)
  }

  fileprivate func detach(_ old: FeedWriter) {
    parker.lock()
    if writer === old {
      writer = nil
      if refusal == nil { hasEnded = true }
      parker.signal()
    }
    parker.unlock()
  }

  fileprivate var mayTake: Bool {
    parker.lock()
    defer { parker.unlock() }
    return refusal != nil || (!hasEnded && count <= FeedQueue.capacity / 2)
  }
}

/// The one writer of a channel's `feed`. `write` by one thread at a time.
public final class FeedWriter: Sendable {
  public enum Outcome: Sendable, Equatable {
    /// So many bytes from the front were taken, at least one.
    case taken(Int)
    /// No room now; ``FeedWriter/whenWritable(_:)`` tells when.
    case wouldBlock
    /// The channel takes nothing, and why.
    case refused(Refusal)
  }

  private let queue: FeedQueue
  private let waiter = Mutex<(@Sendable () -> Void)?>(nil)

  fileprivate init(_ queue: FeedQueue) { self.queue = queue }

  /// Takes what there is room for, without waiting.
  public func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    bytes.count == 0 ? .taken(0) : queue.write(bytes)
  }

  /// Calls `body` once: now if there is room (or a refusal), else when there is. It replaces one that waits. It is
  /// called on the decoder's thread and must return soon.
  public func whenWritable(_ body: @escaping @Sendable () -> Void) {
    waiter.withLock { $0 = body }
    if queue.mayTake { wake() }
  }

  /// The end of the stream. Call once.
  public func close() {
    waiter.withLock { $0 = nil }
    queue.detach(self)
  }

  func wake() {
    let body = waiter.withLock { body in
      defer { body = nil }
      return body
    }
    body?()
  }
}
