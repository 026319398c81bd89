// SPDX-License-Identifier: Apache-2.0
import CFuse3
import Glibc
import SystemPackage

/// What libfuse calls, each a thin step from C to the core.
///
/// What is left out is answered with ENOSYS by libfuse, which the kernel takes as "never ask again": `flush`, `fsync`,
/// the extended attributes, locks, `lseek`, `poll`, `ioctl`. `access` is not asked with `default_permissions`.
enum Callbacks {
  /// The table. Made in a nonisolated function: closures in a program's top-level code would be bound to its main actor.
  static func table() -> fuse_lowlevel_ops {
    var table = fuse_lowlevel_ops()
    table.`init` = { _, connection in
      if let connection { nodefs_negotiate(connection, UInt32(Node.Command.highestLimit)) }
    }
    // Nodes live in the tree, not by the kernel's references: a removed one that the kernel still knows is ESTALE.
    table.forget = { request, _, _ in fuse_reply_none(request) }
    table.forget_multi = { request, _, _ in fuse_reply_none(request) }
    addNames(to: &table)
    addFiles(to: &table)
    addDirectories(to: &table)
    addRefusals(to: &table)
    return table
  }

  /// Runs `body`; an error it throws becomes the reply.
  @inline(__always)
  static func answer(_ request: fuse_req_t?, _ body: (Answer, NodeTree) throws(NodeError) -> Void) {
    guard let request, let server = Server.of(request) else { return }
    let answer = Answer(request: request, server: server)
    do {
      try body(answer, server.tree)
    } catch {
      answer.fail(error)
    }
  }

  static func caller(_ request: fuse_req_t) -> Caller {
    guard let context = fuse_req_ctx(request)?.pointee else { return Caller(pid: 0, uid: 0, gid: 0) }
    return Caller(pid: context.pid, uid: context.uid, gid: context.gid)
  }

  /// The handle the kernel gives back as a number. Owned by the kernel until RELEASE.
  static func handle(_ info: UnsafeMutablePointer<fuse_file_info>?) throws(NodeError) -> Handle {
    guard let number = info?.pointee.fh, let pointer = UnsafeRawPointer(bitPattern: UInt(number)) else {
      throw NodeError(.badFileDescriptor)
    }
    return Unmanaged<Handle>.fromOpaque(pointer).takeUnretainedValue()
  }

  static func release(_ info: UnsafeMutablePointer<fuse_file_info>?, of tree: NodeTree) {
    guard let number = info?.pointee.fh, let pointer = UnsafeRawPointer(bitPattern: UInt(number)) else { return }
    tree.closed(Unmanaged<Handle>.fromOpaque(pointer).takeRetainedValue())
  }

  /// A name of an entry. The kernel itself only refuses those longer than FUSE_NAME_MAX, 1024 bytes.
  static func name(_ name: UnsafePointer<CChar>?) throws(NodeError) -> String {
    guard let name else { return "" }
    if strlen(name) > Structure.longestName { throw NodeError(.fileNameTooLong) }
    return String(cString: name)
  }

  // MARK: names and attributes

