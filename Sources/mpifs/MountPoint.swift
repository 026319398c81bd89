// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Directories and links around the mount point.
enum MountPoint {
  /// Makes the directory and those above it where they are missing. Does not touch a mount that is there already: a
  /// dead one answers ENOTCONN to everything and is dealt with when mounting.
  static func create(_ path: String) throws(StartFailure) {
    var partial = ""
    for part in path.split(separator: "/") {
      partial += "/" + part
      if mkdir(partial, 0o755) == 0 || errno == EEXIST || errno == ENOTCONN { continue }
      // A directory that exists on a read-only or closed filesystem answers something other than EEXIST.
      let reason = errno
      if access(partial, F_OK) == 0 { continue }
      throw StartFailure("\(partial): cannot make the directory: \(String(cString: strerror(reason)))")
    }
  }

  static let vendorPath = "/dev/mpi"

  /// Links the vendor's directory to the tree. A link of an earlier run is replaced, anything else is left alone.
  static func linkVendorPath(to path: String) throws(StartFailure) {
    var status = stat()
    if lstat(vendorPath, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFLNK else {
        throw StartFailure("--vendor-paths: \(vendorPath) exists and is no link: the vendor's driver may be loaded")
      }
      unlink(vendorPath)
    }
    guard symlink(path, vendorPath) == 0 else {
      throw StartFailure("--vendor-paths: \(vendorPath): \(String(cString: strerror(errno)))")
    }
  }

  /// Takes the link away if it still is ours.
  static func unlinkVendorPath(to path: String) {
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(vendorPath, &target, target.count - 1)
    guard count > 0 else { return }
    if String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) == path {
      unlink(vendorPath)
    }
  }
}
