// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// A task executor with one POSIX thread, which ends with ``end()``.
///
/// Ownership: the thread holds the executor until it ends; whoever made it calls `end` once no task prefers it any more.
final class TestThread: TaskExecutor {
  private struct State {
    var jobs: [UnownedJob] = []
    var isEnding = false
  }

  private let state = Mutex(State())
  private let wake = CountingSemaphore()

  /// - Parameter name: shown by debuggers; the kernel keeps its first 15 bytes.
  init(name: String) {
    startThread(name: name) { self.run() }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { $0.jobs.append(job) }
    wake.signal()
  }

  func end() {
    state.withLock { $0.isEnding = true }
    wake.signal()
  }

  private func run() {
    while true {
      wake.wait()
      let (job, isEnding) = state.withLock { state in
        (state.jobs.isEmpty ? nil : state.jobs.removeFirst(), state.isEnding)
      }
      if let job {
        job.runSynchronously(on: asUnownedTaskExecutor())
      } else if isEnding {
        return
      }
    }
  }
}

/// Starts a detached POSIX thread.
func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
  final class Body {
    let name: String
    let run: @Sendable () -> Void
    init(_ name: String, _ run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  defer { pthread_attr_destroy(&attributes) }
  var thread = pthread_t()
  let error = pthread_create(
    &thread, &attributes,
    { argument in
      guard let argument else { return nil }
      let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
      // pthread_setname_np is not in Swift's Glibc.
      if let file = fopen("/proc/thread-self/comm", "we") {
        fputs(body.name, file)
        fclose(file)
      }
      body.run()
      return nil
    }, Unmanaged.passRetained(Body(name, body)).toOpaque())
  precondition(error == 0, "pthread_create: \(error)")
}

/// A POSIX semaphore. `wait` blocks its thread: for threads of one's own only.
final class CountingSemaphore: Sendable {
  nonisolated(unsafe) private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  func signal() { sem_post(semaphore) }

  func wait() { while sem_wait(semaphore) != 0 {} }
}
