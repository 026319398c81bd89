// SPDX-License-Identifier: Apache-2.0
import Base
import CFuse3
import Glibc
import Synchronization
import SystemPackage

/// What a mount runs on: the libfuse session, the serving threads, the thread that tells the kernel what to forget, and
/// the thread that keeps deadlines and serves streams.
///
/// Owns the session. `Mount` owns the server; the tree refers to it as its listener while it is served; libfuse has it
/// as user data, unretained, which is safe because `Mount` keeps it until the session is destroyed, or for ever where a
/// handler hangs.
final class Server: @unchecked Sendable {
  // `@unchecked`: `session` is set once before any thread starts.
  let tree: NodeTree
  nonisolated(unsafe) private(set) var session: OpaquePointer?

  /// Which serving thread reads.
  nonisolated(unsafe) private var shift: UnsafeMutablePointer<nodefs_shift>?

  /// Only when no serving thread is left.
  func destroyShift() {
    if let shift { nodefs_shift_free(shift) }
    shift = nil
  }

  struct Life {
    var workers: [pthread_t] = []
    var running = 0
    var helpers = 0
    var isReady = false
    var isStopping = false
  }
  let life = Monitor(Life())

  /// What the kernel must be told, in order, each thing once.
  struct News {
    var removed: [(parent: UInt64, name: String)] = []
    var changed: Set<UInt64> = []
    /// Changed, with the pages the kernel has of it.
    var pages: Set<UInt64> = []
    var isOver = false
  }
  let news = Monitor(News())

  /// What the clock thread has to look at.
  struct Agenda {
    var streams: [any PumpedHandle] = []
    var mustLook = false
    var isUnmounted = false
    var isOver = false
  }
  let agenda = Monitor(Agenda())

  init(_ tree: NodeTree) {
    self.tree = tree
  }

  static func of(_ request: fuse_req_t) -> Server? {
    fuse_req_userdata(request).map { Unmanaged<Server>.fromOpaque($0).takeUnretainedValue() }
  }

  func adopt(_ session: OpaquePointer) {
    self.session = session
  }

  // MARK: attributes

  func mode(of node: Node) -> mode_t {
    let type: mode_t =
      switch node.kind {
      case .directory: S_IFDIR
      case .symlink: S_IFLNK
      default: S_IFREG
      }
    return type | mode_t(node.permissions)
  }

  func attributes(of node: Node, for caller: Caller?) -> stat {
    var info = stat()
    info.st_ino = ino_t(tree.inode(of: node))
    info.st_mode = mode(of: node)
    if let directory = node as? Directory {
      info.st_nlink = nlink_t(Structure.linkCount(of: directory))
    } else {
      info.st_nlink = nlink_t(max(node.links.load(ordering: .relaxed), 0))
    }
    let owner = node.owner ?? tree.owner
    info.st_uid = owner.uid
    info.st_gid = owner.gid
    info.st_blksize = 4096
    info.st_size = off_t(tree.size(of: node, for: caller))
    info.st_blocks = (info.st_size + 511) / 512
    let modified = node.modified.load(ordering: .relaxed)
    let time = timespec(tv_sec: Int(modified / .seconds(1)), tv_nsec: Int(modified % .seconds(1)))
    info.st_mtim = time
    info.st_ctim = time
    info.st_atim = time
    return info
  }

  // MARK: threads

