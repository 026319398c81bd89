// SPDX-License-Identifier: Apache-2.0
import Base
import Glibc
import MediaCore
import Synchronization
import SystemPackage

/// Coded bytes on their way from one writer to a decoder channel: a ring of fixed size between them.
///
/// The writer never waits in here: what does not fit is not taken, and the writer is told when there is room. What one
/// writer wrote is one stream; the next writer's bytes are taken when the decoder has the rest of it.
///
/// Ownership: owns the ring. The lock is held for copying bytes.
final class FeedQueue: @unchecked Sendable {
  // `@unchecked`: the ring's bytes are touched under the lock only.
  static let capacity = 512 << 10
  /// Times of arrival kept at most, for as many parts of what waits.
  private static let arrivalsKept = 256

  /// What the reader got.
  enum Taken: Equatable {
    case bytes(Int)
    /// Nothing now.
    case empty
    /// The writer has closed and everything of it was taken. Told once.
    case ended
    /// What the writer writes cannot be used, as it was told. Told once.
    case unusable(Refusal)
  }

  private struct State {
    var first = 0
    var count = 0
    weak var writer: FeedWriter?
    var hasEnded = false
    var isRetired = false
    var refusal: Refusal?
    /// The first bytes of this writer, until they are enough to tell whether they can be a stream.
    var head: [UInt8] = []
    var isHeadKnown = false
    /// Why nothing of this writer is taken, and whether the reader is still to be told.
    var verdict: Refusal?
    var isVerdictNew = false
    /// Since the queue was last empty: when bytes came, and whether some found no room. CLOCK_MONOTONIC nanoseconds.
    var began: Int64 = 0
    var lastCame: Int64 = 0
    var wasFull = false
    /// When bytes came: each up to so many from the front of the queue, oldest first.
    var arrivals: [(end: Int, time: Int64)] = []
    var takenCame: Int64 = 0

    mutating func arrived() {
      // Finer than pictures follow each other nobody needs to know it.
      if let last = arrivals.last, lastCame - last.time < .milliseconds(5) || arrivals.count == FeedQueue.arrivalsKept {
        arrivals[arrivals.count - 1].end = count
      } else {
        arrivals.append((count, lastCame))
      }
    }

    mutating func taken(_ size: Int) {
      if let newest = arrivals.first(where: { $0.end >= size }) { takenCame = newest.time }
      arrivals.removeAll { $0.end <= size }
      for index in arrivals.indices { arrivals[index].end -= size }
    }

    mutating func clear() {
      first = 0
      count = 0
      arrivals.removeAll(keepingCapacity: true)
      hasEnded = false
      wasFull = false
    }
  }

  private let path: ObjectPath
  private let state = Monitor(State())
  private let ring = UnsafeMutableRawPointer.allocate(byteCount: FeedQueue.capacity, alignment: 64)
  private let accepted = Atomic<UInt64>(0)
  private let waiting = Atomic<Int>(0)
  /// Told when there is something to take, besides whoever waits in ``wait(until:cancelled:)``.
  private let onBytes: @Sendable () -> Void

  init(_ path: ObjectPath, onBytes: @escaping @Sendable () -> Void = {}) {
    self.path = path
    self.onBytes = onBytes
    state.withLock { $0.arrivals.reserveCapacity(FeedQueue.arrivalsKept) }
  }

  deinit { ring.deallocate() }

  /// Bytes taken from writers so far, and bytes that wait now; without the lock.
  var bytesIn: UInt64 { accepted.load(ordering: .relaxed) }
  var bytesWaiting: Int { waiting.load(ordering: .relaxed) }

  // MARK: the channel

  /// Takes bytes from now on, beginning with an empty queue.
  func open() {
    let waiter = state.withLock { state in
      state.refusal = nil
      clear(&state)
      return state.writer
    }
    waiter?.wake()
  }

  /// Takes nothing from now on; writers are told why.
  func close(_ why: Refusal) {
    let waiter = state.change { state in
      state.refusal = why
      clear(&state)
      return state.writer
    }
    waiter?.wake()
  }

  /// The channel is gone for good.
  func retire() {
    state.withLock { $0.isRetired = true }
    close(Refusal(Errno(rawValue: ENODEV), path: "\(path)/feed", reason: "\(path) has been removed"))
  }

  private func clear(_ state: inout State) {
    state.clear()
    waiting.store(0, ordering: .relaxed)
  }

  // MARK: the reader, one thread

  func take(into target: UnsafeMutableRawBufferPointer) -> Taken {
    let (taken, waiter): (Taken, FeedWriter?) = state.withLock { state in
      if state.isVerdictNew, let verdict = state.verdict {
        state.isVerdictNew = false
        return (.unusable(verdict), nil)
      }
      guard state.count > 0 else {
        let isEnd = state.hasEnded
        state.hasEnded = false
        return isEnd ? (.ended, state.writer) : (.empty, nil)
      }
      let size = min(state.count, target.count)
      let head = min(size, FeedQueue.capacity - state.first)
      if let base = target.baseAddress {
        memcpy(base, ring + state.first, head)
        if head < size { memcpy(base + head, ring, size - head) }
      }
      state.first = (state.first + size) % FeedQueue.capacity
      state.count -= size
      state.taken(size)
      if state.count == 0 { state.wasFull = false }
      waiting.store(state.count, ordering: .relaxed)
      // Not for every few bytes: a wake-up costs more than a picture.
      return (.bytes(size), state.count <= FeedQueue.capacity / 2 ? state.writer : nil)
    }
    waiter?.wake()
    return taken
  }

