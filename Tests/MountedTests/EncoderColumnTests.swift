// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Every column of `venc_info` is live: something here drives it to a second value. What never moves is listed, each with the
/// reason, and the manual's table says the same.
@Suite(.ownThread(limit: .seconds(600))) struct EncoderColumnTests {
  /// Columns with one value for ever, by title: the vendor's own constants, and what no engine here has.
  static let constants: [String: Set<String>] = [
    "venc chn runing status": ["combo_run", "cb_gap_time"],
    "venc chn attr 1": ["ByFrame", "Prio", "Online", "RefShare"],
    "Syntax INFO1": Machine.hasX264 ? [] : ["IntraRefresh", "RefreshMode", "RefreshNum"],
    "Syntax INFO2": ["QMatrix"],
    "jpege chn attr": ["quant"],
    "RC base param 2": ["EnableIdr"],
    "RC run comm param 2": ["SprFrmMod"],
    "RC run avbr param": ["MaxStillQP", "MotionSensi", "MinQpDelta"],
    "RC debreath_effect info": ["DeBrthEfctCnt"],
    "mpp_packet pool": ["max_cnt"],
  ].merging(Machine.hasX264 ? ["venc roi attr ": ["intra"]] : [:]) { one, _ in one }

  /// Failures, which a sound engine does not have: `GraphEngineTests` and `GraphHealthTests` drive them.
  static let failures: Set<String> = ["pkt_fail_cnt", "ring_fail_cnt", "cfg_fail_cnt", "start_fail_cnt"]

  private static let pipeline = """
    vi/0/input = pattern
    vi/0/width = 320
    vi/0/height = 180
    vi/0/fps = 30
    vi/0/enable = 1
    venc/0/codec = h264
    venc/0/gop = 10
    venc/0/bitrate = 400
    venc/0/source = vi/0
    venc/0/enable = 1
    venc/1/codec = mjpeg
    venc/1/source = vi/0
    venc/1/enable = 1

    """

  /// Changes one after the other; those of a line together, after the channel was stopped where the line begins with `stop`.
  private static var steps: [[String]] {
    [
      [
        "venc/0/bitrate = 900", "venc/0/gop = 20", "venc/0/fps_dst = 15", "venc/0/stat_time = 2", "venc/1/quality = 40",
      ],
      ["venc/0/min_qp = 20", "venc/0/max_qp = 40", "venc/0/min_i_qp = 18", "venc/0/max_i_qp = 38"],
      ["venc/0/min_iprop = 2", "venc/0/max_iprop = 30", "venc/0/lost_mode = normal", "venc/0/lost_threshold = 1200"],
      ["venc/0/enc_gap = 3", "venc/0/super_frame_mode = reencode", "venc/0/super_i_frame = 90000"],
      ["venc/0/super_p_frame = 60000", "venc/0/rc_priority = framebits"],
      ["venc/0/enc_gap = 5", "venc/0/max_reencode_times = 2"],
      ["venc/0/ip_qp_delta = 3", "venc/0/debreath = 4", "venc/0/hier_frame_num = 1,2,1,2"],
      ["venc/0/hier_qp_delta = 3,2,1,-1", "venc/0/hier_qp = 1"],
      ["venc/0/hier_qp = 0"],
      ["venc/0/entropy = cavlc", "venc/0/deblocking_alpha = 2", "venc/0/deblocking_beta = -2"],
      ["venc/0/slice_mode = rows", "venc/0/slice_size = 4", "venc/0/rotation = 90", "venc/0/mirror = 1"],
      ["venc/0/slice_mode = bytes", "venc/0/slice_size = 900"],
      ["venc/0/slice_mode = none", "venc/0/gop_mode = smartp", "venc/0/bg_interval = 40"],
      ["venc/0/bg_interval = 80", "venc/0/gop_mode = normalp"],
      ["stop", "venc/0/profile = main"],
      ["venc/0/rc_mode = vbr"], ["venc/0/super_frame_mode = discard"],
      ["stop", "venc/0/rc_mode = vbr", "venc/0/max_bitrate = 2000", "venc/0/profile = auto", "venc/0/entropy = auto"]
        + (Machine.hasX264 ? ["venc/0/backend = x264"] : []),
      ["venc/0/max_bitrate = 3000", "venc/0/min_qp = 12", "venc/0/max_qp = 45", "venc/0/min_i_qp = 11"],
      ["venc/0/max_i_qp = 44", "venc/0/min_iprop = 3", "venc/0/max_iprop = 40", "venc/0/bitrate = 700"],
      ["stop venc/1", "venc/1/rc_mode = cbr", "venc/1/bitrate = 2000", "venc/1/qfmin = 20"],
      ["venc/1/bitrate = 3000", "venc/1/qfmin = 25", "venc/1/qfmax = 80", "venc/1/max_reencode_times = 2"],
      ["stop venc/1", "venc/1/rc_mode = vbr"],
      ["venc/1/max_reencode_times = 3"],
    ]
      + (Machine.hasX264
        ? [
          ["venc/0/intra_refresh = column", "venc/0/roi0 = 0,0,64,64 abs 20", "venc/0/roi3 = 16,32,48,80 rel -4"],
          ["venc/0/intra_refresh = off"],
        ] : []) + [
        ["stop", "venc/0/rc_mode = avbr"], ["venc/0/min_bitrate = 100"],
        ["stop", "venc/0/rc_mode = fixqp", "venc/0/qp_i = 24", "venc/0/qp_p = 27"],
      ]
  }

  @Test func everyColumnTakesASecondValueOrIsListed() throws {
    let served = try Served(["--dialect", "rockit-1.4.81"], configuration: Self.pipeline, ahead: true)
    var seen: [String: [String: Set<String>]] = [:]
    func look() throws {
      for section in EncoderPage(try served.cat("venc_info")).sections {
        for row in section.rows {
          for (column, value) in section.values(row) {
            seen[section.title, default: [:]][column, default: []].insert(value)
          }
        }
      }
    }
    func goOn() throws {
      for channel in ["venc/0", "venc/1"] { #expect(try served.advances(channel, "frames_out", by: 35)) }
    }
    try look()
    // Somebody reads a little and leaves off: one packet is with the reader, and others wait.
    let reader = try Child(
      [
        "sh", "-c", #"exec 3< "$1"; dd bs=100 count=1 <&3 > "$2" 2>> "$2"; exec sleep 1000"#, "sh",
        served.path("venc/0/stream"), served.scratch + "/read",
      ])
    #expect(
      try eventually {
        try look()
        return seen["venc chn runing status"]?["strm_out"]?.count == 2
      })
    try goOn()
    try look()
    reader.signal(SIGKILL)
    reader.ended()
    for step in Self.steps {
      let stopped = step.first.flatMap {
        $0.hasPrefix("stop") ? $0 == "stop" ? "venc/0" : String($0.dropFirst(5)) : nil
      }
      let lines = step.filter { !$0.hasPrefix("stop") }
      if let stopped {
        try served.echo("0", to: "\(stopped)/enable")
        try look()
      }
      let outcome = try served.configure(
        "create\n" + lines.map { $0 + "\n" }.joined() + (stopped.map { "\($0)/enable = 1\n" } ?? ""))
      #expect(outcome.status == 0, "\(step)")
      try goOn()
      try look()
    }
    // Another format of frames, more than can be coded, and a moment in which an engine works and frames wait for it.
    try served.echo("0", to: "vi/0/enable")
    try look()
    try served.echo("nv12", to: "vi/0/format")
    try served.echo("352", to: "vi/0/width")
    try served.echo("240", to: "vi/0/height")
    try served.echo("1", to: "vi/0/enable")
    #expect(
      try served.configure(
        """
        create
        vi/1/input = pattern
        vi/1/width = 1920
        vi/1/height = 1080
        vi/1/fps = 240
        vi/1/enable = 1
        venc/2/codec = h264
        venc/2/source = vi/1

        """
      ).status == 0)
    try look()
    try served.echo("1", to: "venc/2/enable")
    #expect(try served.advances("venc/2", "frames_out", by: 5))
    #expect(
      try eventually {
        try look()
        return seen["hw status"]?["hw_run"]?.count == 2 && seen["hw status"]?["enc_status"]?.count ?? 0 >= 2
          && seen["mpp_frame pool"]?["used_cnt"]?.count ?? 0 >= 2
      }, "an engine was seen at work, with frames before it")
    for (title, columns) in seen {
      let constants = Self.constants[title] ?? []
      for (column, values) in columns where column != "ID" && column != "ChnId" {
        if Self.failures.contains(column) {
          #expect(values == ["0"], "\(title) \(column): \(values)")
        } else {
          // Before an engine is open there is no value.
          let isConstant = constants.contains(column) ? values.subtracting(["N/A"]).count <= 1 : values.count == 1
          #expect(isConstant == constants.contains(column), "\(title) \(column): \(values)")
        }
      }
      #expect(constants.isSubset(of: columns.keys), "\(title): \(constants.subtracting(columns.keys))")
    }
    #expect(Set(Self.constants.keys).isSubset(of: seen.keys))
  }

  /// The manual has a row for every column.
  @Test func theManualSaysWhereEveryColumnComesFrom() throws {
    let served = try Served(["--dialect", "rockit-1.4.81"], configuration: Self.pipeline)
    let manual = try String(contentsOfFile: Machine.repository + "/docs/vendor-nodes.md", encoding: .utf8)
    let table = manual.components(separatedBy: "### Where each field comes from").last ?? ""
    for section in EncoderPage(try served.cat("venc_info")).sections {
      for column in section.header.split(whereSeparator: { $0 == " " || $0 == "|" }) {
        #expect(table.contains("`\(column)`"), "\(section.title) \(column)")
      }
    }
  }
}
