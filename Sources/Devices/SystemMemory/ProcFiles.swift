// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import SystemPackage

/// Where the kernel shows itself; other places for tests.
public struct KernelRoots: Sendable {
  var proc = "/proc"
  var bufferList = "/sys/kernel/debug/dma_buf/bufinfo"
  var bufferFolder = "/sys/kernel/dmabuf/buffers"
  var cgroups = "/sys/fs/cgroup"
  var areas = "/sys/kernel/debug/cma"
  var areaCounts = "/sys/kernel/mm/cma"
  var heaps = "/dev/dma_heap"
  /// The numbers in `proc` are those of processes, about which the kernel may be asked.
  var isReal = true

  /// - Parameter folder: has `proc`, `sys` and `dev` in it in place of the machine's.
  public init(under folder: String? = nil) {
    guard let folder else { return }
    for path in [
      \KernelRoots.proc, \.bufferList, \.bufferFolder, \.cgroups, \.areas, \.areaCounts, \.heaps,
    ] {
      self[keyPath: path] = folder + self[keyPath: path]
    }
    isReal = false
  }

  /// Processes alone, without a list of the kernel.
  init(processes folder: String) {
    isReal = folder == proc
    (proc, bufferList, bufferFolder) = (folder, "", "")
  }
}

/// Reads small files of the kernel into one buffer that is kept, so that a look allocates nothing for them.
///
/// Nothing that belongs to other processes is opened or looked at through their links: that may hang, and may be our own
/// mount.
final class ProcFiles {
  /// One name in a directory that is a number; valid while it is told of.
  struct NumberedEntry {
    var number: UInt64
    var name: UnsafePointer<CChar>
    /// The inode the directory says it has.
    var inode: UInt64
  }

  /// What this program itself ran out of since it was last set to `nil`: what was looked at since then says less than it seems to.
  var shortage: Errno?
  private var room: UnsafeMutableRawBufferPointer
  private let entries = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 15, alignment: 16)
  /// No list of the kernel is as long; where one is, what is read of it is its beginning.
  private static let longest = 64 << 20

  init() { room = .allocate(byteCount: 1 << 16, alignment: 16) }

  deinit {
    room.deallocate()
    entries.deallocate()
  }

  /// The whole text of a file below a directory; valid until the next one is read.
  /// - Parameter isShort: the kernel gives it with one call.
  func read(
    _ path: UnsafePointer<CChar>, in directory: CInt = AT_FDCWD, isShort: Bool = false
  ) throws(Errno) -> KernelBytes {
    let fd = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard fd >= 0 else { throw refused(errno) }
    defer { close(fd) }
    var length = 0
    while true {
      if length == room.count {
        guard room.count < Self.longest else { break }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: room.count * 2, alignment: 16)
        larger.copyMemory(from: KernelBytes(room))
        room.deallocate()
        room = larger
      }
      let got = Glibc.read(fd, room.baseAddress.map { $0 + length }, room.count - length)
      if got < 0 {
        if errno == EINTR { continue }
        throw refused(errno)
      }
      if got == 0 { break }
      length += got
      if isShort, length < room.count { break }
    }
    return KernelBytes(room)[from: 0, to: length]
  }

  private func refused(_ number: CInt) -> Errno {
    if number == EMFILE || number == ENFILE || number == ENOMEM { shortage = Errno(rawValue: number) }
    return Errno(rawValue: number)
  }

  /// A directory below another, to be closed by the caller.
  func directory(_ path: UnsafePointer<CChar>, in parent: CInt = AT_FDCWD) throws(Errno) -> CInt {
    let fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard fd >= 0 else { throw refused(errno) }
    return fd
  }

  /// Calls `body` with each name in a directory that is a number. `body` may read files, and no other directory.
  func eachNumber(in directory: CInt, _ body: (NumberedEntry) -> Void) throws(Errno) {
    guard let base = entries.baseAddress else { return }
    while true {
      let got = mpifs_directory_entries(directory, base, entries.count)
      if got == -Int64(EINTR) { continue }
      guard got >= 0 else { throw refused(CInt(-got)) }
      if got == 0 { return }
      var offset = 0
      // Inode and place of 8 bytes each, length of 2, kind of 1, name (getdents64(2)).
      while offset + 19 <= Int(got) {
        let entry = base + offset
        let length = Int(entry.loadUnaligned(fromByteOffset: 16, as: UInt16.self))
        guard length >= 20, offset + length <= Int(got) else { return }
        offset += length
        let name = (entry + 19).assumingMemoryBound(to: CChar.self)
        guard let number = KernelBytes(start: name, count: strnlen(name, length - 19)).number() else { continue }
        body(NumberedEntry(number: number, name: name, inode: entry.loadUnaligned(as: UInt64.self)))
      }
    }
  }
}

/// Paths below `/proc`, put together in one place: a look needs thousands of them. Each is valid until the next.
final class ProcPath {
  private let room = UnsafeMutablePointer<CChar>.allocate(capacity: 128)
  private var count = 0

  deinit { room.deallocate() }

  func of(_ number: UInt64, _ tail: StaticString = "") -> UnsafePointer<CChar> {
    count = 0
    add(number)
    return ended(tail)
  }

  func of(_ process: Int32, _ tail: StaticString) -> UnsafePointer<CChar> { of(UInt64(process.magnitude), tail) }

  /// - Parameter thread: `nil` for what the whole process has.
  func of(_ process: Int32, _ thread: Int32?, _ tail: StaticString) -> UnsafePointer<CChar> {
    guard let thread else { return of(process, tail) }
    count = 0
    add(UInt64(process.magnitude))
    add("/task/")
    add(UInt64(thread.magnitude))
    return ended(tail)
  }

  private func ended(_ tail: StaticString) -> UnsafePointer<CChar> {
    add(tail)
    room[count] = 0
    return UnsafePointer(room)
  }

  /// Two numbers of 20 digits, and the words between them that are used here, are shorter than the room.
  private func add(_ text: StaticString) {
    let length = min(text.utf8CodeUnitCount, 80)
    memcpy(room + count, text.utf8Start, length)
    count += length
  }

  private func add(_ number: UInt64) {
    var (rest, digits) = (number / 10, 1)
    while rest > 0 { (rest, digits) = (rest / 10, digits + 1) }
    rest = number
    for place in (count..<(count + digits)).reversed() {
      room[place] = CChar(0x30 + rest % 10)
      rest /= 10
    }
    count += digits
  }
}
