// SPDX-License-Identifier: Apache-2.0
public import Glibc

/// State under a lock, with waiting for it to change: `Synchronization` has a mutex, but no condition variable. The one
/// place for both in the house; where nobody ever waits, `Mutex` does.
///
/// Deadlines are of CLOCK_MONOTONIC, so that setting the clock neither stretches nor cuts a wait. Not recursive: in a
/// debug build, locking twice is the end of the program, and so is ``assertIsHeld(file:line:)`` without the lock.
public final class Monitor<State>: @unchecked Sendable {
  // `@unchecked`: `state` is only touched under the lock.
  @usableFromInline let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  @usableFromInline let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  @usableFromInline var state: State
  @usableFromInline let holder = Affinity()

  public init(_ state: State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  // MARK: the state

  /// Looks at the state, or changes it, and wakes nobody.
  @inlinable @inline(__always) public func withLock<Result, Thrown: Error>(
    _ body: (inout State) throws(Thrown) -> Result
  ) throws(Thrown) -> Result {
    lock()
    defer { unlock() }
    return try body(&state)
  }

  /// The same, unless another thread has the lock.
  /// - Returns: `nil` when it has.
  @inlinable @inline(__always) public func withLockIfAvailable<Result, Thrown: Error>(
    _ body: (inout State) throws(Thrown) -> Result
  ) throws(Thrown) -> Result? {
    guard pthread_mutex_trylock(mutex) == 0 else { return nil }
    holder.enter()
    defer { unlock() }
    return try body(&state)
  }

  /// Changes the state and wakes all who wait for it.
  @inlinable public func change<Result, Thrown: Error>(
    _ body: (inout State) throws(Thrown) -> Result
  ) throws(Thrown) -> Result {
    lock()
    defer {
      pthread_cond_broadcast(condition)
      unlock()
    }
    return try body(&state)
  }

  /// Waits until `body` returns something. It is asked at once and after each wake-up, under the lock; what it changes
  /// wakes nobody.
  /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds; `Int64.max` for ever.
  /// - Returns: `nil` when the deadline has passed.
  @inlinable public func wait<Result>(until deadline: Int64 = .max, for body: (inout State) -> Result?) -> Result? {
    lock()
    defer { unlock() }
    while true {
      if let result = body(&state) { return result }
      guard sleep(until: deadline) else { return nil }
    }
  }

  // MARK: waking, where the state is not all that is waited for

  /// Has all who wait look again, at something that is not in the state: an atomic that was set before this call.
  public func wakeAll() {
    lock()
    pthread_cond_broadcast(condition)
    unlock()
  }

  /// Has one of those who wait look again, at what was changed by `withLock` before this call. Takes no lock.
  @inlinable @inline(__always) public func wakeOne() { pthread_cond_signal(condition) }

  /// The end of the program where the calling thread does not have the lock. Free in a release build.
  @inlinable @inline(__always) public func assertIsHeld(file: StaticString = #fileID, line: UInt = #line) {
    holder.assertIsCurrent(file: file, line: line)
  }

  // MARK: inside

  @inlinable @inline(__always) func lock() {
    holder.assertIsNotCurrent()
    pthread_mutex_lock(mutex)
    holder.enter()
  }

  @inlinable @inline(__always) func unlock() {
    holder.leave()
    pthread_mutex_unlock(mutex)
  }

  /// Gives the lock up until somebody wakes.
  /// - Returns: false when the deadline has passed.
  @usableFromInline func sleep(until deadline: Int64) -> Bool {
    holder.leave()
    defer { holder.enter() }
    if deadline == .max {
      pthread_cond_wait(condition, mutex)
      return true
    }
    guard Clock.now() < deadline else { return false }
    var moment = timespec(tv_sec: Int(deadline / .seconds(1)), tv_nsec: Int(deadline % .seconds(1)))
    pthread_cond_timedwait(condition, mutex, &moment)
    return true
  }
}
