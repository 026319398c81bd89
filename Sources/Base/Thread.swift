// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
public import SystemPackage

/// A POSIX thread with a name. The one maker of threads in the house; only NodeFS's serving threads, which libfuse has
/// cancelled, are made in C.
///
/// Ownership: who has it may wait for its end with ``join()``. One that is let go is detached, and lasts until its body
/// returns.
public struct Thread: ~Copyable, Sendable {
  private let handle: pthread_t

  /// Which signals the thread takes.
  public enum Signals: Sendable {
    /// Those that whoever makes it takes.
    case inherited
    /// None: they are the program's. For libraries, which do not know what the program has its threads do.
    case blocked
  }

  private final class Body: Sendable {
    let name: String
    let run: @Sendable () -> Void
    init(_ name: String, _ run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// - Parameter name: shown by `top -H` and debuggers; the kernel keeps its first 15 bytes.
  /// - Throws: EAGAIN when the system has no more threads.
  public init(
    _ name: String, signals: Signals = .inherited, _ body: @escaping @Sendable () -> Void
  ) throws(Errno) {
    var before = sigset_t()
    if signals == .blocked {
      var all = sigset_t()
      sigfillset(&all)
      pthread_sigmask(SIG_SETMASK, &all, &before)
    }
    // A thread begins with the mask of the one that makes it.
    defer { if signals == .blocked { pthread_sigmask(SIG_SETMASK, &before, nil) } }
    let body = Unmanaged.passRetained(Body(name, body))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
        mpifs_name_thread(body.name)
        body.run()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      body.release()
      throw Errno(rawValue: code)
    }
    handle = thread
  }

  deinit { pthread_detach(handle) }

  /// Has the thread that calls give way to the others: its nice value is 10 more than the program's, whatever that is.
  ///
  /// To Linux a nice value is a thread's own (nice(2), "C library/kernel differences").
  public static func giveWay() {
    _ = nice(10)
  }

  /// Waits until the thread's body has returned. From another thread.
  public consuming func join() {
    pthread_join(handle, nil)
    discard self
  }
}
