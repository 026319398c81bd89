// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import SystemPackage

/// A named thread. `join` once, from another thread.
final class Thread: @unchecked Sendable {
  private var handle = pthread_t()

  private final class Body {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// - Parameter name: at most 15 bytes are shown by the kernel.
  /// - Throws: EAGAIN when the system has no more threads.
  init(name: String, _ run: @escaping @Sendable () -> Void) throws(Failure) {
    let body = Unmanaged.passRetained(Body(name: name, run: run))
    let code = pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        Thread.rename(body.name)
        body.run()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      body.release()
      throw Failure(Errno(rawValue: code), "pthread_create", on: name)
    }
  }

  /// Names the calling thread, as `top -H` shows it. Through the file, since the C function is a GNU extension that is
  /// not imported.
  private static func rename(_ name: String) {
    let file = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return }
    var text = Array(name.utf8.prefix(15))
    _ = write(file, &text, text.count)
    close(file)
  }

  func join() { pthread_join(handle, nil) }
  func detach() { pthread_detach(handle) }
}
