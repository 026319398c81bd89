// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization
import SystemPackage

/// The runtime's own pool: a fixed number of buffers of one size from one allocator.
///
/// Ownership: the pool owns its buffers while it is open; a buffer in use keeps the pool alive. `close` lets idle
/// buffers go at once and the others when they come home. Who only takes buffers of a shared one ends that with `leave`.
public final class Pool: BufferPool, BufferOwner {
  public let id = PoolID.next()
  public let name: String
  public let bufferSize: Int
  public let memoryKind: String
  public let isShared: Bool
  public let isWrapped: Bool
  private let state: Mutex<State>
  private let freeCount: Atomic<Int>
  private let low: Atomic<Int>
  private let refusals = Atomic<UInt64>(0)
  private let delays = Atomic<UInt64>(0)
  /// For reports.
  private let all: Published<[Buffer]>

  private struct State: ~Copyable {
    var idle: [Buffer] = []
    var closed = false
    var waiter: Waiter?
    /// Further ones of a shared pool.
    var others: [Waiter] = []
  }

  private struct Waiter {
    var user: UserSlot
    var body: @Sendable () -> Void
  }

  /// Allocates all buffers now, so that the frame path never does.
  /// - Parameters:
  ///   - isShared: it belongs to none of those who take its buffers.
  ///   - isWrapped: all buffers are parts of one piece of memory.
  /// - Throws: what the allocator says; nothing is left behind then.
  public init(
    name: String, size: Int, count: Int, allocator: any Allocator, isShared: Bool = false, isWrapped: Bool = false
  ) throws(Failure) {
    self.name = name
    self.bufferSize = size
    self.memoryKind = allocator.name
    self.isShared = isShared
    self.isWrapped = isWrapped
    self.freeCount = Atomic(count)
    self.low = Atomic(count)
    self.state = Mutex(State())
    self.all = Published([])
    try allocator.admit(count: count, size: size, for: name)
    var made: [any Memory] = []
    if isWrapped {
      let part = MemoryPart.size(holding: size)
      let whole = try allocator.allocate(size: part * count, label: name)
      for index in 0..<count { made.append(MemoryPart(of: whole, at: index * part, size: part)) }
    } else {
      for index in 0..<count { made.append(try allocator.allocate(size: size, label: "\(name)-\(index)")) }
    }
    let buffers = made.enumerated().map { Buffer(memory: $1, size: size, index: $0, owner: self) }
    all.store(buffers)
    state.withLock {
      $0.idle = buffers
      $0.idle.reserveCapacity(count)
    }
  }

  /// The shared pool where one is to serve, else one of its own.
  /// - Throws: EINVAL when the shared pool's buffers are too small, ENOBUFS when it has too few; what the allocator says.
  public static func serving(
    _ shared: Pool?, name: String, size: Int, count: Int, allocator: any Allocator
  ) throws(Failure) -> Pool {
    guard let shared else { return try Pool(name: name, size: size, count: count, allocator: allocator) }
    guard shared.bufferSize >= size else {
      throw Failure(
        .invalidArgument, "pool", on: name,
        "the buffers of \(shared.name) have \(shared.bufferSize) bytes, and a picture has \(size)")
    }
    guard shared.buffers.count >= 2 else {
      throw Failure(
        .noBufferSpace, "pool", on: name, "\(shared.name) has \(shared.buffers.count) buffers, and it takes 2")
    }
    return shared
  }

  public var buffers: [Buffer] { all.value }
  public var free: Int { freeCount.load(ordering: .relaxed) }
  public var lowWater: Int { low.load(ordering: .relaxed) }
  public var refused: UInt64 { refusals.load(ordering: .relaxed) }

  /// Requests of those who waited then.
  public var waits: UInt64 { delays.load(ordering: .relaxed) }

  /// An idle buffer, or `nil` when all are in use or the pool is closed.
  /// - Parameter orWaits: who asks waits for the next one. Who does not loses a picture: the low-water mark becomes -1 then.
  public func take(as user: UserSlot, orWaits: Bool = false) -> BufferRef? {
    let taken: Buffer? = state.withLock { state in
      guard !state.closed, let buffer = state.idle.popLast() else { return nil }
      let left = state.idle.count
      freeCount.store(left, ordering: .relaxed)
      if low.load(ordering: .relaxed) > left { low.store(left, ordering: .relaxed) }
      return buffer
    }
    guard let taken else {
      guard !orWaits else {
        delays.add(1, ordering: .relaxed)
        return nil
      }
      low.store(-1, ordering: .relaxed)
      refusals.add(1, ordering: .relaxed)
      return nil
    }
    return taken.take(as: user)
  }

  public func recycle(_ buffer: Buffer) {
    var others: [Waiter] = []
    let wake: (@Sendable () -> Void)? = state.withLock { state in
      if state.closed {
        let left = all.value.filter { $0 !== buffer }
        all.store(left)
        return nil
      }
      state.idle.append(buffer)
      freeCount.store(state.idle.count, ordering: .relaxed)
      defer { state.waiter = nil }
      if !state.others.isEmpty { swap(&state.others, &others) }
      return state.waiter?.body
    }
    wake?()
    for waiter in others { waiter.body() }
  }

  /// Calls `body` once, at once if a buffer is idle or the pool is closed, else when the next one comes home.
  /// One waiter at a time for each user.
  public func whenFree(as user: UserSlot = .anonymous, _ body: @escaping @Sendable () -> Void) {
    let now = state.withLock { state in
      if state.closed || !state.idle.isEmpty { return true }
      let new = Waiter(user: user, body: body)
      if state.waiter == nil || state.waiter?.user == user || !isShared {
        state.waiter = new
      } else if let place = state.others.firstIndex(where: { $0.user == user }) {
        state.others[place] = new
      } else {
        state.others.append(new)
      }
      return false
    }
    if now { body() }
  }

  /// Buffers still in use, after `close` those that have not come home.
  public var inUse: Int { buffers.count - free }

  /// One who took its buffers takes no more: it ends with him where it is his own.
  public func leave() {
    if !isShared { close() }
  }

  /// No more buffers are given; idle ones are freed now, the others as they come home.
  public func close() {
    let (wake, others, gone): ((@Sendable () -> Void)?, [Waiter], [Buffer]) = state.withLock { state in
      state.closed = true
      let idle = state.idle
      state.idle = []
      let left = all.value.filter { buffer in !idle.contains { $0 === buffer } }
      all.store(left)
      freeCount.store(0, ordering: .relaxed)
      defer {
        state.waiter = nil
        state.others = []
      }
      return (state.waiter?.body, state.others, idle)
    }
    _ = gone
    wake?()
    for waiter in others { waiter.body() }
  }
}
