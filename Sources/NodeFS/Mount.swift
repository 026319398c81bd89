// SPDX-License-Identifier: Apache-2.0
import Base
import CFuse3
import Glibc
import SystemPackage

/// A tree that is served at a mount point.
///
/// The process that serves must never touch the tree through the mount itself, and should not `fork` without `exec`: a
/// child that keeps the connection's descriptor makes readers hang, instead of fail, when the parent is killed.
public final class Mount: @unchecked Sendable {
  // `@unchecked`: constants, and `outcome`, which is a monitor.

  /// How serving ended.
  public enum Ending: Sendable, Hashable {
    /// Every request was answered, the mount is gone.
    case clean
    /// Handlers did not come back: the connection was cut and the mount taken away all the same. Their threads still
    /// hang; the process should exit.
    case forced(hungThreads: Int)
  }

  /// Where, absolute and without symbolic links.
  public let path: String
  private let server: Server
  private let source: String
  private let minor: UInt32
  private let patience: Duration

  private enum Outcome {
    case serving
    case stopping
    case ended(Ending)
  }
  private let outcome = Monitor(Outcome.serving)

  /// Mounts `tree` on the directory `path` and serves it from threads of its own. Returns when the tree answers.
  ///
  /// A dead mount of the same name at `path` (its process was killed) is taken away first.
  public static func start(_ tree: NodeTree, at path: String, options: MountOptions) throws(MountError) -> Mount {
    let allowed = options.name.utf8.allSatisfy {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
        true
      default: false
      }
    }
    guard allowed, !options.name.isEmpty else { throw .badOptions("not a possible name of a mount: \(options.name)") }
    let point = try MountPoint(path)
    try point.clear(name: options.name)
    try checkDevice()
    let server = Server(tree)
    guard tree.listen(server) else { throw .treeInUse }
    do {
      tree.waitingRoom.reopen()
      return try Mount(server, at: point.path, options: options)
    } catch {
      _ = tree.listen(nil)
      throw error
    }
  }

  private static func checkDevice() throws(MountError) {
    let device = open("/dev/fuse", O_RDWR | O_CLOEXEC)
    if device >= 0 {
      close(device)
      return
    }
    // Others than root mount through the setuid fusermount3, which opens the device itself.
    let isHelped = geteuid() != 0 && errno == EACCES
    if !isHelped { throw .noDevice(Errno(rawValue: errno)) }
  }

  private init(_ server: Server, at path: String, options: MountOptions) throws(MountError) {
    self.server = server
    self.path = path
    self.patience = options.patience
    self.source = "\(options.name):\(getpid())"
    var settings = ["fsname=\(source)", "subtype=\(options.name)", "default_permissions", "nosuid", "nodev", "noexec"]
    if options.allowOther { settings.append("allow_other") }

    let said = FuseLog.capture { () -> OpaquePointer? in
      guard let session = Self.session(options: settings, server) else { return nil }
      if fuse_session_mount(session, path) == 0 { return session }
      fuse_session_destroy(session)
      return nil
    }
    guard let session = said.result else {
      throw .refused(
        path: path, detail: said.text.isEmpty ? "fusermount3 refused, and said why on the standard error" : said.text)
    }
    server.adopt(session)
    // Reading the mount table touches no mount.
    minor =
      MountTableEntry.all().last { $0.mountPoint == path && $0.source == "\(options.name):\(getpid())" }?.minor ?? 0

    let failure = server.start(threads: options.threads, onUnmounted: options.onUnmounted)
    let isReady =
      failure == nil
      && server.life.wait(until: Clock.now() + Mount.longestStart) { $0.isReady ? true : nil } ?? false
    guard isReady else {
      _ = stop()
      if let failure { throw .refused(path: path, detail: "no thread could be started: \(failure)") }
      throw .noAnswer(path: path)
    }
  }

  /// The kernel's first request comes with the mount: so long is waited, in nanoseconds, for the thread that reads it, which may
  /// have to wait for a processor.
  private static let longestStart = Int64.seconds(30)

  private static func session(options: [String], _ server: Server) -> OpaquePointer? {
    var arguments: [UnsafeMutablePointer<CChar>?] = []
    for argument in ["nodefs", "-o", options.joined(separator: ",")] { arguments.append(strdup(argument)) }
    defer { for argument in arguments { free(argument) } }
    return arguments.withUnsafeMutableBufferPointer { buffer in
      var parsed = fuse_args(argc: CInt(buffer.count), argv: buffer.baseAddress, allocated: 0)
      defer { fuse_opt_free_args(&parsed) }
      var table = Callbacks.table()
      return nodefs_session_new(&parsed, &table, Unmanaged.passUnretained(server).toOpaque())
    }
  }

  /// Ends serving: parked requests are answered with `ENODEV`, the mount is taken away, also when a handler hangs.
  /// Returns within about 3 s. May be called from any thread but one that runs a handler; more than once.
  @discardableResult
  public func stop() -> Ending {
    let isMine = outcome.change {
      guard case .serving = $0 else { return false }
      $0 = .stopping
      return true
    }
    if isMine {
      let ending = tearDown()
      outcome.change { $0 = .ended(ending) }
      return ending
    }
    return outcome.wait {
      if case .ended(let ending) = $0 { return ending }
      return nil
    } ?? .clean
  }

  private func tearDown() -> Ending {
    let tree = server.tree
    let workers = server.life.change {
      $0.isStopping = true
      return $0.workers
    }
    tree.waitingRoom.close(NodeError(.gone, "the tree is no longer served"))
    guard let session = server.session else { return .clean }
    fuse_session_exit(session)
    for worker in workers { pthread_cancel(worker) }
    server.news.change { $0.isOver = true }
    server.agenda.change { $0.isOver = true }

    let deadline = Clock.now() &+ patience.nanoseconds
    func areDone(by deadline: Int64) -> Bool {
      // Who waited has been answered, but an owner's thread may still be about to send its answer.
      server.life.wait(until: deadline) { $0.running == 0 && $0.helpers == 0 ? true : nil } ?? false
        && tree.waitingRoom.isEmpty(by: deadline)
    }
    if !areDone(by: deadline) {
      // A handler or an answer hangs, or the news thread waits for a directory that a request nobody reads any more has
      // locked.
      Unmount.byForce(path, minor: minor)
      if !areDone(by: Clock.now() + .milliseconds(200)) {
        // The hung thread may come back and reply: to the null device then, never to a descriptor that has become
        // something else. This also drops the connection where it could not be cut before.
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        if null >= 0 {
          dup2(null, fuse_session_fd(session))
          close(null)
        }
        let hung = server.life.withLock { $0.running + $0.helpers }
        // None of ours: threads of the owner, in the middle of an answer.
        let answering = hung == 0 ? tree.waitingRoom.count : 0
        _ = tree.listen(nil)
        // The session and the server are left to the threads that still use them.
        _ = Unmanaged.passRetained(server)
        return .forced(hungThreads: hung + answering)
      }
    }
    for worker in workers { pthread_join(worker, nil) }
    server.destroyShift()
    fuse_session_unmount(session)
    fuse_session_destroy(session)
    // libfuse leaves a mount alone whose connection was cut by somebody else.
    if MountTableEntry.top(at: path)?.source == source { _ = Unmount.lazily(path) }
    _ = tree.listen(nil)
    return .clean
  }
}
