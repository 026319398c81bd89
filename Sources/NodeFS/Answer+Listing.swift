// SPDX-License-Identifier: Apache-2.0
import CFuse3
import Glibc

extension Answer {
  /// Replies with as many directory entries as fit into `room` bytes.
  func listing(_ handle: DirectoryHandle, from offset: Int64, room: Int) throws(NodeError) {
    let entries = try handle.entries(from: offset)
    withUnsafeTemporaryAllocation(byteCount: max(room, 1), alignment: 8) { buffer in
      guard let start = buffer.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
      var used = 0
      for (index, entry) in zip(entries.indices, entries) {
        var info = stat()
        info.st_ino = ino_t(server.tree.inode(of: entry.node))
        info.st_mode = server.mode(of: entry.node)
        // What READDIR continues from: the number of entries before it.
        let size = fuse_add_direntry(request, start + used, room - used, entry.name, &info, off_t(index + 1))
        if used + size > room { break }
        used += size
      }
      fuse_reply_buf(request, start, used)
    }
  }
}
