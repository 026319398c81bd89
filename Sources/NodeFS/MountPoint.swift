// SPDX-License-Identifier: Apache-2.0
import CFuse3
import Glibc
import SystemPackage

/// The directory to mount on: looked at so that no hung or dead mount can hold us.
struct MountPoint {
  /// Absolute, without symbolic links.
  let path: String

  private static let probeTimeout: CInt = 2000

  /// Follows the symbolic links of `given` without entering a mount that may be there.
  init(_ given: String) throws(MountError) {
    guard !given.isEmpty else { throw .unreachable(path: given, .noSuchFileOrDirectory) }
    var path = given
    for _ in 0..<40 {
      let (parent, name) = Self.split(path)
      guard let name else {
        self.path = "/"
        return
      }
      let problem = nodefs_probe(parent, 0, Self.probeTimeout)
      guard problem == 0 else {
        throw .unreachable(path: given, problem < 0 ? .timedOut : Errno(rawValue: problem))
      }
      guard let real = realpath(parent, nil) else { throw .unreachable(path: given, Errno(rawValue: errno)) }
      defer { free(real) }
      let directory = String(cString: real)
      let full = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
      if name == "." || name == ".." {
        path = name == "." ? directory : Self.split(directory).parent
      } else if let target = Self.link(at: full) {
        path = target.hasPrefix("/") ? target : "\(directory)/\(target)"
      } else {
        self.path = full
        return
      }
    }
    throw .unreachable(path: given, .tooManySymbolicLinkLevels)
  }

  /// Makes sure that the directory is free: takes a dead mount of ours away, refuses everything else that is there.
  func clear(name: String) throws(MountError) {
    for _ in 0..<8 {
      let problem = nodefs_probe(path, 1, Self.probeTimeout)
      guard let top = MountTableEntry.top(at: path) else {
        switch problem {
        case 0:
          // Without the table what is there cannot be named, but mounting over it would hide it in silence.
          if !MountTableEntry.isThere, isOtherFilesystem {
            throw .occupied(path: path, by: "a mount that cannot be named: there is no /proc/self/mountinfo")
          }
          if let kernel = kernelsOwn { throw .occupied(path: path, by: kernel) }
          return
        case ENOTDIR: throw .notADirectory(path: path)
        default: throw .unreachable(path: path, problem < 0 ? .timedOut : Errno(rawValue: problem))
        }
      }
      let (isOurs, pid) = top.server(name: name)
      guard isOurs else { throw .occupied(path: path, by: "\(top.type) from \(top.source)") }
      switch problem {
      case ENOTCONN, ECONNABORTED: break
      // Of another user, who did not let us in: whether it lives only its process can tell.
      case EACCES where pid.map({ kill($0, 0) != 0 && errno == ESRCH }) ?? false: break
      case -1: throw .notAnswering(path: path, pid: pid)
      default: throw .alreadyServed(path: path, pid: pid)
      }
      guard Unmount.lazily(path) else {
        throw .refused(path: path, detail: "a dead mount is there that cannot be taken away: \(Errno(rawValue: errno))")
      }
    }
    throw .refused(path: path, detail: "too many dead mounts on top of each other")
  }

  /// Whether something is mounted on the directory. Asks it, so only when it has just answered.
  private var isOtherFilesystem: Bool {
    var own = stat()
    var above = stat()
    guard stat(path, &own) == 0, stat(Self.split(path).parent, &above) == 0 else { return false }
    return own.st_dev != above.st_dev
  }

  /// The name of the filesystem in which the kernel shows itself, where the directory is part of one: a tree over /proc/self
  /// would stand between this program and what it opens there, and hide a process from everybody. Asks the directory.
  private var kernelsOwn: String? {
    switch nodefs_filesystem(path) {
    case UInt64(PROC_SUPER_MAGIC): "a directory of procfs"
    case UInt64(SYSFS_MAGIC): "a directory of sysfs"
    default: nil
    }
  }

  private static func link(at path: String) -> String? {
    withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { room in
      guard let start = room.baseAddress?.assumingMemoryBound(to: CChar.self) else { return nil }
      let count = readlink(path, start, room.count)
      return count > 0 ? String(decoding: room[..<count], as: UTF8.self) : nil
    }
  }

  /// The directory above and the last name; no name for the root.
  private static func split(_ path: String) -> (parent: String, name: String?) {
    let parts = path.split(separator: "/")
    guard let last = parts.last else { return (path.hasPrefix("/") ? "/" : ".", path.hasPrefix("/") ? nil : ".") }
    let above = parts.dropLast().joined(separator: "/")
    return (path.hasPrefix("/") ? "/\(above)" : above.isEmpty ? "." : above, String(last))
  }
}

/// Taking mounts away.
enum Unmount {
  /// Detaches the mount on top at `path` now; the kernel frees it when nobody uses it any more.
  static func lazily(_ path: String) -> Bool {
    if umount2(path, CInt(MNT_DETACH) | doNotFollow) == 0 { return true }
    // Not root: the setuid helper does it for the one who mounted.
    guard errno == EPERM, let status = helper(["fusermount3", "-u", "-q", "-z", "--", path]) else { return false }
    return status == 0
  }

  /// Cuts the connection to whoever serves the mount, then detaches it. Everybody who waits for an answer gets
  /// `ECONNABORTED`.
  static func byForce(_ path: String, minor: UInt32) {
    if umount2(path, CInt(MNT_FORCE) | CInt(MNT_DETACH) | doNotFollow) == 0 { return }
    // Not root: the control file belongs to the one who mounted.
    let control = open("/sys/fs/fuse/connections/\(minor)/abort", O_WRONLY | O_CLOEXEC)
    if control >= 0 {
      _ = write(control, "1", 1)
      close(control)
    }
    _ = lazily(path)
  }

  private static let doNotFollow: CInt = 8

  /// Runs a program to its end. Returns its exit status, nil when it could not be run.
  private static func helper(_ arguments: [String]) -> CInt? {
    var argv: [UnsafeMutablePointer<CChar>?] = []
    for argument in arguments { argv.append(strdup(argument)) }
    argv.append(nil)
    // fusermount3 needs no environment.
    var environment: UnsafeMutablePointer<CChar>?
    defer { for argument in argv { free(argument) } }
    var pid = pid_t()
    guard posix_spawnp(&pid, arguments[0], nil, nil, argv, &environment) == 0 else { return nil }
    var status: CInt = 0
    while waitpid(pid, &status, 0) < 0 {
      if errno != EINTR { return nil }
    }
    return status
  }
}
