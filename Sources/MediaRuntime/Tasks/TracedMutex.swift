// SPDX-License-Identifier: Apache-2.0
import Glibc

// The standard library's mutex is not compiled for the thread sanitizer, which then takes all that it guards for races.
// With -DMPIFS_TRACED_LOCKS this one stands in its place; it locks through pthreads, which the sanitizer knows:
//   swift test --sanitize=thread -Xswiftc -DMPIFS_TRACED_LOCKS
#if MPIFS_TRACED_LOCKS
  package struct Mutex<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    private let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    package init(_ initial: consuming sending Value) {
      value.initialize(to: initial)
      pthread_mutex_init(mutex, nil)
    }

    deinit {
      pthread_mutex_destroy(mutex)
      value.deinitialize(count: 1)
      value.deallocate()
      mutex.deallocate()
    }

    package func withLock<Result: ~Copyable, Thrown: Error>(
      _ body: (inout sending Value) throws(Thrown) -> sending Result
    ) throws(Thrown) -> sending Result {
      pthread_mutex_lock(mutex)
      defer { pthread_mutex_unlock(mutex) }
      return try body(&value.pointee)
    }

    package func withLockIfAvailable<Result: ~Copyable, Thrown: Error>(
      _ body: (inout sending Value) throws(Thrown) -> sending Result
    ) throws(Thrown) -> sending Result? {
      guard pthread_mutex_trylock(mutex) == 0 else { return nil }
      defer { pthread_mutex_unlock(mutex) }
      return try body(&value.pointee)
    }
  }
#endif
