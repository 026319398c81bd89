// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import Synchronization

/// The one thread on which devices are opened, started and stopped, in the order it was asked to.
///
/// A thread of its own and not a queue of a pool: a driver may hold it for seconds inside one system call, and nobody
/// else may wait because of that. It lives as long as the process; when its owner goes it ends after the work it has.
final class ControlExecutor: Sendable {
  /// Mutex and condition variable at a fixed address, freed by whichever of owner and thread lets go last.
  private final class Shared: @unchecked Sendable {
    let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Guarded by `lock`.
    var queue: [@Sendable () -> Void] = []
    var isBusy = false
    var isClosing = false

    init() {
      pthread_mutex_init(lock, nil)
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(changed, &attributes)
      pthread_condattr_destroy(&attributes)
    }

    deinit {
      pthread_cond_destroy(changed)
      pthread_mutex_destroy(lock)
      changed.deallocate()
      lock.deallocate()
    }

    func locked<Result>(_ body: () -> Result) -> Result {
      pthread_mutex_lock(lock)
      defer { pthread_mutex_unlock(lock) }
      return body()
    }

    func loop() {
      while true {
        pthread_mutex_lock(lock)
        isBusy = false
        pthread_cond_broadcast(changed)
        while queue.isEmpty, !isClosing { pthread_cond_wait(changed, lock) }
        guard !queue.isEmpty else {
          pthread_mutex_unlock(lock)
          return
        }
        let work = queue.removeFirst()
        isBusy = true
        pthread_mutex_unlock(lock)
        work()
      }
    }
  }

  private let shared = Shared()

  init(name: String) throws(Failure) {
    var thread = pthread_t()
    let context = Unmanaged.passRetained(Start(shared, name))
    let result = pthread_create(
      &thread, nil,
      { raw in
        guard let raw else { return nil }
        let start = Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
        start.nameThread()
        start.shared.loop()
        return nil
      }, context.toOpaque())
    guard result == 0 else {
      context.release()
      throw Failure(.init(rawValue: result), "pthread_create", on: name)
    }
    pthread_detach(thread)
  }

  private final class Start: Sendable {
    let shared: Shared
    let name: String
    init(_ shared: Shared, _ name: String) {
      self.shared = shared
      self.name = name
    }

    /// What `ps -L` shows. Not worth a failure.
    func nameThread() {
      let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
      guard file >= 0 else { return }
      let bytes = Array(name.utf8.prefix(15))
      _ = write(file, bytes, bytes.count)
      close(file)
    }
  }

  deinit {
    shared.locked {
      shared.isClosing = true
      pthread_cond_broadcast(shared.changed)
    }
  }

  /// Puts work at the end of the queue. Never blocks.
  func submit(_ work: @escaping @Sendable () -> Void) {
    shared.locked {
      shared.queue.append(work)
      pthread_cond_broadcast(shared.changed)
    }
  }

  /// Waits until all work is done, at most so long.
  /// - Returns: false when something was still running then.
  func drain(milliseconds: Int) -> Bool {
    var until = timespec()
    clock_gettime(CLOCK_MONOTONIC, &until)
    until.tv_sec += milliseconds / 1000
    until.tv_nsec += milliseconds % 1000 * 1_000_000
    if until.tv_nsec >= 1_000_000_000 {
      until.tv_sec += 1
      until.tv_nsec -= 1_000_000_000
    }
    return shared.locked {
      while shared.isBusy || !shared.queue.isEmpty {
        if pthread_cond_timedwait(shared.changed, shared.lock, &until) == ETIMEDOUT {
          return !shared.isBusy && shared.queue.isEmpty
        }
      }
      return true
    }
  }
}
