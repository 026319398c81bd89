// SPDX-License-Identifier: Apache-2.0
import CFuse3
import Glibc
import SystemPackage

/// The one place where what the core says becomes a reply to the kernel, and is counted. Consumed by replying: libfuse
/// frees the request with it.
struct Answer: @unchecked Sendable {
  // `@unchecked`: libfuse lets any thread reply; that it is done once is what `Parked` is for.
  let request: fuse_req_t
  let server: Server

  func fail(_ error: NodeError) {
    server.tree.counters.failed(error.errno)
    fuse_reply_err(request, error.errno.rawValue)
  }

  func done() {
    fuse_reply_err(request, 0)
  }

  func done(_ result: Result<Void, NodeError>) {
    switch result {
    case .success: done()
    case .failure(let error): fail(error)
    }
  }

  func entry(_ node: Node) {
    var entry = fuse_entry_param()
    entry.ino = server.tree.inode(of: node)
    // For nobody: whoever looks a name up has not asked for its length yet.
    entry.attr = server.attributes(of: node, for: nil)
    entry.attr_timeout = server.tree.attributeMemory(of: node, size: Int(entry.attr.st_size))
    entry.entry_timeout = NodeTree.longMemory
    fuse_reply_entry(request, &entry)
  }

  func entry(_ result: Result<Node, NodeError>) {
    switch result {
    case .success(let node): entry(node)
    case .failure(let error): fail(error)
    }
  }

  func attributes(of node: Node) {
    var attributes = server.attributes(of: node, for: Callbacks.caller(request))
    fuse_reply_attr(
      request, &attributes, server.tree.attributeMemory(of: node, size: Int(attributes.st_size)))
  }

  /// The handle belongs to the kernel from now on, until RELEASE.
  func opened(_ handle: Handle) {
    // Composed here and not with `fuse_reply_open`, which cannot say FOPEN_STREAM: without that flag a second reader
    // of a shared descriptor would wait for the first one's file position, where no signal reaches it.
    var reply = fuse_open_out()
    if server.tree.opened(handle) { server.forgetAttributes(of: handle.node) }
    let owned = Unmanaged.passRetained(handle)
    reply.fh = UInt64(UInt(bitPattern: owned.toOpaque()))
    reply.open_flags = UInt32(FOPEN_DIRECT_IO)
    if handle is any PumpedHandle { reply.open_flags |= UInt32(FOPEN_STREAM | FOPEN_NONSEEKABLE) }
    if handle is DirectoryHandle { reply.open_flags = 0 }
    let status = withUnsafeBytes(of: &reply) {
      fuse_reply_buf(request, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
    // The caller was killed meanwhile: there will be no RELEASE.
    if status != 0 { server.tree.closed(owned.takeRetainedValue()) }
  }

  func bytes(_ slice: Slice) {
    slice.withUnsafeBytes {
      _ = fuse_reply_buf(request, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
    server.tree.counters.bytesRead.wrappingAdd(UInt64(slice.count), ordering: .relaxed)
  }

  func bytes(_ result: Result<Slice, NodeError>) {
    switch result {
    case .success(let slice): bytes(slice)
    case .failure(let error): fail(error)
    }
  }

  func written(_ count: Int) {
    fuse_reply_write(request, count)
  }

  /// Makes the parked request answer to INTERRUPT by its id. Nothing is ever looked up through a pointer that an
  /// answer may have freed.
  func arm(_ id: UInt64) {
    fuse_req_interrupt_func(
      request,
      { request, id in
        guard let request, let server = Server.of(request) else { return }
        server.tree.interrupt(UInt64(UInt(bitPattern: id)))
      }, UnsafeMutableRawPointer(bitPattern: UInt(id)))
  }
}