  /// Waits until there is something to take, `cancelled` holds, or the time has come.
  func wait(until deadline: Int64, cancelled: () -> Bool) {
    _ = state.wait(until: deadline) { state -> Bool? in
      state.count == 0 && !state.hasEnded && !state.isVerdictNew && !cancelled() ? nil : true
    }
  }

  /// Nothing can be taken now.
  var isDry: Bool { state.withLock { $0.count == 0 && !$0.hasEnded && !$0.isVerdictNew } }

  /// Wakes the reader for something else.
  func wakeReader() { state.wakeAll() }

  /// When the last of the bytes that were taken last had come, CLOCK_MONOTONIC nanoseconds, to some milliseconds.
  var takenCame: Int64 { state.withLock { $0.takenCame } }

  /// Whether bytes have been coming for so long, not in one burst, faster than they are taken, and all of them have
  /// found room: a live stream whose rate is higher than it is played at.
  func growsSteadily(at now: Int64, since patience: Int64) -> Bool {
    state.withLock {
      $0.count > 0 && !$0.wasFull && !$0.hasEnded && $0.lastCame - $0.began > patience
        && now - $0.lastCame < .milliseconds(250)
    }
  }

  // MARK: the writer

  /// - Throws: EBUSY when there is a writer, ENODEV when the channel has been removed.
  func attach() throws(Refusal) -> FeedWriter {
    let new = FeedWriter(self)
    try state.withLock { (state) throws(Refusal) in
      if state.isRetired, let refusal = state.refusal { throw refusal }
      guard state.writer == nil else {
        throw Refusal(
          .resourceBusy, path: "\(path)/feed", reason: "another program has it open for writing",
          hint: "one writer at a time; close that first")
      }
      state.writer = new
      (state.head, state.isHeadKnown, state.verdict, state.isVerdictNew) = ([], false, nil, false)
    }
    return new
  }

  fileprivate func write(_ bytes: UnsafeRawBufferPointer) -> FeedWriter.Outcome {
    let outcome: FeedWriter.Outcome = state.withLock { state in
      if let refusal = state.refusal { return .refused(refusal) }
      // What the writer before has left is played first.
      guard !state.hasEnded, let base = bytes.baseAddress else { return .wouldBlock }
      if let refusal = judge(bytes, &state) { return .refused(refusal) }
      let size = min(bytes.count, FeedQueue.capacity - state.count)
      state.lastCame = Clock.now()
      if size < bytes.count { state.wasFull = true }
      guard size > 0 else { return .wouldBlock }
      if state.count == 0 { state.began = state.lastCame }
      if !state.isHeadKnown { state.head.append(contentsOf: bytes.prefix(size)) }
      let end = (state.first + state.count) % FeedQueue.capacity
      let head = min(size, FeedQueue.capacity - end)
      memcpy(ring + end, base, head)
      if head < size { memcpy(ring, base + head, size - head) }
      state.count += size
      state.arrived()
      waiting.store(state.count, ordering: .relaxed)
      accepted.add(UInt64(size), ordering: .relaxed)
      return .taken(size)
    }
    switch outcome {
    case .taken, .refused:
      state.wakeOne()
      onBytes()
    case .wouldBlock: break
    }
    return outcome
  }

  /// Whether what a writer begins with is no stream, though pictures may be inside.
  private func judge(_ bytes: UnsafeRawBufferPointer, _ state: inout State) -> Refusal? {
    if let verdict = state.verdict { return verdict }
    guard !state.isHeadKnown else { return nil }
    let rest = bytes.prefix(ContainerSniffer.enough - state.head.count)
    let found = (state.head + rest).withUnsafeBytes { ContainerSniffer.verdict($0) }
    state.isHeadKnown = state.head.count + rest.count >= ContainerSniffer.enough
    guard let found else {
      if state.isHeadKnown { state.head = [] }
      return nil
    }
    let refusal = Refusal(.invalidArgument, path: "\(path)/feed", reason: found.reason, hint: found.hint)
    (state.verdict, state.isVerdictNew, state.isHeadKnown, state.head) = (refusal, true, true, [])
    clear(&state)
    return refusal
  }

  fileprivate func detach(_ old: FeedWriter) {
    state.change { state in
      guard state.writer === old else { return }
      state.writer = nil
      if state.refusal == nil { state.hasEnded = true }
    }
    onBytes()
  }

  fileprivate var mayTake: Bool {
    state.withLock { $0.refusal != nil || (!$0.hasEnded && $0.count <= FeedQueue.capacity / 2) }
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
