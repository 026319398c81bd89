// SPDX-License-Identifier: Apache-2.0
internal import Base
internal import Glibc
public import LinuxMedia
import Synchronization
internal import SystemPackage

/// What devices this machine has, kept up to date: a thread waits for nodes that come and go and then looks again, so
/// that whoever reads the list does no device I/O.
///
/// Lives as long as the process; where inotify is not to be had, the list stays the one of the start.
public final class DeviceWatch: Sendable {
  /// Monitors that come and go make no node: the kernel announces them, or the display that uses them sees it.
  private let uevents: Uevents?
  /// Tells the thread to look.
  private let bell: DeviceWaker?
  private let root: String
  private let kernel: any Kernel
  private let list: Mutex<DeviceInventory>
  private let listener = Mutex<(@Sendable (DeviceInventory) -> Void)?>(nil)

  /// Looks now and watches from then on.
  /// - Parameter root: directory with the nodes; `/dev` but for tests.
  public init(in root: String = "/dev", kernel: any Kernel = LinuxKernel()) {
    self.root = root
    self.kernel = kernel
    uevents = try? Uevents(kernel: kernel)
    bell = try? DeviceWaker(kernel)
    // Before the first look, so that nothing that comes meanwhile is missed.
    let notifier = inotify_init1(CInt(IN_CLOEXEC))
    if notifier >= 0 {
      for directory in [root, "\(root)/dri", "\(root)/dma_heap"] {
        // A node is made first and given to its group later, so attributes count too.
        _ = inotify_add_watch(
          notifier, directory, UInt32(IN_CREATE | IN_DELETE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM))
      }
    }
    list = Mutex(DeviceInventory(in: root, kernel: kernel))
    if notifier >= 0 { watch(notifier) }
  }

  public var inventory: DeviceInventory { list.withLock { $0 } }

  /// Calls `body` after every look from now on, on the thread that watches.
  public func whenLooked(_ body: @escaping @Sendable (DeviceInventory) -> Void) { listener.withLock { $0 = body } }

  /// Something is other than it was: looks again soon, on the thread that watches.
  public func lookAgain() { bell?.wake() }

  /// Waits for nodes, announcements and calls.
  /// - Returns: whether there are changes of nodes to be read, and whether there is reason to look anyway.
  private func wait(_ notifier: CInt) -> (nodes: Bool, other: Bool) {
    var entries = [
      pollfd(fd: notifier, events: Int16(POLLIN), revents: 0),
      pollfd(fd: uevents?.raw ?? -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: bell?.wakeUp.raw ?? -1, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&entries, 3, -1) > 0 else { return (false, false) }
    var other = false
    if entries[1].revents != 0 { other = uevents?.takeDisplayChanges() ?? false }
    if entries[2].revents != 0 {
      bell?.wakeUp.clear()
      other = true
    }
    return (entries[0].revents != 0, other)
  }

  private func watch(_ notifier: CInt) {
    let watcher = Watcher(self, notifier)
    do throws(Errno) { _ = try Thread("devices") { watcher.run() } } catch { close(notifier) }
  }

  private func look() {
    var new = DeviceInventory(in: root, kernel: kernel)
    list.withLock { old in
      // A device in use does not tell its memory; it told before.
      for index in new.videos.indices {
        guard
          let known = old.videos.first(where: { $0.path == new.videos[index].path && $0.bus == new.videos[index].bus })
        else { continue }
        if new.videos[index].captureMemory == nil { new.videos[index].captureMemory = known.captureMemory }
        if new.videos[index].outputMemory == nil { new.videos[index].outputMemory = known.outputMemory }
      }
      old = new
    }
    listener.withLock { $0 }?(inventory)
  }

  private final class Watcher: Sendable {
    private let owner: DeviceWatch
    private let notifier: CInt

    init(_ owner: DeviceWatch, _ notifier: CInt) {
      self.owner = owner
      self.notifier = notifier
    }

    func run() {
      defer { close(notifier) }
      var bytes = [UInt8](repeating: 0, count: 4096)
      while true {
        let (nodes, other) = owner.wait(notifier)
        if nodes {
          let count = bytes.withUnsafeMutableBytes { read(notifier, $0.baseAddress, $0.count) }
          if count < 0 && errno == EINTR { continue }
          guard count > 0 else { return }
          let concerned = bytes.withUnsafeBytes { concerns(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
          guard concerned || other else { continue }
        } else if !other {
          continue
        }
        // Nodes come in groups: one look for all of them.
        repeat {
          var entry = pollfd(fd: notifier, events: Int16(POLLIN), revents: 0)
          guard poll(&entry, 1, 300) > 0 else { break }
          _ = bytes.withUnsafeMutableBytes { read(notifier, $0.baseAddress, $0.count) }
        } while true
        owner.look()
      }
    }

    /// Whether one of the events is about a node the list has.
    private func concerns(_ events: UnsafeRawBufferPointer) -> Bool {
      let header = MemoryLayout<inotify_event>.size
      var offset = 0
      while offset + header <= events.count {
        let event = events.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
        let name = events[(offset + header)..<min(events.count, offset + header + Int(event.len))].prefix { $0 != 0 }
        for kind in ["video", "card", "dri", "dma_heap", "udmabuf", "system", "reserved", "default_cma", "linux,cma"]
        where name.starts(with: kind.utf8) {
          return true
        }
        offset += header + Int(event.len)
      }
      return false
    }
  }
}
