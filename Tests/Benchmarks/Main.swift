// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Measures one thing for each subcommand and prints its figures; `Tests/bench` runs them all and compares.
@main
enum Main {
  /// The subcommands: name, what it measures, and the code.
  static let commands: [(name: String, summary: String, run: @Sendable (Options) throws(BenchError) -> Void)] = [
    (
      "nodes", "open, read to the end and close: --mount DIR [--lxcfs DIR] [--rounds N] [--block N]",
      NodeReads.run
    ),
    (
      "disturb", "frame rate with and without readers: --mount DIR [--counter NODE] [--windows N] [--rate HZ]",
      Disturbance.run
    ),
    ("hops", "a frame's way through nodes, threads and queues: [--frames N] [--rounds N] [--workers N]", Hops.run),
    (
      "memory-pools", "taking a buffer and giving it back; showing a thousand of them: [--rounds N] [--turns N]",
      MemoryPools.run
    ),
    (
      "scan",
      "a look at the system's DMA-BUFs: [--processes N] [--descriptors N] [--buffers N] [--looks N] [--tree DIR]",
      SystemScan.run
    ),
    ("streams", "reading a picture in each form of the stream: --input FILE.h264 [--frames N]", StreamForms.run),
    ("paint", "drawing regions into pictures: [--frames N]", Painting.run),
    ("requests", "FUSE requests for each operation: --mount DIR", RequestCounts.run),
    (
      "first-frame",
      "start to first encoded frame: --mount DIR --program FILE [--input SPEC] [--name WORD] [--rounds N]",
      FirstFrame.run
    ),
    (
      "rates",
      "how an engine keeps its bitrate: --clip RAW --size WxH --name WORD --engine NAME --kbps N[:N...] --out FILE "
        + "[--frames N] [--gop N] [--mode WORD]",
      Rates.run
    ),
    (
      "scale", "scaling and converting beside libyuv and libswscale: --picture RAW (I420, 1920x1080) [--rounds N]",
      Scales.run
    ),
    ("windows", "the same of sizes on stdin: --name WORD --kbps N", Rates.windows),
    ("compare", "figures on stdin against limits: --limits FILE", Limits.run),
  ]

  static func main() {
    let arguments = CommandLine.arguments.dropFirst()
    guard let command = commands.first(where: { $0.name == arguments.first }) else {
      print("usage: mpifs-bench COMMAND [OPTIONS]")
      for command in commands { print("  \(command.name)  \(command.summary)") }
      exit(arguments.first == "--help" ? 0 : 2)
    }
    do {
      try command.run(Options(arguments.dropFirst()))
    } catch {
      complain("mpifs-bench \(command.name): \(error)")
      exit(1)
    }
  }
}
