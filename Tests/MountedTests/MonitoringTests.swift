// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// The nodes no vendor has: `metrics`, `health`, `report`, `error_log`, `help`, and what can be written to the vendor's.
@Suite(.ownThread) struct MonitoringTests {
  @Test func metricsPassPrometheussChecker() throws {
    let served = try Shared.pipeline
    let outcome = try shell(#"promtool check metrics < "$1""#, served.path("metrics"))
    #expect(outcome.status == 0, "\(outcome.text)\(outcome.errors)")
    let text = try served.cat("metrics")
    #expect(text.hasSuffix("# EOF\n"))
    let metrics = Metrics(text)
    for name in [
      #"mpifs_venc_output_frames_total{object="venc/0"}"#, #"mpifs_venc_output_bytes_total{object="venc/1"}"#,
      #"mpifs_vpss_dropped_frames_total{object="vpss/0",cause="queue_full"}"#, "mpifs_memory_buffers_bytes",
      #"mpifs_health{verdict="ok"}"#,
    ] { #expect(metrics[name] != nil, "\(name)") }
    for line in text.split(separator: "\n") where !line.hasPrefix("#") { #expect(line.hasPrefix("mpifs_"), "\(line)") }
  }

  /// Every line of every object's `stats` is in `metrics`, with the same value.
  @Test func metricsSayWhatStatsSay() throws {
    let served = try Served(
      configuration: Pipelines.small("vdec/0/codec = h264\nvdec/0/enable = 1\nvdec/1/input = feed"))
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let renamed = [
      "created_us": "created_seconds", "generation": "generation", "frames_in": "input_frames_total",
      "frames_out": "output_frames_total", "in_flight": "in_flight_frames", "queue_depth": "queue_frames",
      "queue_capacity": "queue_capacity_frames", "time_last_us": "last_work_seconds",
      "time_mean_us": "mean_work_seconds", "time_max_us": "max_work_seconds", "bytes_out": "output_bytes_total",
      "bytes_copied": "copied_bytes_total", "readers": "readers", "feed_waiting_bytes": "feed_waiting_bytes",
      "frames_per_second": "frames_per_second", "bytes_per_second": "current_bytes_per_second",
      "feed_lag_us": "feed_lag_seconds",
    ]
    let objects = try run("find", served.at, "-name", "stats", "-printf", "%P\n").lines.map {
      String($0.dropLast("/stats".count))
    }
    #expect(Set(objects).isSuperset(of: ["vi/0", "vpss/0", "vpss/0/0", "venc/0", "vdec/0", "vdec/1"]))
    let before = try Dictionary(uniqueKeysWithValues: objects.map { ($0, try served.stats($0)) })
    let metrics = Metrics(try served.cat("metrics"))
    var ownCounts = 0
    for object in objects {
      let kind = object.split(separator: "/")[0]
      let after = try served.stats(object)
      // The sum of the causes, which metrics have one by one.
      for (key, last) in after where key != "dropped" {
        let isCause = key.hasPrefix("dropped_")
        let name = isCause ? "dropped_frames_total" : renamed[key] ?? "\(key)_total"
        let cause = isCause ? ",cause=\"\(key.dropFirst("dropped_".count))\"" : ""
        guard let value = metrics["mpifs_\(kind)_\(name){object=\"\(object)\"\(cause)}"] else {
          Issue.record("\(object) \(key) is not in metrics as \(name)")
          continue
        }
        guard name.hasSuffix("_total") else { continue }
        if !isCause, renamed[key] == nil { ownCounts += 1 }
        let first = try #require(before[object]?[key])
        #expect((Double(first)...Double(last)).contains(value), "\(object) \(key)")
      }
    }
    // Seven of the input, nine of the encoder, eleven of each decoder; three of what regions do to each that takes them; two of each
    // output's steps.
    #expect(ownCounts == 38 + 4 * 3 + 2 * 2)
    let outcome = try shell(#"promtool check metrics < "$1""#, served.path("metrics"))
    #expect(outcome.status == 0 && outcome.text.isEmpty && outcome.errors.isEmpty, "\(outcome.text)\(outcome.errors)")
  }

  @Test func theReportHoldsEveryTextNode() throws {
    let served = try Shared.pipeline
    let report = try served.cat("report")
    let sections = Set(report.matches(of: /\n==> (\S+) <==\n/).map { String($0.1) })
    let files = try run("find", served.at, "-type", "f", "-perm", "-0444", "-printf", "%P\\n").lines.map(String.init)
    let config = try served.cat("config")
    for file in files {
      // Itself, a second name, what never changes, and settings, which stand in config.
      if ["report", "vcodec/enc/venc_info", "help"].contains(file) { continue }
      #expect(sections.contains(file) || config.contains("\(file) ="), "\(file) is missing")
    }
    let head = report.prefix { $0 != "=" }
    for fact in [
      "program: mpifs", "commit: ", "kernel: Linux", "pid: \(served.pid)", "clock_monotonic: ", "clock_realtime: ",
    ] {
      #expect(head.contains(fact), "\(fact)")
    }
    #expect(report.contains("module: vsys\n") && report.contains("venc/0/bitrate = 2000\n"))
  }

  // MARK: drops

  /// Two of three frames are left out by the encoder's frame-rate table, as asked: each stands in `drops`, and the totals
  /// are those of `stats`.
  @Test func everyDroppedFrameIsListedWithItsCause() throws {
    let served = try Served(configuration: Pipelines.small("venc/0/fps_src = 30\nvenc/0/fps_dst = 10"))
    #expect(try served.advances("venc/0", "dropped_frame_control", by: 20))
    try served.echo("0", to: "vi/0/enable")
    let objects = ["vi/0", "vpss/0", "vpss/0/0", "vpss/0/1", "venc/0"]
    #expect(try eventually { try objects.allSatisfy { try served.stats($0)["in_flight"] == 0 } })
    var (lines, left): ([[String]], [[String]]) = ([], [])
    var control = 0
    // A frame is counted and then noted, and the last may have been on its way between two of them. The last 256 that were left
    // out on purpose are kept, of all objects.
    let areListed = try eventually {
      control = try #require(served.stats("venc/0")["dropped_frame_control"])
      lines = try served.cat("drops").split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
      left = lines.filter { $0.count == 6 && $0[1] == "venc/0" && $0[4] == "frame_control" }
      return control <= 200 ? left.count == control : left.count >= 200
    }
    #expect(areListed, "\(control) in \(lines)")
    let titles = try #require(lines.first).dropFirst()
    #expect(titles.first == "object")
    for object in objects {
      let row = try #require(lines.first { $0[0] == object })
      let stats = try served.stats(object)
      for (title, count) in zip(titles, row).dropFirst() {
        #expect(Int(count) == stats[title == "dropped" ? title : "dropped_\(title)"], "\(object) \(title)")
      }
    }
    #expect(left.allSatisfy { $0[5] == "input" })
    for column in [0, 2, 3] {
      let values = left.compactMap { Double($0[column]) }
      #expect(values.count == left.count && zip(values, values.dropFirst()).allSatisfy { $0 <= $1 }, "\(column)")
    }
  }

  // MARK: health

  @Test func aHealthyPipelineIsOK() throws {
    let served = try Shared.pipeline
    #expect(try eventually { try served.cat("health") == "ok\n" })
  }

  /// Stopped for longer than anything may stand still, and asked as soon as it goes on.
  @Test func nothingIsStillBecauseTheProcessWasStopped() throws {
    let served = try Served(configuration: Pipelines.small(), ahead: true)
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    let lines = try shell(
      """
      kill -STOP "$2"; sleep 2.5; kill -CONT "$2"
      for i in 1 2 3 4 5 6 7 8 9 10; do cat "$1/health"; cat "$1/venc/0/state"; done
      """, served.at, "\(served.pid)"
    ).lines
    #expect(lines.count >= 20 && lines.allSatisfy { !$0.contains(", still for") && $0 != "starved" }, "\(lines)")
    // The input's pictures of those seconds are no more to be had, and it says so.
    #expect(try eventually { try served.stats("vi/0")["clock_slips"] ?? 0 >= 1 })
  }

  @Test func anInputThatStopsIsNamed() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    #expect(try eventually { try served.moves })
    try served.echo("0", to: "vi/0/enable")
    var health = ""
    let named = try eventually {
      health = try served.cat("health")
      return health.hasPrefix("degraded\n") && health.contains("venc/0: starved")
    }
    #expect(named, "\(health)")
    // The one that others wait for stands first, and it is the input that was stopped.
    let first = health.split(separator: "\n").dropFirst().first ?? ""
    #expect(first.contains("vi/0"), "\(health)")
    #expect(
      health.contains(#/venc/0: starved, still for \d+\.\d+ s since \d+\.\d+, waits for vi/0, .* empty \(0 of \d+\)/#),
      "\(health)")
    #expect(try served.value("venc/0/state") == "starved")
    #expect(Metrics(try served.cat("metrics"))[#"mpifs_health{verdict="degraded"}"#] == 1)
    try served.echo("1", to: "vi/0/enable")
    #expect(try eventually { try served.moves })
    #expect(try eventually { try served.value("venc/0/state") == "running" })
  }

  @Test func aScalerOutputThatStopsIsNamed() throws {
    let served = try Served(configuration: Pipelines.small())
    #expect(try served.advances("venc/0", "frames_out", by: 10))
    try served.echo("0", to: "vpss/0/0/enable")
    var health = ""
    let named = try eventually {
      health = try served.cat("health")
      // The input still runs, so it is not named, whatever a busy machine loses; unless that comes to nothing at all for a while.
      return health.hasPrefix("degraded\n") && health.contains("venc/0: starved") && !Self.standsStill("vi/0", health)
    }
    #expect(named && health.contains("waits for vpss/0/0"), "\(health)")
  }

  private static func standsStill(_ object: String, _ health: String) -> Bool {
    health.split(separator: "\n").contains { $0.hasPrefix("\(object): ") && $0.contains(", still for ") }
  }

  @Test func anEncoderWithoutASourceIsNamed() throws {
    let served = try Served(configuration: Pipelines.small("venc/5/codec = h264\nvenc/5/enable = 1"))
    var health = ""
    let named = try eventually {
      health = try served.cat("health")
      return health.hasPrefix("degraded\nvenc/5: starved") && !Self.standsStill("venc/0", health)
    }
    #expect(named, "\(health)")
  }

  @Test(.enabled(if: Machine.hasFFmpeg, "this build reads no media files"))
  func anInputFileThatBreaksIsNamed() throws {
    let served = try Served(["--load", "none"])
    let file = served.scratch + "/clip.avi"
    let made = try run(
      "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=30:duration=4", "-c:v", "mjpeg", "-q:v",
      "2",
      file)
    #expect(made.status == 0, "\(made.errors)")
    let outcome = try served.configure(
      """
      create
      vi/0/input = file:\(file)
      vi/0/width = 320
      vi/0/height = 240
      vi/0/enable = 1
      venc/0/source = vi/0
      venc/0/enable = 1

      """)
    let refusals = try served.errorLog()
    #expect(outcome.status == 0, "\(refusals)")
    #expect(try served.advances("venc/0", "frames_out", by: 5))
    try served.echo("clear", to: "error_log")
    #expect(try run("truncate", "-s", "3000", file).status == 0)
    var health = ""
    let named = try eventually {
      health = try served.cat("health")
      return !health.hasPrefix("ok\n") && health.contains("vi/0: ")
    }
    #expect(named, "\(health)")
    // It may have been named for frames that a busy machine lost before that.
    var log: [String] = []
    #expect(
      try eventually {
        log = try served.errorLog()
        return log.contains { $0.contains("vi/0") }
      }, "\(log)")
  }

  // MARK: logs

  @Test func anyWriteClearsTheErrorLog() throws {
    let served = try Served(configuration: Pipelines.small())
    for text in ["clear", "", "anything at all"] {
      try served.refusal(of: "nonsense", to: "venc/0/gop")
      #expect(try !served.errorLog().isEmpty)
      try served.echo(text, to: "error_log")
      #expect(try served.cat("error_log").isEmpty)
    }
    // : > error_log writes nothing, and is how people empty a file.
    try served.refusal(of: "nonsense", to: "venc/0/gop")
    #expect(try shell(#": > "$1""#, served.path("error_log")).status == 0)
  }

  @Test func theErrorLogKeepsTheLast256() throws {
    let served = try Served(configuration: Pipelines.small())
    let outcome = try python(
      """
      import os, sys
      fd = os.open(sys.argv[1], os.O_WRONLY)
      for i in range(300):
          try: os.write(fd, b'bad%d\\n' % i)
          except OSError: pass
      """, served.path("venc/0/gop"))
    #expect(outcome.status == 0)
    let log = try served.errorLog()
    #expect(log.count == 256)
    #expect(log.first?.contains("bad44\\n") == true && log.last?.contains("bad299\\n") == true)
    #expect(Metrics(try served.cat("metrics"))["mpifs_refusals_total"] == 300)
  }

  @Test func vlogTellsWhatHappensAtTheLevelAsked() throws {
    let served = try Served(configuration: Pipelines.small())
    func lines() throws -> [Substring] { try served.cat("vlog").split { $0.isNewline } }
    #expect(try lines().contains { $0.hasPrefix("[sys][inf][") })
    // What starts has told so.
    #expect(try served.advances("venc/0", "frames_out", by: 2))
    try served.echo("all=0", to: "vlog")
    #expect(try !served.cat("vlog").isEmpty)
    try served.echo("clear", to: "vlog")
    #expect(try served.cat("vlog").isEmpty)
    #expect(try run("mkdir", served.path("venc/9")).status == 0)
    try served.refusal(of: "nonsense", to: "venc/9/gop")
    #expect(try served.cat("vlog").isEmpty)
    try served.echo("all=5", to: "vlog")
    try served.echo("vi/0", to: "venc/9/source")
    try served.echo("1", to: "venc/9/enable")
    #expect(try eventually { try lines().contains { $0.hasPrefix("[venc][") } })
    for line in try lines() {
      #expect(line.contains(#/^\[(vi|vpss|venc|vdec|vo|rgn|mb|sys)\]\[(err|wrn|inf|dbg)\]\[\d{9}\.\d{6}\]/#), "\(line)")
    }
  }

  // MARK: memory

  @Test func thePeakIsResetByWritingZero() throws {
    let served = try Served(
      configuration: """
        vi/0/width = 1920
        vi/0/height = 1080
        vi/0/enable = 1
        venc/0/source = vi/0
        venc/0/enable = 1

        """)
    #expect(try served.advances("venc/0", "frames_out", by: 3))
    let size = try #require(try served.cat("rk_dmabuf/size").wholeMatch(of: /Total: (\d+) KiB\n/)?.1)
    let peak = try #require(try served.cat("rk_dmabuf/peak").wholeMatch(of: /Peak: (\d+) MiB\n/)?.1)
    #expect(try #require(Int(peak)) >= (try #require(Int(size))) >> 10)
    #expect(Int(peak) ?? 0 > 10)
    // Only the first byte counts, as in the vendor's driver.
    try served.echo("0 and more", to: "rk_dmabuf/peak")
    let after = try #require(try served.cat("rk_dmabuf/peak").wholeMatch(of: /Peak: (\d+) MiB\n/)?.1)
    #expect(try #require(Int(after)) <= (try #require(Int(peak))))
    for object in ["venc/0", "vi/0"] { try served.echo("0", to: "\(object)/enable") }
    #expect(try eventually { try served.cat("rk_dmabuf/size") == "Total: 0 KiB\n" })
    try served.echo("0", to: "rk_dmabuf/peak")
    #expect(try served.cat("rk_dmabuf/peak") == "Peak: 0 MiB\n")
  }

  // MARK: help

  @Test func helpAndTheTreeNameTheSameFiles() throws {
    let served = try Shared.pipeline
    let help = HelpPage(try served.cat("help"))
    #expect(help.rows.count == Set(help.rows.map(\.path)).count)
    for (object, type) in [
      ("vi/0", "vi/N"), ("vpss/0", "vpss/N"), ("vpss/0/0", "vpss/N/M"), ("venc/0", "venc/N"), ("venc/2", "venc/N"),
    ] {
      let files = try run("find", served.path(object), "-maxdepth", "1", "-type", "f", "-printf", "%f %m\\n").lines
      let names = Set(files.map { String($0.split(separator: " ")[0]) })
      let rows = help.rows.filter { $0.object == type }
      #expect(names == Set(rows.filter { $0.kind != "stream" }.map(\.key)), "\(object)")
      let modes = ["setting": "644", "command": "200", "info": "444", "picture": "400"]
      for file in files {
        let parts = file.split(separator: " ").map(String.init)
        let row = try #require(rows.first { $0.key == parts[0] })
        #expect(parts[1] == modes[row.kind], "\(object)/\(file) is \(row.kind)")
      }
    }
    #expect(
      help.rows.filter { $0.kind == "stream" }.map(\.path)
        == ["stream", "stream.ts", "stream.mp4", "stream.mjpeg"].map { "venc/N/" + $0 } + ["vda/N/events"])
  }

  @Test func attributesThatWorkAndNoOthersAreThere() throws {
    let served = try Shared.pipeline
    let keys = HelpPage(try served.cat("help")).keys(of: "venc/N")
    #expect(
      keys == [
        "codec", "profile", "gop", "rc_mode", "bitrate", "qp_i", "qp_p", "min_qp", "max_qp", "min_i_qp", "max_i_qp",
        "max_bitrate", "min_bitrate", "stat_time", "min_iprop", "max_iprop", "lost_mode", "lost_threshold", "enc_gap",
        "super_frame_mode", "super_i_frame", "super_p_frame", "rc_priority", "max_reencode_times", "ip_qp_delta",
        "debreath", "hier_qp", "hier_frame_num", "hier_qp_delta", "fps_src", "fps_dst",
        "quality", "qfmin", "qfmax", "entropy", "transform_8x8", "deblocking", "deblocking_alpha", "deblocking_beta",
        "deblocking_tc",
        "sao",
        "intra_smoothing", "chroma_qp_offset", "slice_mode", "slice_size", "rotation", "mirror", "intra_refresh",
        "gop_mode", "bg_interval", "roi0", "roi1", "roi2", "roi3", "roi4", "roi5", "roi6", "roi7", "idr",
        "backend", "source", "enable", "state", "active", "stats", "stream", "stream.ts", "stream.mp4",
        "stream.mjpeg", "stream.info", "snapshot.jpg", "snapshot.yuv", "effect",
      ])
  }

