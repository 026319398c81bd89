// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Waits on the main thread for an answer that comes from another one. Once.
final class Answer<Value: Sendable>: @unchecked Sendable {
  // `@unchecked`: the semaphore is made for this, the value is behind a lock.
  private let value = Mutex<Value?>(nil)
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func give(_ new: Value) {
    value.withLock { $0 = new }
    sem_post(semaphore)
  }

  func wait() -> Value {
    while true {
      while sem_wait(semaphore) != 0 {}
      if let value = value.withLock({ $0 }) { return value }
    }
  }
}
