// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A thread for what may hang at the start. Nobody waits for it.
enum SideThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// - Throws: when the system has no more threads.
  static func begin(_ run: @escaping @Sendable () -> Void) throws(StartFailure) {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    guard result == 0 else {
      body.release()
      throw StartFailure("no thread: \(String(cString: strerror(result)))")
    }
    pthread_detach(thread)
  }
}
