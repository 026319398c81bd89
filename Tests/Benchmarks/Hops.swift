// SPDX-License-Identifier: Apache-2.0
import Devices
import Glibc
import MediaCore
import MediaRuntime

/// What moving a frame costs: a hop on one thread, a hop across threads, a fan-out to four queues. Every counter of the
/// nodes is on, as in operation. With `gst-launch-1.0` installed, GStreamer's `identity`, `queue` and `tee` are measured
/// in the same run.
enum Hops {
  static func run(_ options: Options) throws(BenchError) {
    let frames = try options.count("--frames", 1_000_000)
    let rounds = try options.count("--rounds", 5)
    let probe: HopProbe
    do throws(Failure) {
      probe = try HopProbe(allocator: MemfdAllocator(), workers: try workers(options))
    } catch {
      throw BenchError("\(error)")
    }
    func best(_ body: () throws(Failure) -> Double) throws(BenchError) -> Double {
      var samples: [Double] = []
      for _ in 0..<rounds {
        do throws(Failure) { samples.append(try body()) } catch { throw BenchError("\(error)") }
      }
      // The median of the rounds.
      return samples.sorted()[samples.count / 2]
    }
    let one = try best { () throws(Failure) in try probe.sameThread(hops: 1, frames: frames) }
    let eleven = try best { () throws(Failure) in try probe.sameThread(hops: 11, frames: frames / 4) }
    report("hop.same_thread", (eleven - one) / 10, "ns")
    report("hop.source_and_one", one, "ns")
    report(
      "hop.across_threads",
      try best { () throws(Failure) in try probe.acrossThreads(receivers: 1, depth: 200, frames: frames / 2) }, "ns")
    report(
      "hop.across_threads_depth4",
      try best { () throws(Failure) in try probe.acrossThreads(receivers: 1, depth: 4, frames: frames / 8) }, "ns")
    report(
      "hop.fan_out_4",
      try best { () throws(Failure) in try probe.acrossThreads(receivers: 4, depth: 200, frames: frames / 4) }, "ns")
    try gstreamer(frames: frames / 4, rounds: min(rounds, 3))
  }

  private static func workers(_ options: Options) throws(Failure) -> Int {
    guard let text = options.text("--workers") else { return 4 }
    guard let count = Int(text), count > 0 else { throw Failure(.invalidArgument, "--workers", on: text) }
    return count
  }

  private static func gstreamer(frames: Int, rounds: Int) throws(BenchError) {
    let source = "fakesrc num-buffers=\(frames) silent=true"
    let identity = "identity silent=true"
    let branch = "t. ! queue ! fakesink silent=true sync=false"
    let sink = "fakesink silent=true sync=false"
    let lines: [(name: String, pipeline: String)] = [
      ("one", "\(source) ! \(identity) ! \(sink)"),
      ("eleven", "\(source) ! \(Array(repeating: identity, count: 11).joined(separator: " ! ")) ! \(sink)"),
      ("queue", "\(source) ! queue ! \(sink)"),
      ("tee", "\(source) ! tee name=t " + Array(repeating: branch, count: 4).joined(separator: " ")),
    ]
    guard system("command -v gst-launch-1.0 >/dev/null 2>&1") == 0 else {
      complain("gst-launch-1.0 is not installed: GStreamer is not measured")
      return
    }
    // What starting a pipeline costs is taken off.
    let idle = try seconds("fakesrc num-buffers=1 silent=true ! \(sink)", rounds)
    var times: [String: Double] = [:]
    for line in lines {
      times[line.name] = max(0, try seconds(line.pipeline, rounds) - idle) * 1e9 / Double(frames)
    }
    report("gstreamer.same_thread", ((times["eleven"] ?? 0) - (times["one"] ?? 0)) / 10, "ns")
    report("gstreamer.across_threads", times["queue"] ?? 0, "ns")
    report("gstreamer.fan_out_4", times["tee"] ?? 0, "ns")
  }

  private static func seconds(_ pipeline: String, _ rounds: Int) throws(BenchError) -> Double {
    var samples: [Double] = []
    for _ in 0..<rounds {
      let start = now()
      guard system("gst-launch-1.0 -q \(pipeline) >/dev/null 2>&1") == 0 else {
        throw BenchError("gst-launch-1.0 failed on: \(pipeline)")
      }
      samples.append(Double(now() - start) / 1e9)
    }
    return samples.sorted()[samples.count / 2]
  }
}
