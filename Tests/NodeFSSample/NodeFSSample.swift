// SPDX-License-Identifier: Apache-2.0
import Glibc
import NodeFS

/// Serves a small tree that has every kind of node, without any media: what NodeFS's mounted tests run against, and
/// what to start from when using the library.
///
///     nodefs-sample DIR [--threads N] [--allow-other] [--name NAME] [--patience SECONDS]
@main
enum NodeFSSample {
  static func main() {
    var options = MountOptions(name: "nodefs")
    var directory: String?
    var arguments = CommandLine.arguments.dropFirst().makeIterator()
    while let argument = arguments.next() {
      switch argument {
      case "--allow-other": options.allowOther = true
      case "--threads": options.threads = arguments.next().flatMap { Int($0) } ?? options.threads
      case "--name": options.name = arguments.next() ?? options.name
      case "--patience":
        if let seconds = arguments.next().flatMap({ Double($0) }) { options.patience = .seconds(seconds) }
      default: directory = argument
      }
    }
    guard let directory else {
      fail("usage: nodefs-sample DIR [--threads N] [--allow-other] [--name NAME] [--patience SECONDS]")
    }

    // Before any thread starts, so that all inherit it: signals are waited for here and nowhere else.
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    options.onUnmounted = { kill(getpid(), SIGUSR1) }

    let sample = SampleTree()
    do {
      try sample.build()
      let mount = try Mount.start(sample.tree, at: directory, options: options)
      print("nodefs-sample: serving \(mount.path)")
      fflush(nil)
      var signal: CInt = 0
      sigwait(&signals, &signal)
      let ending = mount.stop()
      print("nodefs-sample: \(ending)")
      fflush(nil)
      // Not `exit`: where a handler hangs, nothing may wait for its thread.
      _exit(ending == .clean ? 0 : 3)
    } catch {
      fail("nodefs-sample: \(error)")
    }
  }

  static func fail(_ text: String) -> Never {
    let line = text + "\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    exit(1)
  }
}
