// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// `mpp_service/` of the real program: what a board's scripts read and write there.
@Suite(.ownThread) struct MPPServiceTests {
  /// One session of `sessions-summary`.
  private struct Session {
    var buffers: [(first: UInt64, kibibytes: Int)] = []
    var pid = 0
    var index = 0
    var device = ""
    var mebibytes = -1
    /// Titles and values of an encoder's table.
    var table: [String: String] = [:]
  }

  /// Reads the page line by line, as the vendor's code prints it; whatever else stands there is a complaint.
  private func sessions(_ text: String) -> (all: [Session], totals: [String: Int]) {
    var all: [Session] = []
    var totals: [String: Int] = [:]
    var titles: [String] = []
    func cells(_ line: Substring) -> [String] {
      line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    for line in text.split(separator: "\n") {
      if line == "session iova range dump:" {
        all.append(Session())
      } else if let buffer = line.wholeMatch(
        of: /(?: {3}\d| {2}\d\d| \d{3}): 0x([0-9a-f]{16})\.\.0x([0-9a-f]{16}) \(([ \d]{10}) KiB\)/)
      {
        let (first, last) = (UInt64(buffer.1, radix: 16) ?? 0, UInt64(buffer.2, radix: 16) ?? 0)
        let size = Int(buffer.3.trimmingCharacters(in: .whitespaces)) ?? -1
        #expect(Int(last - first + 1) / 1024 == size, "\(line)")
        all[all.count - 1].buffers.append((first, size))
      } else if let session = line.wholeMatch(of: /session: pid=(\d+) index=(\d+)/) {
        all[all.count - 1].pid = Int(session.1) ?? 0
        all[all.count - 1].index = Int(session.2) ?? 0
      } else if let device = line.wholeMatch(of: #/ device: (\S+)/#) {
        all[all.count - 1].device = String(device.1)
      } else if let memory = line.wholeMatch(of: #/ memory: (\d+) MiB/#) {
        all[all.count - 1].mebibytes = Int(memory.1) ?? -1
      } else if line == String(repeating: "-", count: 108)[...] {
        titles = []
      } else if line.hasPrefix("|"), titles.isEmpty {
        titles = cells(line)
      } else if line.hasPrefix("|") {
        let values = cells(line)
        #expect(values.count == titles.count, "\(line)")
        all[all.count - 1].table = Dictionary(zip(titles, values), uniquingKeysWith: { first, _ in first })
      } else if let total = line.wholeMatch(of: /(\S+) Total: (\d+) KiB/) {
        totals[String(total.1)] = Int(total.2)
      } else {
        Issue.record("not a line of the vendor's: \(line)")
      }
    }
    return (all, totals)
  }

  @Test func theDefaultPipelinesSessionsReadLikeABoards() throws {
    let served = try Shared.pipeline
    #expect(try served.advances("venc/2", "frames_out", by: 2))
    let (all, totals) = sessions(try served.cat("mpp_service/sessions-summary"))
    let nodes = SystemPage(try served.cat("vsys"))
    // An input, a scaler group and three encoders, each by the number of its node.
    let expected = [("vi", 0), ("vpss", 0), ("venc", 0), ("venc", 1), ("venc", 2)].compactMap {
      nodes.row($0.0, $0.1)?.id
    }
    #expect(all.map(\.index) == expected)
    #expect(all.allSatisfy { $0.pid == Int(served.pid) && $0.device == "cpu" })
    for session in all {
      let sum = session.buffers.reduce(0) { $0 + $1.kibibytes }
      #expect((session.mebibytes...session.mebibytes + 1).contains(sum / 1024))
    }
    // Places stand for the buffers of `valloc`.
    let handles = Set(AllocationPage(try served.cat("valloc")).buffers.map(\.handle))
    for buffer in all[1].buffers { #expect(handles.contains("0x" + String(buffer.first, radix: 16))) }
    #expect(!all[1].buffers.isEmpty && totals.keys.sorted() == ["cpu"])
    #expect(try #require(totals["cpu"]) > 0)
    let encoder = all[2].table
    let shown = ["width", "height", "format", "fps_in", "fps_out", "rc_mode", "bitrate", "gop_size"].map { encoder[$0] }
    #expect(shown == ["1280", "720", "h264", "30", "30", "cbr", "2000000", "60"])
    #expect(encoder["device"] == "cpu" && encoder["session"] == "\(all[2].index)" && encoder["profile"] != nil)
    // 0 while a machine with much to do has coded nothing for a while.
    #expect(
      try eventually {
        let now = sessions(try served.cat("mpp_service/sessions-summary")).0
        return now.count > 2 && Double(now[2].table["fps_calc"] ?? "") ?? 0 > 0
      })
    #expect(all[4].table["format"] == "mjpeg" && all[4].table["gop_size"] == nil)
    #expect(all[0].table.isEmpty && all[1].table.isEmpty)
    // And its tables are those of its service.
    let info = try served.cat("mpp_service/cpu/sessions-info").split(separator: "\n")
    #expect(info.count == 9 && info.filter { $0.hasPrefix("---") }.count == 3)
  }

  @Test func theNewerVariantHasNoTotals() throws {
    let served = try Served(["--dialect", "rockit-1.4.81"], configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    let (all, totals) = sessions(try served.cat("mpp_service/sessions-summary"))
    #expect(all.count == 3 && totals.isEmpty)
  }

  @Test func whatIsStoppedOrRemovedIsGoneAtOnce() throws {
    let served = try Served(configuration: Pipelines.small("venc/1/source = vpss/0/1\nvenc/1/enable = 1"))
    #expect(try served.advances("venc/1", "frames_out", by: 5))
    func indices() throws -> [Int] { sessions(try served.cat("mpp_service/sessions-summary")).all.map(\.index) }
    let before = try indices()
    try served.echo("0", to: "venc/1/enable")
    let after = try indices()
    #expect(after == Array(before.dropLast()))
    #expect(try run("rmdir", served.path("venc/1")).status == 0)
    #expect(try indices() == after)
    #expect(try served.cat("mpp_service/cpu/sessions-info").split(separator: "\n").count == 3)
  }

  // MARK: load

  /// The figures of a row of `load`.
  private func load(_ served: Served, of service: String) throws -> (load: Double, utilization: Double)? {
    for line in try served.cat("mpp_service/load").split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard words.count == 5, words[0] == service else { continue }
      #expect(line.wholeMatch(of: /\S+ +load: +\d+\.\d\d% utilization: +\d+\.\d\d%/) != nil, "\(line)")
      guard let load = Double(words[2].dropLast()), let utilization = Double(words[4].dropLast()) else { return nil }
      return (load, utilization)
    }
    return nil
  }

  @Test func loadIsMeasuredOnceAWindowIsSetAndFallsWhenNothingIsDone() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.cat("mpp_service/load").hasPrefix("please set load_interval first!!!\n"))
    #expect(try served.value("mpp_service/load_interval") == "0")
    try served.echo("100", to: "mpp_service/load_interval")
    #expect(try served.value("mpp_service/load_interval") == "100")
    #expect(
      try eventually { (try load(served, of: "cpu")).map { $0.load > 0 && $0.utilization > 0 } ?? false })
    try served.echo("0", to: "vi/0/enable")
    #expect(try eventually { try load(served, of: "cpu")?.load == 0 })
    try served.echo("0", to: "mpp_service/load_interval")
    #expect(try served.cat("mpp_service/load").hasPrefix("please set load_interval first!!!\n"))
  }

  /// What the kernel says of the CPU's workers, and of the threads of inputs and decoders, right before and right after lies around it.
  @Test func utilisationIsTheProcessorTimeOfTheWorkers() throws {
    let served = try Served(configuration: Pipelines.small())
    // The last picture has gone out before its task has ended.
    #expect(try served.advances("venc/0", "frames_out", by: 11))
    func kernels() throws -> Double {
      let text = try shell(
        #"for t in /proc/$1/task/*; do case $(cat $t/comm) in cpu-*|vi[0-9]|vdec[0-9]) cut -d' ' -f1 $t/schedstat;; esac; done"#,
        String(served.pid))
      return text.lines.compactMap { Double($0) }.reduce(0, +) / 1e9
    }
    let before = try kernels()
    let metrics = Metrics(try served.cat("metrics"))
    let after = try kernels()
    let ours = try #require(metrics[#"mpifs_service_utilised_seconds_total{object="cpu"}"#])
    #expect((before...after).contains(ours) && before > 0)
    #expect(try #require(metrics[#"mpifs_service_tasks_total{object="cpu",cause="done"}"#]) > 10)
    let done = try #require(metrics[#"mpifs_session_tasks_total{object="venc/0",cause="done"}"#])
    #expect(done >= 10)
    #expect(metrics[#"mpifs_session_tasks_total{object="venc/0",cause="timed_out"}"#] == 0)
  }

  // MARK: numbers

  @Test func numbersAreTakenAsTheKernelTakesThem() throws {
    let served = try Served(["--load", "none"])
    for (written, read) in [
      ("0x10", "16"), ("010", "8"), ("+25", "25"), ("4294967295", "-1"), ("0", "0"),
    ] {
      for node in ["timing_en", "cpu/timing_check", "load_interval"] {
        try served.echo(written, to: "mpp_service/\(node)")
        #expect(try served.value("mpp_service/\(node)") == read, "\(node) \(written)")
      }
    }
    #expect(try run("stat", "-c", "%a", served.path("mpp_service/timing_en")).text == "644\n")
    #expect(try run("stat", "-c", "%a", served.path("mpp_service/cpu/task_count")).text == "444\n")
  }

  @Test func newPoolsHaveAsManyBuffersAsAskedFor() throws {
    let served = try Served(configuration: Pipelines.small())
    /// Buffers of the pool of an output's pictures, which the scaler makes.
    func count() throws -> Int? {
      AllocationPage(try served.cat("valloc")).pools.first { $0.size == 320 * 180 * 3 / 2 }?.total
    }
    #expect(try served.advances("vpss/0/1", "frames_out", by: 2))
    let before = try #require(try count())
    try served.echo("\(before + 5)", to: "mpp_service/cpu/session_buffers")
    #expect(try count() == before, "a pool that is there stays as it is")
    try served.echo("0", to: "vpss/0/1/enable")
    try served.echo("1", to: "vpss/0/1/enable")
    #expect(try served.advances("vpss/0/1", "frames_out", by: 2))
    #expect(try eventually { try count() == before + 5 })
  }

  @Test func theOnlyServiceOfTheCPUStaysInWork() throws {
    let served = try Served(configuration: Pipelines.small())
    try served.echo("0", to: "mpp_service/cpu/disable_work")
    #expect(try served.refusal(of: "1", to: "mpp_service/cpu/disable_work").contains("busy"))
    #expect(try served.value("mpp_service/cpu/disable_work") == "0")
    let line = try #require(try served.errorLog().last)
    #expect(line.contains(#"mpp_service/cpu/disable_work "1\n" EBUSY(16): cpu is the only service"#), "\(line)")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
  }
}