  /// Starts `threads` serving threads and the two helpers. Returns an errno.
  func start(threads: Int, onUnmounted: (@Sendable () -> Void)?) -> Errno? {
    guard let session else { return .badFileDescriptor }
    let isHelped =
      startHelper("nodefs-news") { [self] in tellNews() }
      && startHelper("nodefs-clock") { [self] in keepTime(onUnmounted) }
    guard isHelped else { return .resourceTemporarilyUnavailable }
    shift = nodefs_shift_new()
    guard let shift else { return .noMemory }
    for index in 0..<max(threads, 1) {
      var worker = nodefs_worker()
      worker.shift = shift
      worker.is_active = index == 0 ? 1 : 0
      worker.session = session
      worker.opcodes = UnsafeMutableRawPointer(tree.counters.opcodes.cells).assumingMemoryBound(to: UInt64.self)
      worker.opcode_count = UInt32(Counters.opcodeCount)
      worker.context = Unmanaged.passRetained(self).toOpaque()
      worker.ready = { context in
        guard let context else { return }
        Unmanaged<Server>.fromOpaque(context).takeUnretainedValue().life.change { $0.isReady = true }
      }
      worker.ended = { context in
        guard let context else { return }
        Unmanaged<Server>.fromOpaque(context).takeRetainedValue().workerEnded()
      }
      var thread = pthread_t()
      life.change { $0.running += 1 }
      let error = nodefs_worker_start(&thread, &worker)
      guard error == 0 else {
        life.change { $0.running -= 1 }
        Unmanaged.passUnretained(self).release()
        return Errno(rawValue: error)
      }
      life.change { $0.workers.append(thread) }
    }
    return nil
  }

  private func startHelper(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
    life.change { $0.helpers += 1 }
    do throws(Errno) {
      _ = try Thread(name, signals: .blocked) { [self] in
        body()
        life.change { $0.helpers -= 1 }
      }
      return true
    } catch {
      life.change { $0.helpers -= 1 }
      return false
    }
  }

  private func workerEnded() {
    let isAlone = life.change {
      $0.running -= 1
      return $0.running == 0 && !$0.isStopping
    }
    if isAlone { agenda.change { $0.isUnmounted = true } }
  }

  /// Tells the kernel what to forget. In a thread of its own because the kernel may make it wait for a directory that
  /// one of our own requests has locked.
  private func tellNews() {
    guard let session else { return }
    while true {
      let batch: News? = news.wait { news in
        if news.isOver || !news.removed.isEmpty || !news.changed.isEmpty || !news.pages.isEmpty {
          defer {
            news.removed = []
            news.changed = []
            news.pages = []
          }
          return news
        }
        return nil
      }
      guard let batch, !batch.isOver else { return }
      for entry in batch.removed {
        _ = fuse_lowlevel_notify_inval_entry(session, entry.parent, entry.name, entry.name.utf8.count)
      }
      for inode in batch.pages { _ = fuse_lowlevel_notify_inval_inode(session, inode, 0, 0) }
      // A negative offset: the attributes only.
      for inode in batch.changed { _ = fuse_lowlevel_notify_inval_inode(session, inode, -1, 0) }
    }
  }

  /// Makes the kernel ask for a node's attributes when it next needs them. Unlike what `tellNews` says this may be said
  /// while a request is being answered, since it takes no lock of pages or directories.
  func forgetAttributes(of node: Node) {
    guard let session else { return }
    _ = fuse_lowlevel_notify_inval_inode(session, tree.inode(of: node), -1, 0)
  }

  /// Keeps deadlines, and serves streams that have become readable: neither on the producer's thread, which must not
  /// wait for the kernel, nor on a serving thread.
  private func keepTime(_ onUnmounted: (@Sendable () -> Void)?) {
    var next = Int64.max
    while true {
      let work: Agenda? = agenda.wait(until: next) { agenda in
        guard agenda.isOver || agenda.isUnmounted || agenda.mustLook || !agenda.streams.isEmpty else { return nil }
        let work = agenda
        agenda.streams = []
        agenda.mustLook = false
        agenda.isUnmounted = false
        return work
      }
      if let work {
        if work.isOver { return }
        for stream in work.streams { stream.pump() }
        if work.isUnmounted { onUnmounted?() }
      }
      next = tree.expireDeadlines(now: Clock.now())
    }
  }
}

extension Server: TreeListener {
  func entryRemoved(_ name: String, from directory: UInt64) {
    news.change { $0.removed.append((directory, name)) }
  }

  func attributesChanged(inode: UInt64) {
    news.change { _ = $0.changed.insert(inode) }
  }

  func pagesChanged(inode: UInt64) {
    news.change { _ = $0.pages.insert(inode) }
  }

  func deadlineCameCloser() {
    agenda.change { $0.mustLook = true }
  }

  func streamIsReadable(_ handle: any PumpedHandle) {
    agenda.change { $0.streams.append(handle) }
  }
}
