// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What reading costs the pipeline: windows with a reader of every vendor node and windows without one take turns, and
/// the frames that the pipeline finished in each are compared. The pipeline must run unthrottled.
enum Disturbance {
  /// The nodes under vendors' names that this tree has; those that do not exist are left out and named.
  static let vendorNodes = [
    "valloc", "vsys", "vrgn", "vlog", "venc_info", "vcodec/enc/venc_info", "rk_dmabuf/size", "rk_dmabuf/peak",
  ]

  static func run(_ options: Options) throws(BenchError) {
    let mount = try options.required("--mount")
    let windows = try options.count("--windows", 20)
    let rate = try options.count("--rate", 100)
    let window = UInt64(try options.count("--window-ms", 1000)) * 1_000_000
    let counter = mount + "/" + (options.text("--counter") ?? "venc/0/stats")
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 16)
    defer { buffer.deallocate() }

    let nodes = vendorNodes.map { mount + "/" + $0 }.filter { access($0, R_OK) == 0 }
    guard !nodes.isEmpty else { throw BenchError("no vendor node under \(mount)") }
    if nodes.count < vendorNodes.count {
      complain("only \(nodes.count) of \(vendorNodes.count) vendor nodes exist")
    }

    var quiet = Samples()
    var read = Samples()
    // The first pair warms up; after that the order alternates, so that a drift of the machine meets both.
    for pair in 0...windows {
      for turn in 0..<2 {
        let reads = (turn == 0) == (pair % 2 == 0)
        let frames = try framesPerSecond(counter, window, reads ? (nodes, rate) : nil, buffer)
        guard pair > 0 else { continue }
        if reads { read.append(frames) } else { quiet.append(frames) }
      }
    }
    report("disturb.quiet", quiet.median, "frames/s")
    report("disturb.read", read.median, "frames/s")
    report("disturb.nodes", Double(nodes.count), "nodes")
    report("disturb.rate", Double(rate), "Hz")
    guard quiet.median > 0 else { throw BenchError("the pipeline finished no frame") }
    report("disturb.cost", (1 - read.median / quiet.median) * 100, "percent")
  }

  /// Frames finished in one window, a second; meanwhile all `nodes` are read `rate` times a second.
  private static func framesPerSecond(
    _ counter: String, _ window: UInt64, _ load: (nodes: [String], rate: Int)?,
    _ buffer: UnsafeMutableRawBufferPointer
  ) throws(BenchError) -> Double {
    let first = try framesOut(counter, buffer)
    let start = now()
    var next = start
    while now() < start + window {
      if let load { for node in load.nodes { _ = try NodeReads.read(node, buffer) } }
      next += 1_000_000_000 / UInt64(load?.rate ?? 100)
      let time = now()
      if next > time { usleep(UInt32((next - time) / 1000)) }
    }
    var last = try framesOut(counter, buffer)
    // A window in which this machine had no time for the pipeline goes on to the next frame.
    while last == first, now() < start + window + patience {
      usleep(10_000)
      last = try framesOut(counter, buffer)
    }
    return Double(last - first) / (Double(now() - start) / 1e9)
  }

  /// The value of the line `frames_out: N` of a `stats` node.
  static func framesOut(_ path: String, _ buffer: UnsafeMutableRawBufferPointer) throws(BenchError) -> Int {
    let size = try NodeReads.read(path, buffer)
    let text = String(decoding: buffer[..<size], as: UTF8.self)
    for line in text.split(separator: "\n") where line.hasPrefix("frames_out:") {
      let value = line.dropFirst("frames_out:".count).drop { $0 == " " }
      if let count = Int(value) { return count }
    }
    throw BenchError("\(path) has no line 'frames_out: N'")
  }
}
