// SPDX-License-Identifier: Apache-2.0
import Base
import Synchronization
import SystemPackage

/// The runtime's own pool: a fixed number of buffers of one size from one allocator.
///
/// Ownership: the pool owns its buffers while it is open; a buffer in use keeps the pool alive. `close` lets idle
/// buffers go at once and the others when they come home.
public final class Pool: BufferPool, BufferOwner {
  public let id = PoolID.next()
  public let name: String
  public let bufferSize: Int
  public let memoryKind: String
  private let state: Mutex<State>
  private let freeCount: Atomic<Int>
  private let low: Atomic<Int>
  /// For reports.
  private let all: Published<[Buffer]>

  private struct State: ~Copyable {
    var idle: [Buffer] = []
    var closed = false
    var waiter: (@Sendable () -> Void)?
  }

  /// Allocates all buffers now, so that the frame path never does.
  /// - Throws: what the allocator says; nothing is left behind then.
  public init(name: String, size: Int, count: Int, allocator: any Allocator) throws(Failure) {
    self.name = name
    self.bufferSize = size
    self.memoryKind = allocator.name
    self.freeCount = Atomic(count)
    self.low = Atomic(count)
    self.state = Mutex(State())
    self.all = Published([])
    var made: [any Memory] = []
    for index in 0..<count { made.append(try allocator.allocate(size: size, label: "\(name)-\(index)")) }
    let buffers = made.enumerated().map { Buffer(memory: $1, size: size, index: $0, owner: self) }
    all.store(buffers)
    state.withLock {
      $0.idle = buffers
      $0.idle.reserveCapacity(count)
    }
  }

  public var buffers: [Buffer] { all.value }
  public var free: Int { freeCount.load(ordering: .relaxed) }
  public var lowWater: Int { low.load(ordering: .relaxed) }

  /// An idle buffer, or `nil` when all are in use (the low-water mark becomes -1 then) or the pool is closed.
  public func take(as user: UserSlot) -> BufferRef? {
    let taken: Buffer? = state.withLock { state in
      guard !state.closed, let buffer = state.idle.popLast() else { return nil }
      let left = state.idle.count
      freeCount.store(left, ordering: .relaxed)
      if low.load(ordering: .relaxed) > left { low.store(left, ordering: .relaxed) }
      return buffer
    }
    guard let taken else {
      low.store(-1, ordering: .relaxed)
      return nil
    }
    return taken.take(as: user)
  }

  public func recycle(_ buffer: Buffer) {
    let wake: (@Sendable () -> Void)? = state.withLock { state in
      if state.closed {
        let left = all.value.filter { $0 !== buffer }
        all.store(left)
        return nil
      }
      state.idle.append(buffer)
      freeCount.store(state.idle.count, ordering: .relaxed)
      defer { state.waiter = nil }
      return state.waiter
    }
    wake?()
  }

  /// Calls `body` once, at once if a buffer is idle or the pool is closed, else when the next one comes home.
  /// One waiter at a time: the pool serves one source or one session.
  public func whenFree(_ body: @escaping @Sendable () -> Void) {
    let now = state.withLock { state in
      if state.closed || !state.idle.isEmpty { return true }
      state.waiter = body
      return false
    }
    if now { body() }
  }

  /// Buffers still in use, after `close` those that have not come home.
  public var inUse: Int { buffers.count - free }

  /// No more buffers are given; idle ones are freed now, the others as they come home.
  public func close() {
    let (wake, gone): ((@Sendable () -> Void)?, [Buffer]) = state.withLock { state in
      state.closed = true
      let idle = state.idle
      state.idle = []
      let left = all.value.filter { buffer in !idle.contains { $0 === buffer } }
      all.store(left)
      freeCount.store(0, ordering: .relaxed)
      defer { state.waiter = nil }
      return (state.waiter, idle)
    }
    _ = gone
    wake?()
  }
}
