// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How long one reader waits for a node: open, read to the end, close. The files compared take turns in small blocks, so
/// that what else runs on the machine meets all of them.
enum NodeReads {
  struct File {
    var name: String
    var path: String
    var samples = Samples()
  }

  static func run(_ options: Options) throws(BenchError) {
    let mount = try options.required("--mount")
    let rounds = try options.count("--rounds", 40)
    let block = try options.count("--block", 100)
    var files = [
      File(name: "vsys", path: mount + "/vsys"),
      File(name: "venc_info", path: mount + "/venc_info"),
      File(name: "loadavg", path: "/proc/loadavg"),
    ]
    if let lxcfs = options.text("--lxcfs") { files.append(File(name: "lxcfs_uptime", path: lxcfs + "/proc/uptime")) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)
    defer { buffer.deallocate() }

    for index in files.indices {
      files[index].samples.reserve(rounds * block)
      for _ in 0..<block { _ = try read(files[index].path, buffer) }
    }
    for _ in 0..<rounds {
      for index in files.indices {
        for _ in 0..<block {
          let start = now()
          let bytes = try read(files[index].path, buffer)
          files[index].samples.append(Double(now() - start) / 1000)
          guard bytes > 0 else { throw BenchError("\(files[index].path) is empty") }
        }
      }
    }
    summarise(files)
  }

  private static func summarise(_ files: [File]) {
    for file in files {
      report("nodes.\(file.name).median", file.samples.median, "us")
      report("nodes.\(file.name).p99", file.samples.quantile(0.99), "us")
    }
    let procfs = files[2].samples
    for node in files[..<2] {
      report("nodes.\(node.name).median_to_procfs", node.samples.median / procfs.median, "ratio")
      guard files.count > 3 else { continue }
      let lxcfs = files[3].samples
      report("nodes.\(node.name).median_to_lxcfs", node.samples.median / lxcfs.median, "ratio")
      report("nodes.\(node.name).p99_to_lxcfs", node.samples.quantile(0.99) / lxcfs.quantile(0.99), "ratio")
    }
  }

  /// Reads a file once as `cat` does, without the `fstat`. Returns its size in bytes.
  static func read(_ path: String, _ buffer: UnsafeMutableRawBufferPointer) throws(BenchError) -> Int {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { throw BenchError(errno: errno, "open", path) }
    defer { close(file) }
    var total = 0
    while true {
      let count = Glibc.read(file, buffer.baseAddress, buffer.count)
      guard count >= 0 else { throw BenchError(errno: errno, "read", path) }
      if count == 0 { return total }
      total += count
    }
  }
}
