// SPDX-License-Identifier: Apache-2.0
import Glibc
import MediaCore
import SystemPackage

/// A bitmap's file, read whole.
enum BitmapFile {
  /// - Throws: ENOENT, EACCES and what else the kernel says; EISDIR and EINVAL for what is no plain file, EFBIG above the limit.
  static func read(_ path: String, limit: Int) throws(Failure) -> [UInt8] {
    func failure(_ number: CInt, _ why: String = "") -> Failure {
      Failure(Errno(rawValue: number), "open", on: path, why)
    }
    // A pipe without a writer must not hold the opener.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { throw failure(errno) }
    defer { close(file) }
    var about = stat()
    guard fstat(file, &about) == 0 else { throw failure(errno) }
    guard about.st_mode & S_IFMT == S_IFREG else {
      throw failure(about.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL, "not a plain file")
    }
    guard about.st_size <= limit else { throw failure(EFBIG, "more than \(limit) bytes") }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(file, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(errno) }
      guard count > 0 else { return bytes }
      bytes.append(contentsOf: chunk[..<count])
      guard bytes.count <= limit else { throw failure(EFBIG, "more than \(limit) bytes") }
    }
  }
}