  @Test func defaultsAreWhatHelpSays() throws {
    let served = try Served(["--load", "none"])
    #expect(
      try run(
        "mkdir", served.path("vi/0"), served.path("vpss/0"), served.path("vpss/0/0"), served.path("venc/0"),
        served.path("vdec/0"), served.path("vo/0"), served.path("vda/0"), served.path("rgn/0"),
        served.path("rgn/0/attach/venc-0"), served.path("vb/0")
      )
      .status
        == 0)
    for row in HelpPage(try served.cat("help")).rows where row.kind == "setting" {
      // Which controls there are is the device's affair.
      if row.object == "vi/N/controls" { continue }
      let object =
        [
          "vi/N": "vi/0", "vpss/N": "vpss/0", "vpss/N/M": "vpss/0/0", "venc/N": "venc/0", "vdec/N": "vdec/0",
          "rgn/N": "rgn/0", "rgn/N/attach/M": "rgn/0/attach/venc-0",
          "vo/N": "vo/0", "vda/N": "vda/0", "vb/N": "vb/0",
        ][row.object] ?? "?"
      let path = row.isPage ? row.path.replacing("/SERVICE/", with: "/cpu/") : "\(object)/\(row.key)"
      let value = try served.value(path)
      #expect(value == (row.standard == "-" ? "" : row.standard), "\(row.path)")
    }
  }
}