  private static func addNames(to table: inout fuse_lowlevel_ops) {
    table.lookup = { request, parent, name in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        answer.entry(try tree.lookup(try Callbacks.name(name), in: parent))
      }
    }
    table.getattr = { request, inode, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        // `fstat` of an open descriptor cannot be told from `stat` of a path the kernel still knows: there is no handle.
        guard let node = try? tree.node(inode) else { throw NodeError(.gone, "the node was removed") }
        answer.attributes(of: node)
      }
    }
    table.setattr = { request, inode, _, change, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        let node = try tree.node(inode)
        try tree.checkAttributes(
          node, change: AttributeChange(rawValue: UInt32(bitPattern: change)), caller: Callbacks.caller(answer.request))
        answer.attributes(of: node)
      }
    }
    table.readlink = { request, inode in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        guard case .symlink(let target) = try tree.node(inode).kind else { throw NodeError(.invalidArgument) }
        fuse_reply_readlink(answer.request, target)
      }
    }
    table.statfs = { request, _ in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        var info = statvfs()
        info.f_bsize = 4096
        info.f_frsize = 4096
        // No inodes in use of none, as in procfs: any number in use without free ones would look like a full disk.
        info.f_namemax = UInt(Structure.longestName)
        fuse_reply_statfs(answer.request, &info)
      }
    }
  }

  // MARK: files

  private static func addFiles(to table: inout fuse_lowlevel_ops) {
    table.open = { request, inode, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        let node = try tree.node(inode)
        let caller = Callbacks.caller(answer.request)
        switch try tree.open(node, flags: info?.pointee.flags ?? 0, caller: caller) {
        case .handle(let handle):
          // With the answer the kernel sets the length it knows to 0; see `NodeTree.size` for why that must not stay. It is made
          // to ask before the answer, so that whoever opens the node next finds it asking; and afterwards, for who has asked in between.
          var isEmptied = false
          if (info?.pointee.flags ?? 0) & O_TRUNC != 0, case .setting = node.kind { isEmptied = true }
          if isEmptied { answer.server.forgetAttributes(of: node) }
          answer.opened(handle)
          if isEmptied { tree.attributesChanged(of: node) }
        case .picture(let desk):
          let parked = tree.parked(node, .open, caller, deadline: desk.deadline) {
            (picture: Result<Snapshot, NodeError>) in
            switch picture {
            case .success(let snapshot): answer.opened(PictureHandle(node, snapshot, opener: caller))
            case .failure(let error): answer.fail(error)
            }
          }
          desk.join(parked, caller: caller, arm: answer.arm)
        case .preparing(let preparation):
          tree.prepare(preparation, of: node, .open, caller, arm: answer.arm) { result in
            do throws(NodeError) {
              try result.get()
              answer.opened(try answer.server.tree.openPrepared(node, caller: caller))
            } catch {
              answer.fail(error)
            }
          }
        }
      }
    }
    table.read = { request, _, size, offset, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        let handle = try Callbacks.handle(info)
        // A read into the page cache has no owner, all others do.
        if info?.pointee.lock_owner == 0 {
          answer.bytes(try tree.pages(of: handle, offset: Int64(offset), size: size))
          return
        }
        let isNonblocking = (info?.pointee.flags ?? 0) & O_NONBLOCK != 0
        if offset == 0, let text = handle as? TextHandle, let preparation = text.missing {
          let caller = Callbacks.caller(answer.request)
          tree.prepare(preparation, of: text.node, .read, caller, arm: answer.arm) { result in
            do throws(NodeError) {
              try result.get()
              let reading = try answer.server.tree.read(
                text, offset: 0, size: size, isNonblocking: isNonblocking, caller: caller)
              guard case .slice(let slice) = reading else { throw NodeError(.badFileDescriptor) }
              answer.bytes(slice)
            } catch {
              answer.fail(error)
            }
          }
          return
        }
        switch try tree.read(
          handle, offset: Int64(offset), size: size, isNonblocking: isNonblocking,
          caller: Callbacks.caller(answer.request))
        {
        case .slice(let slice): answer.bytes(slice)
        case .wait:
          guard let stream = handle as? StreamHandle else { throw NodeError(.badFileDescriptor) }
          let parked = tree.parked(stream.node, .read, Callbacks.caller(answer.request)) { answer.bytes($0) }
          stream.park(parked, size: size, arm: answer.arm)
        }
      }
    }
    table.write = { request, _, data, size, offset, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        let handle = try Callbacks.handle(info)
        let caller = Callbacks.caller(answer.request)
        let bytes = UnsafeRawBufferPointer(start: data, count: size)
        switch try tree.write(bytes, at: Int64(offset), to: handle, caller: caller) {
        case .taken: answer.written(size)
        case .sink(let sink):
          let tell: @Sendable (Result<Int, NodeError>) -> Void = { done in
            answer.server.tree.noteSinkWrite(done, of: sink.node, caller: caller)
            switch done {
            case .success(let count): answer.written(count)
            case .failure(let error): answer.fail(error)
            }
          }
          if (info?.pointee.flags ?? 0) & O_NONBLOCK != 0 {
            tell(sink.writeNow(bytes))
          } else {
            let waiting = SinkHandle.Waiting(bytes)
            let parked = tree.parked(sink.node, .write, caller) { tell(waiting.settle($0)) }
            sink.park(waiting, parked, arm: answer.arm)
          }
        case .command(let command):
          let parked = tree.parked(handle.node, .write, caller, deadline: command.deadline) {
            (outcome: Result<Void, NodeError>) in
            switch outcome {
            case .success: answer.written(size)
            case .failure(let error): answer.fail(error)
            }
          }
          tree.run(
            command, through: handle, [UInt8](bytes), at: Int64(offset), caller: caller, parked: parked,
            arm: answer.arm)
        }
      }
    }
    table.release = { request, _, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        Callbacks.release(info, of: tree)
        answer.done()
      }
    }
  }

  // MARK: directories

  private static func addDirectories(to table: inout fuse_lowlevel_ops) {
    table.opendir = { request, inode, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        answer.opened(DirectoryHandle(try tree.directory(inode)))
      }
    }
    table.readdir = { request, inode, size, offset, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        guard let handle = try Callbacks.handle(info) as? DirectoryHandle else { throw NodeError(.notDirectory) }
        try answer.listing(handle, from: Int64(offset), room: size)
      }
    }
    table.releasedir = { request, _, info in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        Callbacks.release(info, of: tree)
        answer.done()
      }
    }
    table.mkdir = { request, parent, name, _ in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        let directory = try tree.directory(parent)
        let caller = Callbacks.caller(answer.request)
        let name = try Callbacks.name(name)
        let hook = try tree.makeHook(of: directory, name, caller: caller)
        let parked = tree.parked(directory, .makeDirectory, caller, deadline: directory.deadline) { answer.entry($0) }
        tree.make(name, in: directory, with: hook, caller: caller, parked: parked, arm: answer.arm)
      }
    }
    table.rmdir = { request, parent, name in
      Callbacks.answer(request) { (answer, tree) throws(NodeError) in
        let directory = try tree.directory(parent)
        let caller = Callbacks.caller(answer.request)
        let name = try Callbacks.name(name)
        let (hook, node) = try tree.removeHook(of: directory, name, caller: caller)
        let parked = tree.parked(directory, .removeDirectory, caller, deadline: directory.deadline) { answer.done($0) }
        tree.remove(name, node, from: directory, with: hook, caller: caller, parked: parked, arm: answer.arm)
      }
    }
  }

  // MARK: what nobody can do here

  private static func addRefusals(to table: inout fuse_lowlevel_ops) {
    table.mknod = { request, parent, name, _, _ in Callbacks.refuse(request, .makeNode, parent, name) }
    table.create = { request, parent, name, _, _ in Callbacks.refuse(request, .create, parent, name) }
    table.unlink = { request, parent, name in Callbacks.refuse(request, .unlink, parent, name) }
    table.symlink = { request, _, parent, name in Callbacks.refuse(request, .symlink, parent, name) }
    table.rename = { request, parent, name, _, _, _ in Callbacks.refuse(request, .rename, parent, name) }
    table.link = { request, _, parent, name in Callbacks.refuse(request, .link, parent, name) }
  }

  fileprivate static func refuse(
    _ request: fuse_req_t?, _ operation: Refusal.Operation, _ parent: fuse_ino_t, _ name: UnsafePointer<CChar>?
  ) {
    Callbacks.answer(request) { (answer, tree) throws(NodeError) in
      throw tree.refuse(
        operation, try Callbacks.name(name), in: try tree.directory(parent), caller: Callbacks.caller(answer.request))
    }
  }
}
