// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How many FUSE requests an operation costs, counted by the kernel's own tracepoint `fuse:fuse_request_send`. RELEASE is
/// counted apart: nobody waits for it.
enum RequestCounts {
  static let tracing = "/sys/kernel/tracing"
  static let repetitions = 20

  static func run(_ options: Options) throws(BenchError) {
    let mount = try options.required("--mount")
    let trace = try Trace(connection: try connection(of: mount))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)
    defer { buffer.deallocate() }

    for node in ["vsys", "venc_info", "venc/0/bitrate"] {
      let path = mount + "/" + node
      try count("cat", node, trace) { () throws(BenchError) in try cat(path, buffer) }
    }
    let vsys = mount + "/vsys"
    let kept = open(vsys, O_RDONLY)
    guard kept >= 0 else { throw BenchError(errno: errno, "open", vsys) }
    defer { close(kept) }
    try count("pread", "vsys", trace) { () throws(BenchError) in
      guard pread(kept, buffer.baseAddress, buffer.count, 0) > 0 else { throw BenchError(errno: errno, "read", vsys) }
    }
    // What was there is written back, so that measuring changes nothing.
    let setting = mount + "/venc/0/bitrate"
    let size = try NodeReads.read(setting, buffer)
    try count("echo", "venc/0/bitrate", trace) { () throws(BenchError) in
      let file = open(setting, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
      guard file >= 0 else { throw BenchError(errno: errno, "open", setting) }
      defer { close(file) }
      guard write(file, buffer.baseAddress, size) == size else { throw BenchError(errno: errno, "write", setting) }
    }
  }

  /// Requests of one operation on the average of several; the first, which warms the kernel's caches, is not counted.
  private static func count(
    _ operation: String, _ node: String, _ trace: borrowing Trace, _ body: () throws(BenchError) -> Void
  ) throws(BenchError) {
    try body()
    try trace.clear()
    for _ in 0..<repetitions { try body() }
    let kinds = try trace.requests()
    let total = kinds.filter { $0.key != "RELEASE" }.values.reduce(0, +)
    let name = node.split(separator: "/").joined(separator: "_")
    report("requests.\(operation).\(name)", Double(total) / Double(repetitions), "requests")
    let parts = kinds.sorted { $0.key < $1.key }.map { "\($0.key) \(decimal(Double($0.value) / Double(repetitions)))" }
    print("# \(operation) \(node): \(parts.joined(separator: ", "))")
  }

  /// What `cat` does: open, fstat, read until nothing comes, close.
  private static func cat(_ path: String, _ buffer: UnsafeMutableRawBufferPointer) throws(BenchError) {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { throw BenchError(errno: errno, "open", path) }
    defer { close(file) }
    var status = stat()
    fstat(file, &status)
    while true {
      let count = Glibc.read(file, buffer.baseAddress, buffer.count)
      guard count >= 0 else { throw BenchError(errno: errno, "read", path) }
      if count == 0 { return }
    }
  }

  /// The kernel's number of the FUSE connection behind a mount point.
  private static func connection(of mount: String) throws(BenchError) -> UInt32 {
    var status = stat()
    guard stat(mount, &status) == 0 else { throw BenchError(errno: errno, "stat", mount) }
    // The minor number of glibc's dev_t: bits 0...7 and 20...31.
    return UInt32(status.st_dev & 0xff | (status.st_dev >> 12) & 0xfff00)
  }

  /// A trace buffer of its own, removed at the end.
  struct Trace: ~Copyable {
    private let directory = RequestCounts.tracing + "/instances/mpifs-bench-\(getpid())"
    private let marker: String

    init(connection: UInt32) throws(BenchError) {
      marker = "connection \(connection) "
      if access(RequestCounts.tracing + "/events/fuse/fuse_request_send", F_OK) != 0 {
        throw BenchError("this kernel has no tracepoint fuse:fuse_request_send, or tracefs is not mounted")
      }
      guard mkdir(directory, 0o700) == 0 else { throw BenchError(errno: errno, "mkdir", directory) }
      try Self.write("1", directory + "/events/fuse/fuse_request_send/enable")
    }

    deinit {
      try? Self.write("0", directory + "/events/fuse/fuse_request_send/enable")
      rmdir(directory)
    }

    func clear() throws(BenchError) { try Self.write("", directory + "/trace") }

    /// Requests since `clear`, by kind: `OPEN`, `READ`, ...
    func requests() throws(BenchError) -> [String: Int] {
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 22, alignment: 16)
      defer { buffer.deallocate() }
      // `trace` is read in pieces; its lines are whole in each.
      let path = directory + "/trace"
      let file = open(path, O_RDONLY)
      guard file >= 0 else { throw BenchError(errno: errno, "open", path) }
      defer { close(file) }
      var size = 0
      while size < buffer.count {
        let count = Glibc.read(file, buffer.baseAddress! + size, buffer.count - size)
        guard count >= 0 else { throw BenchError(errno: errno, "read", path) }
        if count == 0 { break }
        size += count
      }
      var kinds: [String: Int] = [:]
      for line in String(decoding: buffer[..<size], as: UTF8.self).split(separator: "\n") where line.contains(marker) {
        guard let open = line.lastIndex(of: "("), let shut = line[open...].firstIndex(of: ")") else { continue }
        let kind = line[line.index(after: open)..<shut]
        kinds[String(kind.hasPrefix("FUSE_") ? kind.dropFirst(5) : kind), default: 0] += 1
      }
      return kinds
    }

    private static func write(_ text: String, _ path: String) throws(BenchError) {
      let file = open(path, O_WRONLY | O_TRUNC)
      guard file >= 0 else { throw BenchError(errno: errno, "open", path) }
      defer { close(file) }
      guard text.isEmpty || Glibc.write(file, text, text.utf8.count) == text.utf8.count else {
        throw BenchError(errno: errno, "write", path)
      }
    }
  }
}
