// SPDX-License-Identifier: Apache-2.0
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
}

/// Reads small files of the kernel into one buffer that is kept.
///
/// Nothing that belongs to other processes is opened or looked at through their links: that may hang, and may be our own
/// mount.
final class ProcFiles {
  /// What this program itself ran out of since it was last set to `nil`: what was looked at since then says less than it seems to.
  var shortage: Errno?
  private var room: UnsafeMutableRawBufferPointer
  /// No list of the kernel is as long; where one is, what is read of it is its beginning.
  private static let longest = 64 << 20

  init() { room = .allocate(byteCount: 1 << 16, alignment: 16) }

  deinit { room.deallocate() }

  /// The whole text of a file below a directory; valid until the next one is read.
  /// - Parameter isShort: the kernel gives it with one call.
  func read(_ path: String, in directory: CInt = AT_FDCWD, isShort: Bool = false) throws(Errno) -> KernelBytes {
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
    if [EMFILE, ENFILE, ENOMEM].contains(number) { shortage = Errno(rawValue: number) }
    return Errno(rawValue: number)
  }

  /// A directory below another, to be closed by the caller.
  func directory(_ path: String, in parent: CInt = AT_FDCWD) throws(Errno) -> CInt {
    let fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard fd >= 0 else { throw refused(errno) }
    return fd
  }

  /// Calls `body` with each name in a directory that is a number. Closes the directory, afterwards.
  func eachNumber(in directory: CInt, _ body: (UInt64, UnsafePointer<CChar>) -> Void) {
    guard let stream = fdopendir(directory) else {
      _ = refused(errno)
      close(directory)
      return
    }
    defer { closedir(stream) }
    guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return }
    while let entry = readdir(stream) {
      let name = (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self)
      guard let number = KernelBytes(start: name, count: strlen(name)).number() else { continue }
      body(number, name)
    }
  }
}
